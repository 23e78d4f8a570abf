"""The boards in leaderboards/: they verify, they are small, and nothing in them names the machine that made them."""

from __future__ import annotations

import re

import pytest
from tests.conftest import ROOT

from derm_bench.leaderboard.build import PAGES
from derm_bench.leaderboard.task import BOARD
from derm_bench.leaderboard.verify import verify_board

BOARDS = {path.parent.name: path.parent for path in sorted((ROOT / "leaderboards").glob(f"*/{BOARD}"))}
_MACHINE = re.compile(rb"/(?:root|home|tmp|work|Users|mnt)/")
TEXTS = (".json", ".csv", ".yaml", ".md", ".html")


@pytest.mark.parametrize("name", BOARDS)
def test_a_committed_board_verifies(name):
    found = verify_board(BOARDS[name])
    assert found.problems == []
    assert found.rows > 0 and found.scores > 0


@pytest.mark.parametrize("name", BOARDS)
def test_a_committed_board_is_small_and_names_no_machine(name):
    files = [path for path in BOARDS[name].rglob("*") if path.is_file()]
    assert {page for page in PAGES if not (BOARDS[name] / page).is_file()} == set()
    assert sum(path.stat().st_size for path in files) < 12_000_000
    named = [path for path in files if path.suffix in TEXTS and _MACHINE.search(path.read_bytes())]
    assert named == []


def test_the_readme_has_the_heads_of_all_boards():
    text = (ROOT / "README.md").read_text()
    assert [name for name in BOARDS if f"leaderboards/{name}" not in text] == []


def test_the_board_of_ham10000_has_no_images():
    assert list((ROOT / "leaderboards/ham10000-4class-64").glob("entries/*/samples")) == []
