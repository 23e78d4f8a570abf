"""Groups that several columns or pairs of images make together: whatever is connected is one group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def joined(
    names: Sequence[str], columns: Sequence[Sequence[str | None]], pairs: Iterable[tuple[str, str]] = ()
) -> list[str | None]:
    """Return the group of each image, so that images with an equal value in one of the columns (patient, lesion) and
    images of a pair share it.

    The group is called by the first value of its first image, in the order of the columns; None for an image without
    values that is in no pair. Pairs of names that are not in `names` are left out.
    """
    parent = list(range(len(names)))

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    def join(a: int, b: int) -> None:
        first, second = sorted((root(a), root(b)))
        parent[second] = first

    for column in columns:
        first_of: dict[str, int] = {}
        for k, value in enumerate(column):
            if value is not None:
                join(first_of.setdefault(value, k), k)
    place = {name: k for k, name in enumerate(names)}
    paired = set()
    for a, b in pairs:
        if a in place and b in place:
            join(place[a], place[b])
            paired |= {place[a], place[b]}
    own = [next((column[k] for column in columns if column[k] is not None), None) for k in range(len(names))]
    title: dict[int, str] = {}
    for k, value in enumerate(own):
        if value is not None:
            title.setdefault(root(k), value)
    for k in sorted(paired):
        title.setdefault(root(k), names[root(k)])
    return [title.get(root(k)) for k in range(len(names))]
