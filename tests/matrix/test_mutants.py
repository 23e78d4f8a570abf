"""Mutants of shipped matrices: whatever is written, `plan` plans it or refuses it in words."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from derm_bench.cli.preflight import preflight
from derm_bench.errors import UserError
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins

ROOT = Path(__file__).parent.parent.parent
SHIPPED = sorted((ROOT / "benchmarks").glob("*.yaml"))
PHANTOM = {"name": "phantom-dermoscopy", "images": 90, "side": 16, "size": 16, "split": {"reserve": 0.2}}
CPU = Machine("cpu", ("cpu",), "fp32", 2)

NASTY = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1, 2, 3, 7, 10**6, 10**9, 2**31, 2**64, 10**299, -(10**299)),
        *(0.0, 0.5, 1.0, 1.5, -0.5, 1e-320, 1e308, math.nan, math.inf, -math.inf),
        *(
            "",
            " ",
            "test",
            "all",
            "control",
            "macro",
            "dcgan",
            "0.1",
            "on",
            "~",
            "~nobody/x",
            "a\0b",
            "*",
            "*a*" * 50,
        ),
        *(
            "a/b",
            "../..",
            "/dev/zero",
            "x" * 300,
            "\u202e",
            "\ud7ff",
            "[red]",
            "=1+1",
            "a,b",
            "a\nb",
            "名" * 70,
        ),
        *(
            [],
            {},
            [[]],
            [None],
            {"": ""},
            {"name": "dcgan"},
            ["hflip"] * 3,
            [0, 1],
            list(range(40)),
            [{"a": 1}],
        ),
    ]
)
KEYS = st.sampled_from(
    ["name", "label", "sweep", "classes", "from", "init", "scope", "snapshot", "size", "preset", "x"]
)


def _small(matrix: dict[str, Any]) -> dict[str, Any]:
    """A shipped matrix, on few images that are rendered and not downloaded. A matrix of rendered faces keeps these,
    whose classes it names."""
    data = matrix.get("dataset") or matrix["datasets"][0]
    faces = {**data, "images": 60} if data["name"] == "phantom-face-acne" else None
    others = {key: value for key, value in matrix.items() if key not in ("dataset", "datasets")}
    return others | {"datasets": [faces or PHANTOM]}


MATRICES = [_small(yaml.safe_load(path.read_text())) for path in SHIPPED]
# Those of the papers render their images too. They take longer to plan: tests/matrix/test_papers.py plans them.
PAPERS = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "benchmarks/papers").glob("*.yaml"))]


def _written(matrix: Any) -> str:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return yaml.dump(matrix, Dumper=dumper, sort_keys=False, allow_unicode=True)


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, inner in inside for place in _places(inner, (*at, key)))]


@st.composite
def mutants(draw: st.DrawFn, matrices: Sequence[dict[str, Any]] = MATRICES) -> str:
    """The text of a shipped matrix with one to three values replaced, removed, copied elsewhere or added."""
    matrix = copy.deepcopy(draw(st.sampled_from(matrices)))
    for _ in range(draw(st.integers(1, 3))):
        places = _places(matrix)[1:]
        if not places:
            break
        *above, key = draw(st.sampled_from(places))
        holder: Any = matrix
        for step in above:
            holder = holder[step]
        what = draw(st.sampled_from(["replace", "replace", "remove", "copy", "add"]))
        if what == "remove":
            del holder[key]
        elif what == "copy":
            place = draw(st.sampled_from(places))
            value: Any = matrix
            for step in place:
                value = value[step]
            holder[key] = copy.deepcopy(value)
        elif what == "add" and isinstance(holder, dict):
            holder[draw(KEYS)] = copy.deepcopy(draw(NASTY))
        else:
            holder[key] = copy.deepcopy(draw(NASTY))
    text = _written(matrix)
    if draw(st.integers(0, 9)) == 0:  # damage the text itself
        place, length = draw(st.integers(0, len(text))), draw(st.integers(0, 20))
        text = (
            text[:place]
            + draw(st.sampled_from(["", ":", "- ", "\t", "{", "*a", "&a ", "!!"]))
            + text[place + length :]
        )
    return text


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return Plugins(builtins_only=True)


@pytest.fixture
def outcome(tmp_path, plugins, monkeypatch):
    """Plans the text of a matrix: the message with which it is refused, or an empty one."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    file = tmp_path / "matrix.yaml"

    def outcome(text: str) -> str:
        file.write_text(text, encoding="utf-8", errors="replace")
        try:
            matrix = load_matrix(file, plugins)
            chosen = cells(matrix, plugins)
            preflight(matrix, plugins, chosen)
            make_plan(matrix, chosen, plugins, CPU)
        except UserError as error:
            return str(error) or "refused without a word"
        return ""

    return outcome


COMMON = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


def _is_short(message: str) -> bool:
    return len(message) < 20_000 and "refused without a word" not in message


@settings(max_examples=100, **COMMON)
@given(mutants())
def test_a_mutant_is_planned_or_refused_in_words(outcome, text):
    assert _is_short(outcome(text))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=10_000, **COMMON)
@given(mutants([*MATRICES, *PAPERS]))
def test_ten_thousand_mutants_are_planned_or_refused_in_words(outcome, text):
    assert _is_short(outcome(text))


def test_the_shipped_matrices_themselves_are_planned(outcome):
    assert [outcome(_written(matrix)) for matrix in MATRICES] == [""] * len(MATRICES)
