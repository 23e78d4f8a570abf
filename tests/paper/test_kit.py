"""The paper kit is well-formed LaTeX whatever the labels are, states what the manifest knows, overwrites nothing."""

import re
from collections import Counter

import pytest
from tests.report.conftest import write_run

from derm_bench.errors import UserError
from derm_bench.paper import latex
from derm_bench.paper.checklist import AUTHOR, ITEMS
from derm_bench.paper.kit import FILES, write_kit
from derm_bench.report.data import ReportData
from derm_bench.report.view import Table

HOSTILE = r"50% & \input{/etc/passwd} $x_1$ #2 ^~ {a}"


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """The kit of a made-up run with hostile labels and failed cells."""
    folder = tmp_path_factory.mktemp("paper")
    run = write_run(folder / "run", fractions=(1.0,), classifiers=("dermagan-cnn",))
    write_kit(ReportData.load(run), folder / "kit")
    return folder / "kit"


def without_text(source):
    """LaTeX without escaped characters and comments."""
    return re.sub(r"(?m)%.*$", "", re.sub(r"\\[\\{}$&#_%]", "", source))


def test_environments_braces_and_maths_are_balanced(kit):
    for name in ("paper.tex", "tables.tex", "methods.tex", "checklist.tex"):
        source = without_text((kit / name).read_text())
        open_ones = []
        for kind, environment in re.findall(r"\\(begin|end)\{(\w+)\}", source):
            if kind == "begin":
                open_ones.append(environment)
            else:
                assert open_ones.pop() == environment, name
        assert open_ones == []
        counts = Counter(source)
        assert counts["{"] == counts["}"] and counts["$"] % 2 == 0, name


def test_every_row_of_a_table_has_as_many_cells_as_columns(kit):
    source = (kit / "tables.tex").read_text()
    for columns, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", source, re.S):
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert rows
        for row in rows:
            assert len(re.findall(r"(?<!\\)&", row)) == len(columns) - 1, row
    assert r"\toprule" in source and r"\bottomrule" in source


def test_nothing_in_a_label_is_a_command():
    shown = latex.escape(HOSTILE)
    assert r"\input" not in shown and r"\textbackslash{}input\{" in shown
    assert not re.search(r"(?<!\\)[%&#$_]", shown)
    assert "\n" not in latex.escape("a\n\nb") and "\x1b" not in latex.escape("a\x1b[2J")


def test_only_what_the_data_support_is_bold():
    rows = [
        ["gan", "+0.1", "helps (p = 0.01)"],
        ["blur", "+0.0", "inconclusive"],
        ["copy", "-0.1", "hurts (p <0.001)"],
    ]
    source = latex.table(Table("t", ["arm", "Δ", "verdict"], rows), "x")
    assert re.findall(r"\\textbf\{(\w+)", source) == ["helps", "hurts"]


def test_the_kit_has_figures_as_pdf_and_includes_each(kit):
    figures = sorted(file.name for file in (kit / "figures").iterdir())
    main = (kit / "paper.tex").read_text()
    assert figures and all((kit / "figures" / name).read_bytes().startswith(b"%PDF-") for name in figures)
    assert sorted(re.findall(r"\{figures/([^}]+)\}", main)) == figures
    assert all("\\input{" + name + "}" in main for name in ("methods", "tables", "checklist"))


def test_the_methods_say_what_the_manifest_knows(kit):
    said = (kit / "methods.md").read_text()
    assert "400 updates in every arm" in said and "corrected after Holm" in said and "torch 2.12.0" in said
    assert re.search(r"\d+ training images \(mel \d+, nv \d+, bkl \d+\)", said)
    assert "planned scores are missing" in said or "their runs failed" not in said


def test_the_checklist_has_every_item_and_asks_the_author_for_the_rest(kit):
    said = (kit / "checklist.md").read_text()
    assert all(item.split(":")[0] in said for _, item, _ in ITEMS)
    assert said.count(AUTHOR) >= 10 and "[Check and complete.]" in said.replace("\\", "")


def test_a_folder_with_other_files_is_left_alone_and_a_kit_is_renewed(kit, tmp_path, monkeypatch):
    monkeypatch.setattr("derm_bench.paper.kit._figures", lambda data, folder: [])  # they take seconds
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.tex").write_text("mine")
    run = write_run(tmp_path / "run", fractions=(1.0,), classifiers=("dermagan-cnn",), seeds=(0,))
    data = ReportData.load(run)
    with pytest.raises(UserError, match="not an earlier paper kit"):
        write_kit(data, other)
    assert [file.name for file in other.iterdir()] == ["thesis.tex"]
    (kit / "tables.tex").write_text("old")
    write_kit(data, kit)
    assert (kit / "tables.tex").read_text() != "old" and all((kit / name).is_file() for name in FILES)
