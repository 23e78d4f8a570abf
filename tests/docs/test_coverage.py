"""docs/coverage.md: every reference of the papers is in it; its plugins exist, or are planned and do not exist yet."""

import inspect
import re

import pytest
from tests.conftest import ROOT

from derm_bench.matrix import unsupported
from derm_bench.matrix.model import PERMITS
from derm_bench.plugins import Plugins
from derm_bench_plugins.classifiers.timm_presets import NETWORKS

PAGE = (ROOT / "docs" / "coverage.md").read_text()
FOUND = Plugins(builtins_only=True)
KINDS = ("dataset", "generator", "classifier", "metric", "transform")
REFERENCES = {"000": 26, "001": 19, "002": 23, "003": 27, "004": 42}  # how many each paper lists
# What comes with the style-based family and with alopecia, and may stand here as planned.
NEXT = {
    "stylegan2",
    "stylegan2-ada",
    "stylegan2-hierarchy",
    "sl-stylegan",
    "sla-stylegan",
}


def tables():
    """Rows of the tables that have a column `covered by`, as {column: text}."""
    head = None
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else None
        if cells is None:
            head = None
        elif head is None:
            head = cells
        elif "covered by" in head and not set(line) <= set("|-"):
            yield dict(zip(head, cells, strict=True))


ROWS = list(tables())


def presets(plugin: str) -> set[str] | None:
    """Of all plugins of that name; None where there is none."""
    kinds = [kind for kind in KINDS if plugin in FOUND.names(kind)]
    return {preset for kind in kinds for preset in FOUND.get(kind, plugin).presets} if kinds else None


def problems(covered: str):
    named = re.findall(r"`([^`]+)`( \*planned\*)?", covered)
    if covered.startswith(("out of scope: ", "the harness: ")):
        return
    if not named:
        yield "it says neither what covers it nor why nothing does"
    for text, planned in named:
        plugin, _, preset = text.partition(": ")
        found = presets(plugin)
        if planned and (plugin not in NEXT or found is not None):
            yield f"{plugin} is no longer planned"
        if not planned and found is None:
            yield f"there is no plugin {plugin}"
        if preset and preset not in (found or ()):
            yield f"{plugin} has no preset {preset}"


def test_each_method_is_covered_by_plugins_that_exist_or_it_is_said_why_not():
    assert len(ROWS) > 80
    found = {row.get("method") or row["data set"]: [*problems(row["covered by"])] for row in ROWS}
    assert {method: wrong for method, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("paper", REFERENCES)
def test_every_reference_of_a_paper_has_a_row(paper):
    cited = set()
    for row in ROWS:
        for number, references in re.findall(r"(\d{3})((?:,? ?\[[\d-]+\])*)", row["cited by"]):
            for first, last in re.findall(r"\[(\d+)(?:-(\d+))?\]", references if number == paper else ""):
                cited |= set(range(int(first), int(last or first) + 1))
    assert cited == set(range(1, REFERENCES[paper] + 1))


def test_the_networks_are_the_presets_with_where_their_weights_come_from():
    row = r"^\| ([^|]+) \| `([^`]+)` \| `([^`]+)` \| (\d+) \| (\S+) \|([^|]*)\|$"
    rows = [[cell.strip() for cell in cells] for cells in re.findall(row, PAGE, re.MULTILINE)]
    assert rows == [
        [n.paper_name, preset, n.model, str(n.size), n.source or "none", n.note]
        for preset, n in NETWORKS.items()
    ]


@pytest.mark.parametrize("key", ["best_on_val"])
def test_a_key_that_is_refused_as_unsupported_is_claimed_nowhere(key):
    assert key.removeprefix("synthetic.") in inspect.getsource(unsupported), (
        "it is supported: drop it from this list"
    )
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    lines = [line for page in pages for line in page.read_text().splitlines() if key in line]
    assert [line for line in lines if "not supported" not in line] == []


def test_the_fairness_rules_name_every_permit_and_no_other():
    page = (ROOT / "docs" / "fairness.md").read_text()
    permits = [line.split("|")[-2].strip(" `") for line in page.splitlines() if line.startswith("| ")]
    assert sorted(permits[1:]) == sorted(PERMITS)


def test_the_page_is_in_the_documentation():
    assert "(coverage.md)" in (ROOT / "docs" / "index.md").read_text()
