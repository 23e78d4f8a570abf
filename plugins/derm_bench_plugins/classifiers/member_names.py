"""The names of an ensemble's inputs. Imports no torch."""

from __future__ import annotations


def member_names(members: int) -> list[str]:
    """Return `member 1`, `member 2`, ..., in the order of the members."""
    return [f"member {k + 1}" for k in range(members)]
