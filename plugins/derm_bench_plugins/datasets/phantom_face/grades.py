"""The grades of acne that a phantom face can have, in order. Imports nothing."""

from __future__ import annotations

FACE_CLASSES = ("healthy", "mild", "moderate", "severe")
