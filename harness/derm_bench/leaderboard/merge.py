"""Merges boards of the same task: the entries of several people on one board."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from derm_bench.errors import UserError
from derm_bench.leaderboard.build import build
from derm_bench.leaderboard.entry import LIMITS, MANIFEST, SAMPLES, Entry
from derm_bench.leaderboard.problems import Verified
from derm_bench.leaderboard.rescore import rescore_all
from derm_bench.leaderboard.task import Board, read_board
from derm_bench.rundir.files import read_bytes


@dataclass
class Merged:
    """What a merge did: ids of the entries that were added, and the number that the board had already. `problems`: why
    nothing was changed."""

    added: list[str] = field(default_factory=list)
    same: int = 0
    problems: list[str] = field(default_factory=list)


def merge(target: Path, others: Sequence[Path], *, rebuild: bool = True) -> Merged:
    """Copy the entries of other boards into the board `target`, and build it again.

    All entries of all boards are verified before anything is copied. Entries of one id with different content are a
    conflict, and an entry with another id and the same content is left out; with a problem or a conflict nothing is
    changed, and `problems` of the result name it. Raises UserError if a folder is no board, or a board of another task.
    """
    boards = [read_board(folder) for folder in (target, *others)]
    for board in boards[1:]:
        if differences := boards[0].task.differences(board.task):
            raise UserError(
                f"is a board of another task than {target}: {'; '.join(differences)}", file=board.folder
            )
    merged = Merged()
    known: dict[str, tuple[str, Path]] = {}
    contents: dict[str, str] = {}
    fresh: list[Entry] = []
    for board in boards:
        found = Verified()
        for rescored in rescore_all(board, found):
            entry, content = rescored.entry, content_of(rescored.entry)
            if entry.id in known and known[entry.id][0] != content:
                where = known[entry.id][1]
                merged.problems.append(
                    f"{entry.id}: {board.folder} and {where} have different entries of this id"
                )
            elif entry.id in known or content in contents:
                merged.same += 1
            else:
                known[entry.id], contents[content] = (content, board.folder), entry.id
                if board is not boards[0]:
                    fresh.append(entry)
        merged.problems += [f"{board.folder}: {problem}" for problem in found.problems]
    if merged.problems:
        return merged
    for entry in fresh:
        copy_entry(entry, boards[0])
        merged.added.append(entry.id)
    if rebuild:
        build(target)
    return merged


def content_of(entry: Entry) -> str:
    """What identifies an entry: the digests of its tables and predictions, whatever its id and its samples."""
    files = entry.manifest.files
    return " ".join(files[name] for name in sorted(files) if not name.startswith(f"{SAMPLES}/"))


def copy_entry(entry: Entry, board: Board) -> None:
    """Copy an entry that was read onto a board: the files that its manifest lists, and no others."""
    board.entries.mkdir(exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=".merging-", dir=board.folder))
    try:
        draft = workplace / entry.id
        draft.mkdir()
        for name in (MANIFEST, *entry.manifest.files):
            (draft / name).parent.mkdir(exist_ok=True)
            (draft / name).write_bytes(read_bytes(entry.folder / name, max(LIMITS.values())))
        draft.rename(board.entries / entry.id)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
