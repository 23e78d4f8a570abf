"""The diagnoses that phantom dermoscopy can show, by HAM10000's names. Imports nothing."""

from __future__ import annotations

PHANTOM_CLASSES = ("mel", "nv", "bkl", "bcc", "akiec", "vasc", "df")
