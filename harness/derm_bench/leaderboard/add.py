"""Makes an entry of a finished run directory, and the board if there is none yet."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from derm_bench.leaderboard.taken import Asked, Taken, unfit
from derm_bench.leaderboard.task import BOARD, Board, read_board, write_board
from derm_bench.licences import is_open
from derm_bench.plugins import Plugins
from derm_bench.rundir.archive import run_folder
from derm_bench.rundir.directory import read_run
from derm_bench.rundir.files import (
    TABLE_BYTES,
    opened,
    overwriting,
    read_json,
    replacing,
    write_json,
)
from derm_bench.rundir.frames import write_csv
from derm_bench.rundir.planned import RunStages
from derm_bench.rundir.samples import Sheet
from derm_bench.rundir.schema import PREDICTIONS
from derm_bench.runner.sharing import Sharing
from derm_bench.runner.verify import verify


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
    """Verify a run directory, or the archive of one, and add it to the board in `folder`, which is made from the run if
    it is not there.

    Nothing is changed if the run does not agree with itself, or does not fit the board: `problems` of the result say
    why. Raises UserError if `run_dir` is no run directory, `folder` is no board, or the run has no such data set.
    """
    with run_folder(run_dir) as opened_run:
        return _add(opened_run, folder, plugins, Asked() if asked is None else asked)


def _add(run_dir: Path, folder: Path, plugins: Plugins, asked: Asked) -> Added:
    files = read_run(run_dir)
    stages = RunStages.load(files.manifest.get("plan", {}).get("stages"), files.manifest["matrix"])
    new = not (folder / BOARD).exists()
    if new and folder.is_dir() and any(folder.iterdir()):
        raise UserError(
            f"is not empty, and has no {BOARD}", file=folder, hint="give another folder with --board"
        )
    there = None if new else read_board(folder)
    taken = Taken.of(files, stages, asked, there)
    board = Board(folder, taken.task, taken.splits) if there is None else there
    added = Added(new_board=new, left_out=taken.left_out, problems=unfit(taken, board))
    if not added.problems:
        added.problems = [str(difference) for difference in verify(run_dir, plugins).differences]
    if added.problems:
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


def _write_entry(draft: Board, taken: Taken, plugins: Plugins, asked: Asked) -> Path:
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


def _sheets(taken: Taken, plugins: Plugins, wanted: bool | None, licence: str) -> list[Sheet]:
    """The sheets of an entry: those of synthetic images that may be passed on."""
    if wanted is None and taken.files.sheets and not is_open(licence):
        taken.left_out.append(
            f"samples, since the licence of the data ({licence or 'none stated'}) may not let them be passed on; "
            "--samples adds those of generators that were trained"
        )
    sharing = Sharing(taken.files, plugins, wanted)
    return samples.chosen(taken.files.sheets, taken.dataset, sharing.may_share)


def _manifest(draft: Board, taken: Taken, name: str, by: str) -> EntryManifest:
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
