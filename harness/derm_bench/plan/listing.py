"""Lists of names and digests, whose own digest stands in an identity for all of them.

The list itself is plan data in the store, so that `explain` can say which of its files has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from derm_bench.image_list import fields_of, line_of


class Listing(NamedTuple):
    """`content` has one line per name, sorted, with its digest; `digest` is the SHA-256 of the content."""

    digest: str
    content: bytes

    @classmethod
    def of(cls, digests: Mapping[str, str]) -> Listing:
        content = "\n".join(line_of(item) for item in sorted(digests.items())).encode()
        return cls(hashlib.sha256(content).hexdigest(), content)


def digests_in(content: bytes) -> dict[str, str]:
    """The digests by name in the content of a `Listing`. Raises ValueError for other content."""
    lines = content.decode().split("\n") if content else []
    return dict((name, digest) for name, digest in map(fields_of, lines))  # noqa: C402  (typed)


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The names whose digest differs, in order; a name that is not in both is followed by `(new)` or `(removed)`."""
    found = []
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            found.append(name + (" (new)" if name not in old else " (removed)" if name not in new else ""))
    return found
