"""What an entry takes of a run directory: one data set at one training fraction, and the task that it is about."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from derm_bench.errors import UserError, did_you_mean
from derm_bench.leaderboard.rescore import TEST
from derm_bench.leaderboard.task import Board, BoardData, BoardTask
from derm_bench.rundir.directory import RunFiles
from derm_bench.rundir.files import TABLE_BYTES, opened, read_bytes
from derm_bench.rundir.planned import RunStages, SplitUse
from derm_bench.rundir.schema import RESULTS
from derm_bench.scoring import HIGHER_IS_BETTER, metric_names
from derm_bench.splits import PlannedSplit, read_split

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Asked:
    """What a new entry, or a new board, is made with. dataset and train_fraction choose among those of the run; name
    and metric are those of a new board. samples: whether synthetic images are passed on; None asks the licence of the
    data."""

    dataset: str | None = None
    train_fraction: float | None = None
    name: str | None = None
    metric: str | None = None
    entry: str | None = None
    by: str = ""
    samples: bool | None = None


@dataclass
class Taken:
    """What is taken of a run: one data set at one training fraction, on the splits of the board."""

    files: RunFiles
    dataset: str
    task: BoardTask
    splits: Mapping[int, PlannedSplit]
    left_out: list[str]

    @classmethod
    def of(cls, files: RunFiles, stages: RunStages, asked: Asked, board: Board | None) -> Taken:
        own = [split for split in stages.splits if split.own]
        dataset = _dataset(own, asked.dataset, files.folder)
        uses = [split for split in own if split.dataset == dataset]
        fraction = _fraction(files, dataset, asked, board)
        splits = dict(_splits(files.folder, uses))
        task = _task(files, dataset, fraction, uses, asked, board)
        known = splits if board is None else {s: split for s, split in splits.items() if s in board.splits}
        task = task.model_copy(update={"set_aside": _set_aside(files, dataset, known)})
        taken = cls(files, dataset, task, splits, [])
        if board is not None and (extra := sorted(set(splits) - set(board.splits))):
            taken.left_out.append(
                f"splits of the seeds {', '.join(map(str, extra))}, which the board does not have"
            )
        return taken

    @property
    def results(self) -> pd.DataFrame:
        """The rows of results.csv that an entry has."""
        frame = self.files.tables["results"]
        at = (frame["dataset"] == self.dataset) & (frame["test_set"] == TEST)
        at &= frame["train_fraction"] == self.task.train_fraction
        own = {*RESULTS.names, *metric_names(self.task.classes)}
        found = frame[at]
        return found[[name for name in found.columns if name in own or found[name].notna().any()]]

    @property
    def fidelity(self) -> pd.DataFrame:
        """The rows of fidelity.csv that an entry has."""
        frame = self.files.tables["fidelity"]
        return frame[
            (frame["dataset"] == self.dataset) & (frame["train_fraction"] == self.task.train_fraction)
        ]


def _dataset(own: Sequence[SplitUse], wanted: str | None, folder: Path) -> str:
    names = list(dict.fromkeys(split.dataset for split in own))
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted not in names:
        what = "has several data sets" if wanted is None else f"has no data set '{wanted}'"
        raise UserError(f"the run {what}: {', '.join(names)}", file=folder, hint="choose one with --dataset")
    return str(wanted)


def _fraction(files: RunFiles, dataset: str, asked: Asked, board: Board | None) -> float:
    if board is not None:
        return board.task.train_fraction
    frame = files.tables["results"]
    there = sorted(float(value) for value in set(frame.loc[frame["dataset"] == dataset, "train_fraction"]))
    if not there:
        raise UserError(
            f"the run has no cells on '{dataset}'", file=files.folder, hint="a board compares classifiers"
        )
    if asked.train_fraction is not None and asked.train_fraction not in there:
        listed = ", ".join(f"{value:g}" for value in there)
        raise UserError(f"the run has no cells at the fraction {asked.train_fraction:g}; it has {listed}")
    return asked.train_fraction if asked.train_fraction is not None else there[-1]


def _splits(folder: Path, uses: Sequence[SplitUse]) -> Iterator[tuple[int, PlannedSplit]]:
    """The splits of a data set by seed: the files whose digests the plan has."""
    contents = {}
    for entry in os.scandir(folder / "splits"):
        content = read_bytes(Path(entry.path), TABLE_BYTES)
        contents[hashlib.sha256(content).hexdigest()] = content
    for use in uses:
        try:
            yield use.seed, read_split(contents[use.digest], use.classes)
        except (KeyError, ValueError, csv.Error) as error:
            raise UserError(f"has no split of seed {use.seed}", file=folder / "splits") from error


def _task(
    files: RunFiles, label: str, fraction: float, uses: Sequence[SplitUse], asked: Asked, board: Board | None
) -> BoardTask:
    """The task of a run: for a new board, or to compare with that of an existing one."""
    manifest = files.manifest
    entry = next(each for each in manifest["matrix"]["datasets"] if each["label"] == label)
    terms = manifest.get("datasets", {}).get(label, {})
    stated = manifest["matrix"]["analysis"]
    primary = stated["primary"] if stated["primary"] in HIGHER_IS_BETTER else "balanced_accuracy"
    metric = asked.metric or (primary if board is None else board.task.metric)
    if metric not in metric_names(uses[0].classes):
        raise UserError(
            f"'{metric}' is no metric that can be computed from predictions without a plugin",
            hint=did_you_mean(metric, metric_names(uses[0].classes)),
        )
    try:
        return BoardTask(
            name=asked.name or f"{label}-{entry['size']}",
            dataset=BoardData(
                name=entry["name"],
                size=entry["size"],
                resize=entry.get("resize", "center-crop"),
                options=_without_paths(entry.get("options", {})),
                licence=terms.get("licence", ""),
                citation=terms.get("citation", ""),
            ),
            classes=uses[0].classes,
            train_fraction=fraction,
            splits={use.seed: use.digest for use in uses},
            protocol_version=str(manifest.get("protocol_version", "")),
            metric=metric,
            margin=stated["margin"],
            alpha=stated["alpha"],
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"the run gives no task of a board: {place}: {first['msg']}", file=files.folder
        ) from error


def _set_aside(files: RunFiles, label: str, splits: Mapping[int, PlannedSplit]) -> tuple[str, ...]:
    """The images of validation and test that no cell of a data set predicts, if the matrix lets images be dropped once
    their pixels are known. Otherwise none: an image without a prediction is an error."""
    entry = next(each for each in files.manifest["matrix"]["datasets"] if each["label"] == label)
    clean = entry.get("clean", {})
    drops = clean.get("duplicates") == "drop" or clean.get("blurred") or clean.get("unreadable")
    if files.predictions is None or not drops:
        return ()
    frame = files.tables["results"]
    cells = frame.loc[(frame["dataset"] == label) & (frame["status"] == "done"), "cell"]
    predicted = _predicted(files.predictions, set(cells))
    listed = {
        split.ids[k] for split in splits.values() for part in ("val", "test") for k in split.indices(part)
    }
    return tuple(sorted(listed - predicted))


def _predicted(path: Path, cells: set[str]) -> set[str]:
    """The images that some of the cells predict."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with opened(path, TABLE_BYTES) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        table = pq.ParquetFile(file).read(columns=["cell", "image_id"])
    table = table.filter(pc.is_in(table["cell"], pa.array(sorted(cells), pa.string())))
    return set(pc.unique(table["image_id"]).to_pylist())


def _without_paths(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a data set that do not depend on where it lies."""
    plain = {name: value for name, value in options.items() if name != "root"}
    return {
        name: value
        for name, value in plain.items()
        if not (isinstance(value, str) and ("/" in value or "\\" in value))
    }


def unfit(taken: Taken, board: Board) -> list[str]:
    """Why a run does not fit a board, a sentence each."""
    found = []
    protocol = taken.files.manifest["matrix"]["protocol"]
    if protocol["name"] != board.task.protocol:
        permits = ", ".join(protocol.get("allow", ())) or "none"
        found.append(
            f"the protocol of the run is '{protocol['name']}' (permits: {permits}); boards take runs under 'fair' alone"
        )
    missing = sorted(set(board.splits) - set(taken.splits))
    if missing:
        found.append(
            f"the run covers {len(board.splits) - len(missing)} of the {len(board.splits)} splits of the board; it "
            f"lacks those of the seeds {', '.join(map(str, missing))}"
        )
    shared = {seed: taken.task.splits[seed] for seed in board.task.splits if seed in taken.splits}
    theirs = taken.task.model_copy(update={"splits": board.task.splits | shared})
    return found + [f"the run is of another task: {what}" for what in board.task.differences(theirs)]
