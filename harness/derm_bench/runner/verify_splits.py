"""Compares the images of predictions.parquet with the splits of a run directory, which may be somebody else's."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from derm_bench.rundir.files import TABLE_BYTES, read_bytes
from derm_bench.rundir.planned import RunStages, SplitUse
from derm_bench.rundir.scored_cells import AllPredictions
from derm_bench.splits import read_split

TEST = "test"
"""The test set that is the test part of the split; others are external data sets, or have synthetic images."""


class Found(NamedTuple):
    """What is wrong with a file. `cell` and `test_set` are empty where it is not about the predictions of one."""

    file: str
    message: str
    cell: str = ""
    test_set: str = ""


def wrong_images(folder: Path, stages: RunStages, predictions: AllPredictions) -> Iterator[Found]:
    """Yields splits whose file is missing or differs from the plan, and cells whose predictions for a test set are not
    of different images of the test part of its split, with the labels of the split. Synthetic test sets have none."""
    place = folder / "splits"
    contents = {}
    for entry in sorted(os.scandir(place), key=lambda entry: entry.name) if place.is_dir() else ():
        content = read_bytes(Path(entry.path), TABLE_BYTES)
        contents[hashlib.sha256(content).hexdigest()] = (f"splits/{entry.name}", content)
    tested: dict[tuple[str, int] | None, Mapping[str, str]] = {}
    for split in stages.splits:
        if split.digest not in contents:
            what = f"no file is the split of {split.dataset} with seed {split.seed} that the manifest plans"
            yield Found("splits", what)
            continue
        name, content = contents[split.digest]
        try:
            tested[split.dataset, split.seed] = _test_images(content, split)
        except (ValueError, csv.Error) as error:
            yield Found(name, f"is no split: {error}")
    external = {(split.tests, split.test_set): (split.dataset, split.seed) for split in stages.splits}
    for cell in stages.cells:
        for test_set in cell.evaluations:
            own = (cell.at.dataset, cell.at.split_seed) if test_set == TEST else None
            at = own or external.get((cell.at.dataset, test_set))
            images = predictions.images((cell.name, "test", test_set))
            if at in tested and images is not None and (message := _problem(images, tested[at])):
                yield Found("predictions.parquet", message, cell.name, test_set)


def _test_images(content: bytes, split: SplitUse) -> Mapping[str, str]:
    """The label of each image of the test part, by its id."""
    planned = read_split(content, split.classes)
    return {planned.ids[k]: planned.labels[k] for k in planned.indices("test")}


def _problem(images: list[tuple[str, str]], tested: Mapping[str, str]) -> str:
    """What is wrong with the ids and labels of predicted images; empty if nothing is."""
    if len({name for name, _ in images}) < len(images):
        return "an image was predicted twice"
    for name, label in images:
        if name not in tested:
            return f"the image {name!r:.80} is not in the test part of the split"
        if tested[name] != label:
            return (
                f"the image {name!r:.80} has the label {label!r:.80}, and {tested[name]!r:.80} in the split"
            )
    return ""
