"""What decoding did to the images of each data set, in sentences for the manifest and the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from derm_bench.plain_text import listed
from derm_bench.rundir.planned import RunStages
from derm_bench.rundir.records import Records


def terms_and_decoding(stages: RunStages, records: Records) -> dict[str, dict[str, Any]]:
    """Return the licence and citation of each data set by label, and what its decode stage says: `decoding`, a list of
    sentences, absent if the stage is not done."""
    found: dict[str, dict[str, Any]] = {label: dict(terms) for label, terms in stages.terms.items()}
    for label, key in stages.decodes.items():
        if result := records.result(key):
            found.setdefault(label, {})["decoding"] = list(_sentences(result))
    return found


def _sentences(result: Mapping[str, Any]) -> Iterator[str]:
    unreadable = result.get("unreadable", 0)
    left_out = f"; {unreadable:,} could not be read and were left out" if unreadable else ""
    yield f"{result.get('images', 0):,} images were decoded{left_out}"
    for note in result.get("notes", ()):
        names = list(note["first"])
        others = [""] * (note["images"] - len(names))  # only their number is shown
        yield f"{note['text']}: {note['images']:,} ({listed([*names, *others])})"
