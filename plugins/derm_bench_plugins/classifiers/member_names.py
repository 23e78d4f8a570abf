"""What the inputs of an ensemble are called. Imports no torch."""

from __future__ import annotations


def member_names(members: int) -> list[str]:
    """`member 1`, `member 2`, ..., in the order of the members."""
    return [f"member {k + 1}" for k in range(members)]
