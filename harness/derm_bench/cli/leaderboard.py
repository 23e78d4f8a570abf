"""`derm-bench leaderboard`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from derm_bench.cli.common import find_plugins
from derm_bench.leaderboard.problems import Verified
from derm_bench.terminal import say

SHOWN = 50
"""The most problems that are printed; --json has all."""

board_argument = click.argument("board", type=click.Path(path_type=Path))
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def leaderboard() -> None:
    """Boards: entries of many runs on fixed splits, scored again from their predictions."""


@leaderboard.command("add")
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option(
    "--board", required=True, type=click.Path(path_type=Path), help="The board; made if it is not there."
)
@click.option(
    "--id", "entry", default=None, help="Id of the entry. Default: the name of the matrix and a digest."
)
@click.option("--by", default="", help="Who made the entry, as the board shows it.")
@click.option("--dataset", default=None, help="Label of the data set, if the run has several.")
@click.option(
    "--train-fraction", type=float, default=None, help="Of a new board. Default: the largest of the run."
)
@click.option("--name", default=None, help="Name of a new board. Default: the data set and its size.")
@click.option("--metric", default=None, help="Primary metric of a new board. Default: that of the run.")
@click.option(
    "--samples/--no-samples",
    default=None,
    help="Pass on sheets of synthetic images. Default: if the licence of the data is open.",
)
@click.pass_obj
def add_command(flags: dict[str, bool], /, run_dir: Path, board: Path, **asked: object) -> int:
    """Verify RUN_DIR, or the archive of one, and add it to a board, which is made from the run if it is not there.

    The entry has the rows, predictions and image metrics of one data set, and is scored again from its predictions.
    Exits with 1 if the run does not agree with itself or does not fit the board.
    """
    from derm_bench.leaderboard.add import add
    from derm_bench.leaderboard.build import build
    from derm_bench.leaderboard.taken import Asked

    added = add(run_dir, board, find_plugins(flags), Asked(**asked))  # type: ignore[arg-type]
    if added.problems:
        _listed(added.problems)
        say(f"{run_dir} was not added to {board}")
        return 1
    for what in added.left_out:
        say(f"not in the entry: {what}")
    if added.new_board:
        say(f"made the board {board}")
    say(f"{'already there' if added.existed else 'added'}: {board}/entries/{added.entry}")
    found = build(board)
    return _failed(found) if found.problems else 0


@leaderboard.command("build")
@board_argument
def build_command(board: Path) -> int:
    """Verify BOARD and write leaderboard.csv, README.md, index.html and croissant.json. Exits with 1, and writes
    nothing, if an entry is wrong."""
    from derm_bench.leaderboard.build import PAGES, build

    found = build(board)
    if found.problems:
        return _failed(found)
    say(
        f"{found.entries} entries, {found.rows} runs scored again: {', '.join(str(board / name) for name in PAGES)}"
    )
    return 0


@leaderboard.command("verify")
@board_argument
@json_option
def verify_command(board: Path, as_json: bool) -> int:
    """Verify BOARD, which may be anybody's: join the predictions of every entry with the board's split, and compare
    every score that follows from them.

    Exits with 1 if anything is wrong, naming entry, metric and both values. It detects inconsistency, not results that
    were invented.
    """
    from derm_bench.leaderboard.verify import verify_board

    found = verify_board(board)
    if as_json:
        click.echo(json.dumps({"board": str(board), **asdict(found)}, allow_nan=False))
        return 1 if found.problems else 0
    if found.problems:
        return _failed(found)
    say(f"{found.entries} entries, {found.scores} scores of {found.rows} runs compared: no differences")
    if found.self_reported:
        names = ", ".join(f"{count} values of {name}" for name, count in found.self_reported.items())
        say(f"self-reported: {names}; times and memory")
    return 0


@leaderboard.command("merge")
@click.argument("boards", nargs=-1, required=True, type=click.Path(path_type=Path))
def merge_command(boards: tuple[Path, ...]) -> int:
    """Copy the entries of other boards of the same task into the first of BOARDS, and build it.

    All entries are verified first. Exits with 1, and changes nothing, if an entry is wrong or if two boards have
    different entries of one id.
    """
    from derm_bench.leaderboard.merge import merge

    merged = merge(boards[0], boards[1:])
    if merged.problems:
        _listed(merged.problems)
        say(f"{boards[0]} was not changed")
        return 1
    say(f"{boards[0]}: {len(merged.added)} entries added, {merged.same} were there already")
    return 0


@leaderboard.command("publish")
@board_argument
@click.option("--remote", required=True, help="Git repository to push to: a URL (https, ssh) or a path.")
@click.option("--branch", default="main", show_default=True, help="Branch to push to.")
@click.option("--path", "place", default=None, help="Folder in the repository. Default: leaderboards/<name>.")
@click.option("--message", "-m", default=None, help="Message of the commit.")
def publish_command(board: Path, remote: str, branch: str, place: str | None, message: str | None) -> int:
    """Push BOARD to a git repository.

    The entries that others pushed since are fetched, verified and merged first; nobody's entry is lost, whoever pushes
    at the same time. Exits with 1, and pushes nothing, if an entry is wrong or if ids clash.
    """
    from derm_bench.leaderboard.publish import publish

    published = publish(board, remote, branch=branch, place=place, message=message)
    if published.problems:
        _listed(published.problems)
        say("nothing was pushed")
        return 1
    what = (
        f"commit {published.commit[:12]}" if published.pushed else "nothing to do, the branch has this board"
    )
    say(f"{published.remote} {branch}:{published.place}: {what}")
    return 0


def _failed(found: Verified) -> int:
    _listed([str(problem) for problem in found.problems])
    say(f"{len(found.problems)} problems in {found.entries} entries")
    return 1


def _listed(problems: Sequence[str]) -> None:
    for problem in problems[:SHOWN]:
        say(problem)
    if len(problems) > SHOWN:
        say(f"and {len(problems) - SHOWN} more")
