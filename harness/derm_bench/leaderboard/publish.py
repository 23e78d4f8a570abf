"""Pushes a board to a git repository, so that nobody's entry is lost: compare and swap, with a merge in between.

The branch is fetched, its entries are verified and merged with those of the board, and the result is pushed on the
condition that the branch is still what was fetched. If somebody else was faster, all of that is done again.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from derm_bench.errors import UserError
from derm_bench.leaderboard.build import PAGES, build
from derm_bench.leaderboard.entry import LIMITS, SAMPLE_BYTES, SAMPLES
from derm_bench.leaderboard.git import Git, GitFailed, without_credentials
from derm_bench.leaderboard.merge import merge
from derm_bench.leaderboard.problems import Verified
from derm_bench.leaderboard.rescore import rescore_all
from derm_bench.leaderboard.task import (
    BOARD,
    BOARD_BYTES,
    ENTRIES,
    SPLIT,
    SPLIT_BYTES,
    Board,
    read_board,
    write_board,
)

ATTEMPTS = 8
"""How often a push is tried while others push to the same branch."""
MOST_FILES, MOST_BYTES = 100_000, 8 * 2**30


@dataclass
class Published:
    """What was pushed: the commit, and `place`, the folder in the repository. `remote` has no credentials. `problems`:
    why nothing was pushed."""

    remote: str
    place: str
    commit: str = ""
    pushed: bool = False
    problems: list[str] = field(default_factory=list)


def publish(
    folder: Path, remote: str, *, branch: str = "main", place: str | None = None, message: str | None = None
) -> Published:
    """Push the board in `folder`, together with the entries that the branch has already. The folder is not changed.

    place: the folder in the repository, by default `leaderboards/<name>`. Raises UserError if `folder` is no board, the
    branch has a board of another task there, or git fails.
    """
    board = read_board(folder)
    where = _checked_place(place if place is not None else f"leaderboards/{board.task.name}")
    result = Published(without_credentials(remote), where)
    found = Verified()
    rescore_all(board, found)
    if found.problems:
        result.problems = [str(problem) for problem in found.problems]
        return result
    with tempfile.TemporaryDirectory(prefix="derm-bench-publish-") as temporary:
        git = Git(Path(temporary) / "repository", remote)
        _check_branch(git, branch)
        for attempt in range(ATTEMPTS):
            draft = Path(temporary) / f"board-{attempt}"
            if _attempt(git, board, draft, branch, message, result):
                return result
    raise UserError(
        f"{result.remote}: {branch} was changed by others {ATTEMPTS} times in a row", hint="try again"
    )


def _attempt(
    git: Git, board: Board, draft: Path, branch: str, message: str | None, result: Published
) -> bool:
    """Fetch, merge and push once. False if somebody else pushed in between."""
    base = git.tip(branch)
    there = dict(_files(git, base, result.place)) if base else {}
    _write_draft(git, board, draft, there)
    merged = merge(draft, [board.folder], rebuild=False)
    if merged.problems:
        result.problems = [
            problem.replace(str(draft), f"{result.remote} {branch}") for problem in merged.problems
        ]
        return True
    build(draft)
    tree = _tree(git, base, draft, result.place)
    if base and git.text("rev-parse", f"{base}^{{tree}}") == tree:
        result.commit = base
        return True
    commit = _commit(
        git, tree, base, message or f"Leaderboard {board.task.name}: {len(merged.added)} entries added"
    )
    try:
        git.push(commit, branch, base)
    except GitFailed as error:
        if _was_faster(git, branch, base, error):
            return False
        raise
    result.commit, result.pushed = commit, True
    return True


def _was_faster(git: Git, branch: str, base: str | None, error: GitFailed) -> bool:
    """Whether a push failed because the branch is no longer what was fetched."""
    if not any(
        word in error.text for word in ("stale info", "rejected", "failed to update ref", "cannot lock ref")
    ):
        return False
    return git.tip(branch) != base


# ------------------------------------------------------------------------------- what is there


def _files(git: Git, commit: str, place: str) -> Iterator[tuple[str, str]]:
    """(path below `place`, object) of the files of a board in a commit. Raises UserError for links and anything else
    that is no file, and for names that no board has."""
    listing = git("ls-tree", "-r", "-z", "--long", commit, "--", f"{place}/")
    total = 0
    for number, line in enumerate(filter(None, listing.split(b"\0"))):
        head, _, raw = line.partition(b"\t")
        mode, kind, blob, size = head.decode().split()
        path = raw.decode(errors="replace").removeprefix(f"{place}/")
        if kind != "blob" or mode not in ("100644", "100755"):
            raise UserError(f"the branch has a link or a submodule at {place}/{path[:200]}")
        total += int(size)
        if number >= MOST_FILES or total > MOST_BYTES:
            raise UserError(f"the branch has more in {place} than a board")
        limit = _limit(path)
        if limit is None:
            if path.startswith(f"{ENTRIES}/"):
                raise UserError(f"the branch has {place}/{path[:200]}, and no entry has a file of this name")
            continue  # a README or a workflow beside the board is not touched
        if int(size) > limit:
            raise UserError(
                f"{place}/{path[:200]} of the branch has {int(size):,} bytes, more than {limit:,}"
            )
        yield path, blob


def _limit(path: str) -> int | None:
    """The most bytes of a file of a board; None for any other path."""
    parts = PurePosixPath(path).parts
    if any(part in ("", ".", "..") for part in parts):
        return None
    if len(parts) == 1:
        return {BOARD: BOARD_BYTES, SPLIT: SPLIT_BYTES}.get(parts[0])
    if parts[0] != ENTRIES:
        return None
    if len(parts) == 3:
        return LIMITS.get(parts[2])
    return SAMPLE_BYTES if len(parts) == 4 and parts[2] == SAMPLES and parts[3].endswith(".webp") else None


def _write_draft(git: Git, board: Board, draft: Path, there: Mapping[str, str]) -> None:
    """Write the board of the branch into a new folder; an empty one of the same task if there is none."""
    draft.mkdir()
    if BOARD not in there:
        write_board(Board(draft, board.task, board.splits))
        return
    (draft / ENTRIES).mkdir()
    for path, blob in there.items():
        target = draft.joinpath(*PurePosixPath(path).parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(git("cat-file", "blob", blob))


# -------------------------------------------------------------------------------- what is pushed


def _tree(git: Git, base: str | None, draft: Path, place: str) -> str:
    """The tree of a commit: that of `base` with the files of the draft at `place`. What the draft lacks is kept."""
    index = {"GIT_INDEX_FILE": str(git.folder / "index-of-the-draft")}
    Path(index["GIT_INDEX_FILE"]).unlink(missing_ok=True)
    if base:
        git("read-tree", base, env=index)
    lines = []
    for path in _board_files(draft):
        blob = git("hash-object", "-w", "--no-filters", "--stdin", stdin=path.read_bytes()).decode().strip()
        name = f"{place}/{path.relative_to(draft).as_posix()}"
        lines.append(f"100644 blob {blob}\t{name}".encode())
    git("update-index", "-z", "--index-info", stdin=b"\0".join(lines) + b"\0", env=index)
    return git("write-tree", env=index).decode().strip()


def _board_files(draft: Path) -> Iterator[Path]:
    yield from (draft / name for name in (BOARD, SPLIT, *PAGES))
    for entry in sorted((draft / ENTRIES).iterdir()):
        yield from (entry / name for name in LIMITS)
        if (entry / SAMPLES).is_dir():
            yield from sorted((entry / SAMPLES).iterdir())


def _commit(git: Git, tree: str, base: str | None, message: str) -> str:
    """A commit of a tree, by the user that git knows, else by derm-bench."""
    who = {}
    for role in ("AUTHOR", "COMMITTER"):
        for key, value in (("NAME", "user.name"), ("EMAIL", "user.email")):
            stated = os.environ.get(f"GIT_{role}_{key}") or _configured(git, value)
            who[f"GIT_{role}_{key}"] = stated or {"NAME": "derm-bench", "EMAIL": "derm-bench@localhost"}[key]
    parents = ["-p", base] if base else []
    return git("commit-tree", tree, *parents, stdin=message.encode(), env=who).decode().strip()


def _configured(git: Git, key: str) -> str:
    try:
        return git.text("config", "--get", key)
    except GitFailed:
        return ""


def _check_branch(git: Git, branch: str) -> None:
    try:
        git("check-ref-format", "--branch", branch)
    except GitFailed:
        raise UserError(f"{branch[:100]!r} is not the name of a branch") from None
    if branch.startswith("-") or "@{" in branch:
        raise UserError(f"{branch[:100]!r} is not the name of a branch")


def _checked_place(place: str) -> str:
    parts = PurePosixPath(place).parts
    if (
        not parts
        or place.startswith(("/", "-"))
        or any(p in ("..", ".git") or ord(min(p)) < 32 for p in parts)
    ):
        raise UserError(
            f"{place[:100]!r} is not a folder in a repository", hint="for example --path leaderboards/mine"
        )
    return "/".join(parts)
