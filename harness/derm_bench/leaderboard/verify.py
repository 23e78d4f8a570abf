"""Verifies a board: every entry is read under limits, joined with the board's own split, and scored again.

It detects inconsistency, not invention: predictions that somebody made up agree with the scores that follow from them.
"""

from __future__ import annotations

from pathlib import Path

from derm_bench.leaderboard.problems import Verified
from derm_bench.leaderboard.rescore import Rescored, rescore_all
from derm_bench.leaderboard.task import Board, read_board


def verify_board(folder: Path) -> Verified:
    """Verify all entries of a board; nothing is written. `problems` is empty if everything agrees.

    Raises UserError if board.yaml or split.csv are not those of a board.
    """
    return verified(read_board(folder))[0]


def verified(board: Board) -> tuple[Verified, list[Rescored]]:
    """Verify the entries of a board; also return those without a problem, with what was computed."""
    found = Verified()
    entries = rescore_all(board, found)
    for one in entries:
        for name in one.self_reported:
            count = sum(row["status"] == "done" for row in one.entry.results)
            found.self_reported[name] = found.self_reported.get(name, 0) + count
        for row in one.entry.fidelity:
            name = str(row["metric"])
            if row["value"] is not None:
                found.self_reported[name] = found.self_reported.get(name, 0) + 1
    return found, entries
