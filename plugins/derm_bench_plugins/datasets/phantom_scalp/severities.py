"""The severities of alopecia areata that a phantom scalp can have, in order. Imports nothing."""

from __future__ import annotations

SCALP_CLASSES = ("healthy", "mild", "moderate", "severe")
