"""Checks that the images that a stage reads have the contents that were planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from derm_bench.errors import UserError

if TYPE_CHECKING:
    from derm_bench.protocols import Dataset, RawImage, Unreadable

NAMED = 5
"""The number of images that an error names."""


class Unchanged:
    """Reads images of a data set and compares the content digest of each with the one from planning, `planned` by id.

    Without this check, an image that is replaced between plan and decoding would be stored under the digest of the
    earlier one. Several threads may read at once.
    """

    def __init__(self, dataset: Dataset, planned: Mapping[str, str]) -> None:
        self._dataset, self._planned = dataset, planned
        self._unchecked: list[str] = []

    def read(self, ids: Sequence[str]) -> Iterator[RawImage | Unreadable]:
        """Yields the images in the order of `ids`. Raises UserError at an image whose content is not as planned."""
        for name, raw in zip(ids, self._dataset.read(ids), strict=True):
            if raw.digest is None:
                self._unchecked.append(name)
            elif raw.digest != self._planned[name]:
                raise _changed([name])
            yield raw

    def finish(self, fingerprint: Callable[[], Mapping[str, str]]) -> None:
        """Compares the images of which the data set did not state what it read with fresh fingerprints. Raises
        UserError for those that differ."""
        if self._unchecked:
            now = fingerprint()
            changed = [name for name in self._unchecked if now.get(name) != self._planned[name]]
            if changed:
                raise _changed(sorted(changed))


def refuse_absent(names: Sequence[str], listed: Sequence[str]) -> None:
    """Raises UserError if some of `names`, the planned images, are not `listed` by the data set any more."""
    absent = sorted(set(names).difference(listed))
    if absent:
        raise _changed(absent)


def _changed(names: Sequence[str]) -> UserError:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return UserError(
        f"images were changed after the run was planned: {', '.join(names[:NAMED])}{more}",
        hint="run the same command again: it plans with the images as they are now",
    )
