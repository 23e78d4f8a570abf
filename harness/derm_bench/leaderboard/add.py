"""Makes an entry of a finished run directory, and the board if there is none yet."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from derm_bench.errors import UserError
from derm_bench.leaderboard import samples
from derm_bench.leaderboard.entry import (
    FIDELITY_FILE,
    LIMITS,
    MANIFEST,
    PREDICTIONS_FILE,
    RESULTS_FILE,
    SAMPLES,
    EntryManifest,
    RunOf,
)
from derm_bench.leaderboard.names import check_id, id_of
from derm_bench.leaderboard.problems import Verified
from derm_bench.leaderboard.rescore import TEST, rescore
from derm_bench.leaderboard.task import BOARD, Board, BoardData, BoardTask, read_board, write_board
from derm_bench.plugins import Plugins
from derm_bench.rundir.directory import RunFiles, read_run
from derm_bench.rundir.files import (
    TABLE_BYTES,
    opened,
    overwriting,
    read_bytes,
    read_json,
    replacing,
    write_json,
)
from derm_bench.rundir.frames import write_csv
from derm_bench.rundir.planned import RunStages, SplitUse
from derm_bench.rundir.samples import Sheet
from derm_bench.rundir.schema import PREDICTIONS, RESULTS
from derm_bench.runner.verify import verify
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
class Added:
    """The entry that was added. `problems` say why it was not. `new_board`: whether the board was made; `left_out`:
    what of the run is not in the entry; `existed`: whether the board had this entry already."""

    entry: str = ""
    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    new_board: bool = False
    existed: bool = False


def add(run_dir: Path, folder: Path, plugins: Plugins, asked: Asked | None = None) -> Added:
    """Verify a run directory and add it to the board in `folder`, which is made from the run if it is not there.

    Nothing is changed if the run does not agree with itself, or does not fit the board: `problems` of the result say
    why. Raises UserError if `run_dir` is no run directory, `folder` is no board, or the run has no such data set.
    """
    asked = Asked() if asked is None else asked
    files = read_run(run_dir)
    stages = RunStages.load(files.manifest.get("plan", {}).get("stages"), files.manifest["matrix"])
    differences = verify(run_dir, plugins).differences
    if differences:
        return Added(problems=[str(difference) for difference in differences])
    new = not (folder / BOARD).exists()
    if new and folder.is_dir() and any(folder.iterdir()):
        raise UserError(
            f"is not empty, and has no {BOARD}", file=folder, hint="give another folder with --board"
        )
    taken = _Taken.of(files, stages, asked, None if new else read_board(folder))
    board = Board(folder, taken.task, taken.splits) if new else read_board(folder)
    added = Added(new_board=new, left_out=taken.left_out)
    problems = _unfit(taken, board)
    if problems:
        added.problems = problems
        return added
    with _beside(folder, new) as workplace:
        draft = Board(workplace, board.task, board.splits)
        write_board(draft)
        entry = _write_entry(draft, taken, plugins, asked)
        found = Verified()
        rescore(entry, draft, found)
        if found.problems:
            added.problems = [str(problem) for problem in found.problems]
            return added
        added.entry = entry.name
        added.existed = _publish(entry, board, new)
    return added


@dataclass
class _Taken:
    """What is taken of a run: one data set at one training fraction, on the splits of the board."""

    files: RunFiles
    dataset: str
    task: BoardTask
    splits: Mapping[int, PlannedSplit]
    left_out: list[str]

    @classmethod
    def of(cls, files: RunFiles, stages: RunStages, asked: Asked, board: Board | None) -> _Taken:
        own = [split for split in stages.splits if split.own]
        dataset = _dataset(own, asked.dataset, files.folder)
        uses = [split for split in own if split.dataset == dataset]
        fraction = _fraction(files, dataset, asked, board)
        splits = dict(_splits(files.folder, uses))
        task = _task(files, dataset, fraction, uses, asked, board)
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
    """The splits of a data set by seed. `verify` has compared their files with the digests."""
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
            metric=asked.metric or (primary if board is None else board.task.metric),
            margin=stated["margin"],
            alpha=stated["alpha"],
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"the run gives no task of a board: {place}: {first['msg']}", file=files.folder
        ) from error


def _without_paths(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a data set that do not depend on where it lies."""
    plain = {name: value for name, value in options.items() if name != "root"}
    return {
        name: value
        for name, value in plain.items()
        if not (isinstance(value, str) and ("/" in value or "\\" in value))
    }


def _unfit(taken: _Taken, board: Board) -> list[str]:
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


# -------------------------------------------------------------------------------------- writing


@contextmanager
def _beside(folder: Path, new: bool) -> Iterator[Path]:
    """A folder on the same disk as a board, which is removed at the end."""
    parent = folder.absolute().parent if new else folder
    parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=".adding-", dir=parent))
    try:
        yield workplace
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _write_entry(draft: Board, taken: _Taken, plugins: Plugins, asked: Asked) -> Path:
    """Write an entry into the draft of a board, and return its folder."""
    folder = draft.entries / "entry"
    folder.mkdir()
    results = taken.results
    results = results[results["split_seed"].isin(list(draft.splits))]
    write_csv(results, folder / RESULTS_FILE)
    fidelity = taken.fidelity
    write_csv(fidelity[fidelity["split_seed"].isin(list(draft.splits))], folder / FIDELITY_FILE)
    done = results.loc[results["status"] == "done", "cell"].tolist()
    _write_predictions(taken.files.predictions, done, draft.task.classes, folder / PREDICTIONS_FILE)
    sheets = _sheets(taken, plugins, asked.samples, draft.task.dataset.licence)
    listed = list(samples.write_sheets(sheets, taken.files.folder / "samples", folder / SAMPLES))
    names = [RESULTS_FILE, FIDELITY_FILE, PREDICTIONS_FILE, *(f"{SAMPLES}/{sheet.file}" for sheet in listed)]
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    content = hashlib.sha256("".join(digests[name] for name in names[:3]).encode()).hexdigest()
    name = check_id(asked.entry or id_of(str(taken.files.manifest["matrix"]["name"]), content))
    manifest = _manifest(draft, taken, name, asked.by)
    document = manifest.model_copy(update={"samples": listed, "files": digests}).model_dump(
        mode="json", by_alias=True
    )
    write_json(document, folder / MANIFEST)
    if (folder / MANIFEST).stat().st_size > LIMITS[MANIFEST]:
        raise UserError(f"the manifest of the entry has more than {LIMITS[MANIFEST]:,} bytes")
    return folder.rename(draft.entries / name)


def _write_predictions(
    source: Path | None, cells: Sequence[str], classes: Sequence[str], target: Path
) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    texts = list(PREDICTIONS.names)
    columns = [*texts, *(f"p_{name}" for name in classes)]
    if source is None:
        raise UserError(
            "the run has no predictions, so that nothing can be scored again", hint="run it again"
        )
    with opened(source, TABLE_BYTES) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        found = pq.ParquetFile(file).read(columns=columns)
    kinds = pa.schema([(name, pa.string() if name in texts else pa.float64()) for name in columns])
    found = found.select(columns).cast(kinds)
    chosen = pc.is_in(found["cell"], pa.array(list(cells), pa.string()))
    chosen = pc.and_(chosen, pc.is_in(found["test_set"], pa.array([TEST, ""], pa.string())))
    with replacing(target) as partial, overwriting(partial) as file:
        pq.write_table(found.filter(chosen), file, compression="zstd")


def _sheets(taken: _Taken, plugins: Plugins, wanted: bool | None, licence: str) -> list[Sheet]:
    """The sheets that may be passed on. Of a generator that trains nothing, samples may be real images."""
    free = samples.is_open(licence)
    if wanted is False or (wanted is None and not free):
        if wanted is None and taken.files.sheets:
            taken.left_out.append(
                f"samples, since the licence of the data ({licence or 'none stated'}) may not let them be passed on; "
                "--samples adds those of generators that were trained"
            )
        return []
    trained = set()
    for strategy in taken.files.manifest["matrix"]["strategies"]:
        use = strategy.get("generator") or {}
        try:
            if use and plugins.get("generator", use["name"]).trains:
                trained.add(strategy["name"])
        except UserError:  # not installed here
            continue
    return samples.chosen(taken.files.sheets, taken.dataset, lambda sheet: free or sheet.strategy in trained)


def _manifest(draft: Board, taken: _Taken, name: str, by: str) -> EntryManifest:
    run = taken.files.manifest
    stated = {
        key: run[key]
        for key in ("derm_bench", "selection", "command", "machine", "distributions", "git")
        if key in run
    }
    offsets = {entry["name"]: entry.get("seed_offset", 0) for entry in run["matrix"]["strategies"]}
    try:
        return EntryManifest(
            id=name,
            by=by,
            dataset=taken.dataset,
            protocol_version=draft.task.protocol_version,
            splits=dict(draft.task.splits),
            seed_offsets={strategy: offset for strategy, offset in offsets.items() if offset},
            run=RunOf(matrix=json.loads(json.dumps(run["matrix"])), **stated),
            files={},
        )
    except (ValidationError, ValueError) as error:
        raise UserError(f"the run cannot be an entry: {error}", file=taken.files.folder) from error


def _publish(entry: Path, board: Board, new: bool) -> bool:
    """Move a finished entry, or the draft of a new board, to its place. Returns whether the same entry was there."""
    if new:
        draft = entry.parent.parent
        if board.folder.is_dir():
            board.folder.rmdir()
        draft.chmod(0o777 & ~_umask())
        draft.rename(board.folder)
        return False
    board.entries.mkdir(exist_ok=True)
    target = board.entries / entry.name
    if target.is_symlink() or target.exists():
        same = (target / MANIFEST).is_file() and _content(target) == _content(entry)
        if same:
            return True
        raise UserError(
            f"the board has another entry {entry.name!r}",
            file=board.folder,
            hint="give it another id with --id",
        )
    entry.rename(target)
    return False


def _content(folder: Path) -> Any:
    """What identifies the content of an entry: the digests of its tables and predictions."""
    files = read_json(folder / MANIFEST, LIMITS[MANIFEST])["files"]
    return [files[name] for name in (RESULTS_FILE, FIDELITY_FILE, PREDICTIONS_FILE)]


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
