"""Names in boards and entries, which may be anybody's: what they may be, and why one is refused."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import StringConstraints

from derm_bench.errors import UserError
from derm_bench.plain_text import printable
from derm_bench.rundir.frames import LONGEST_NAME

Label = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]
Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?$")]
"""The id of an entry, which is the name of its folder."""

_ID = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?")
_TAG = re.compile(r"<\s*[/!?a-zA-Z]")


def check_label(name: str) -> None:
    """Raise ValueError for a name that no label has to have: one with markup, or with characters that no page shows.

    Pages escape every name all the same.
    """
    if len(name) > LONGEST_NAME:
        raise ValueError(f"a name has {len(name):,} characters, more than {LONGEST_NAME}")
    if _TAG.search(name):
        raise ValueError(f"the name {name[:80]!r} has markup in it")
    if printable(name) != name or "\n" in name or "\t" in name:
        raise ValueError(f"the name {name[:80]!r} has characters that cannot be printed")


def check_id(name: str) -> str:
    """Return the id of an entry. Raises UserError if it cannot be the name of a folder everywhere."""
    if not _ID.fullmatch(name) or ".." in name:
        raise UserError(
            f"{name[:80]!r} is not an id: letters a-z, digits, '.', '_' and '-', at most 100, no two dots in a row",
            hint="for example --id dcgan-balance-2026",
        )
    return name


def id_of(name: str, digest: str) -> str:
    """An id made of a name and of the first digits of a digest of the content."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60].strip("-") or "run"
    return f"{plain}-{digest[:8]}"
