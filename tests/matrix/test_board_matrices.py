"""benchmarks/boards: the matrices of the boards in leaderboards/ can be planned, permit nothing, have what they say."""

from __future__ import annotations

import pytest
from tests.conftest import ROOT

from derm_bench.cli.preflight import preflight
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins

FILES = {path.stem: path for path in sorted((ROOT / "benchmarks/boards").glob("*.yaml"))}
CPU = Machine("cpu", ("cpu",), "fp32", 1)
# Generators that need images, a program or photographs of hair, and the networks that another generator is made of.
ELSEWHERE = {"folder", "command", "aagan", "hair-volume", "stylegan2-unlabelled"}
PHANTOM = "datasets.0={name: phantom-dermoscopy, images: 2400, classes: [mel, bkl, akiec, bcc], size: 64}"


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return Plugins(builtins_only=True)


@pytest.mark.parametrize("presets", [(), ("smoke",)])
@pytest.mark.parametrize("name", FILES)
def test_the_matrix_of_a_board_can_be_planned(name, presets, plugins):
    sets = ("seeds=[0]", *(() if name.startswith("phantom") else (PHANTOM,)))
    matrix = load_matrix(FILES[name], plugins, presets=presets, sets=sets)
    chosen = cells(matrix, plugins)
    preflight(matrix, plugins, chosen)
    planned = make_plan(matrix, chosen, plugins, CPU)
    assert planned.cells and planned.fidelity
    assert presets or planned.warnings == []


@pytest.mark.parametrize("name", FILES)
def test_a_board_has_our_protocol_three_seeds_and_its_baseline(name, plugins):
    matrix = load_matrix(FILES[name], plugins)
    assert (matrix.protocol.name, matrix.protocol.allow) == ("fair", ())
    assert len(matrix.seeds.together) >= 3
    assert matrix.strategies[0].name == "real-only"
    assert FILES[name].stem.replace("_", "-") == matrix.name


def test_the_board_of_phantoms_has_every_generator_that_runs_on_them(plugins):
    matrix = load_matrix(FILES["phantom_dermoscopy_64"], plugins)
    there = {strategy.generator.name for strategy in matrix.strategies if strategy.generator is not None}
    assert there == set(plugins.names("generator")) - ELSEWHERE


def test_the_board_of_ham10000_is_on_the_data_of_paper_003(plugins):
    board = load_matrix(FILES["ham10000_4class_64"], plugins).datasets[0]
    paper = load_matrix(ROOT / "benchmarks/papers/dermagan.yaml", plugins, presets=("fair",)).datasets[0]
    for key in ("name", "size", "resize", "classes", "limit", "preprocess", "clean", "split"):
        assert getattr(board, key) == getattr(paper, key), key
