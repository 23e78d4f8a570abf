"""compare.py: its arithmetic, its guard, what it leaves out, and rows that really run, absurdly small."""

import json
from dataclasses import replace

import pytest


@pytest.fixture
def bench(tmp_path):
    from bench import Bench

    return Bench(tmp_path, size="quick")


def test_a_ratio_above_one_is_better_whatever_the_measure():
    from pairs import compare

    assert compare([300, 200, 210], [100, 100, 100]) == (210, 100, 2.1, pytest.approx(1 / 2.1))
    assert compare([2.0, 2.0], [8.0, 4.0], lower_is_better=True) == (2.0, 6.0, 3.0, pytest.approx(2 / 3))


@pytest.mark.parametrize("sides", [([], []), ([1.0], [1.0, 2.0]), ([0.0], [1.0])])
def test_ratios_need_pairs_of_positive_values(sides):
    from pairs import compare

    with pytest.raises(ValueError, match="pairs of positive values"):
        compare(*sides)


def test_sides_alternate():
    from pairs import Side, alternate

    order = []

    def side(name):
        def run():
            order.append(name)
            return Side({"n": len(order)}, 1.0, 1.0)

        return run

    ours, baseline = alternate(side("A"), side("B"), 3)
    assert order == list("ABABAB")
    assert [s.values["n"] for s in ours] == [1, 3, 5] and [s.values["n"] for s in baseline] == [2, 4, 6]


def test_no_pair_is_started_once_the_first_ones_suffice():
    from pairs import Side, alternate

    seen = []

    def after(ours, baseline):
        seen.append((len(ours), len(baseline)))
        return len(ours) < 2

    ours, baseline = alternate(lambda: Side({}, 1.0, 1.0), lambda: Side({}, 1.0, 1.0), 5, after)
    assert seen == [(1, 1), (2, 2)] and len(ours) == len(baseline) == 2


def test_one_process_serves_all_runs_of_a_side(tmp_path, monkeypatch):
    import pairs

    (tmp_path / "slow_side.py").write_text(
        "import os\nfrom side import arguments, report\n"
        "def main():\n"
        "    given = arguments('', words='')\n"
        "    report(words=given.words, batch=given.batch, process=os.getpid())\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    serving = pairs.Serving("slow_side", {})
    serving.ready()
    first = pairs.run_side("slow_side", ["--words", "a b", "--batch", "7"], {}, serving).values
    second = pairs.run_side("slow_side", ["--batch", "8"], {}, serving).values
    alone = pairs.run_side("slow_side", ["--batch", "9"], {}).values
    serving.end()
    assert [(side["words"], side["batch"]) for side in (first, second, alone)] == [
        ("a b", 7),
        ("", 8),
        ("", 9),
    ]
    assert first["process"] == second["process"] != alone["process"]


def test_a_serving_process_that_fails_says_why(tmp_path, monkeypatch):
    import pairs

    (tmp_path / "broken_side.py").write_text("raise SystemExit('no such module')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    serving = pairs.Serving("broken_side", {})
    serving.ready()
    with pytest.raises(pairs.SideFailed, match="no such module"):
        pairs.run_side("broken_side", [], {}, serving)


@pytest.mark.parametrize("size", ["gpu-check", "toy"])
def test_other_sizes_cover_the_rows_of_the_gpu_check(bench, size):
    from compare import left_out
    from rows import ROWS

    sized = replace(bench, size=size)
    there = {number for number in ROWS if not left_out(sized, number).startswith("it has no size")}
    assert there == {1, 2, 3, 4, 5, 6, 7, 9}
    for number in there:
        assert set(sized.sizes(ROWS[number])) >= set(ROWS[number].quick)


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_every_precision_of_the_probe_is_one_of_the_sides_with_a_bound(precision, monkeypatch):
    from parity import LOSS_BOUND
    from side import arguments

    monkeypatch.setattr("sys.argv", ["side", "--precision", precision])
    assert arguments("").precision == precision
    assert LOSS_BOUND["fp32"] <= LOSS_BOUND[precision] <= LOSS_BOUND["bf16"]


def test_the_guard_names_what_fell_by_more_than_a_quarter():
    from pairs import fallen

    earlier = {"1": 2.0, "2": 2.0, "3": 2.0}
    assert fallen({"1": 1.49, "2": 1.51, "9": 0.1}, earlier) == ["row 1: the ratio fell from 2.00 to 1.49"]


def test_losses_must_be_as_many_and_as_near_as_the_bound():
    from parity import judge_losses

    plain = {"loss": [1.0, 0.5, 0.0]}  # a critic's loss crosses zero: 0.5 is the curve's median size
    assert judge_losses({"loss": [1.001, 0.5, 0.0005]}, plain, 2e-3, "fp32").passed
    far = judge_losses({"loss": [1.0, 0.51, 0.0]}, plain, 2e-3, "fp32")
    assert far.passed is False and "2.0e-02" in str(far) and str(far).startswith("FAILED")
    assert judge_losses({"loss": [1.0, 0.5, 0.01]}, plain, 2e-3, "fp32").passed is False
    assert judge_losses({"loss": [1.0]}, plain, 2e-3, "fp32").passed is False


def test_cells_must_agree_in_counts_and_score(bench):
    import parity

    def side(score, count=5):
        cells = [{"balanced_accuracy": score + k / 10} for k in range(2)]
        return {"cells": [c | {"n_train_real": count, "n_train_synthetic": 2, "n_test": 3} for c in cells]}

    assert parity.cells(bench, None, side(0.5), side(0.52)).passed
    assert parity.cells(bench, None, side(0.5), side(0.9)).passed is False
    assert parity.cells(bench, None, side(0.5), side(0.59)).passed, "two cells have too little spread"
    assert parity.cells(bench, None, side(0.5), side(0.5, count=6)).passed is False


def line(row, ratio, passed=True):
    figures = {"metric": "m", "ours": 1.0, "baseline": 1.0, "ratio": ratio, "spread": 0.0, "target": 2.0}
    rest = {"parity": "-", "passed": passed, "also": [], "peak_mb": [1, 1]}
    return {"row": row, **figures, **rest}


@pytest.fixture
def measured(monkeypatch):
    """compare.main with rows that come to the given ratios."""
    import compare

    def call(ratios, *flags, passed=True):
        monkeypatch.setattr(
            compare, "measure", lambda bench, row, pairs: line(row.number, ratios[row.number], passed)
        )
        rows = [word for number in ratios for word in ("--row", str(number))]
        return compare.main([*rows, "--precision", "fp32", "--device", "cpu", *flags])

    return call


def test_saved_ratios_guard_later_runs(measured, tmp_path, capsys):
    file = tmp_path / "ratios.json"
    assert measured({2: 2.0, 3: 3.0}, "--save", str(file)) == 0
    assert measured({2: 1.9}, "--guard", str(file), "--save", str(file)) == 0
    assert json.loads(file.read_text())["cpu"]["ratios"] == {"2": 1.9, "3": 3.0}
    assert measured({2: 1.8, 3: 1.0}, "--guard", str(file)) == 1
    assert "row 3: the ratio fell from 3.00 to 1.00" in capsys.readouterr().err
    file.write_text("{")
    with pytest.raises(SystemExit) as end:
        measured({2: 1.8}, "--guard", str(file))
    assert end.value.code == 2 and str(file) in capsys.readouterr().err


def test_json_is_a_line_a_row_and_failed_parity_is_an_exit_code(measured, capsys):
    assert measured({2: 2.0, 3: 3.0}, "--json", passed=False) == 1
    printed = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert [entry["row"] for entry in printed] == [2, 3]
    assert {"row", "metric", "ours", "baseline", "ratio", "spread", "target", "parity"} <= set(printed[0])


def test_rows_without_their_baseline_are_left_out_with_a_line(measured, monkeypatch, capsys):
    import compare

    absent = replace(compare.ROWS[7], needs=("a_module_nobody_has",))
    monkeypatch.setitem(compare.ROWS, 7, absent)
    assert measured({2: 2.0, 7: 1.0}, "--json") == 0
    printed = capsys.readouterr()
    assert [json.loads(text)["row"] for text in printed.out.splitlines()] == [2]
    assert "row 7 is skipped: its baseline needs a_module_nobody_has" in printed.err


@pytest.mark.slow
def test_a_side_that_fails_costs_its_row_alone_and_says_why(measured, monkeypatch, capsys, bench):
    import compare
    from pairs import SideFailed

    def breaks(bench, row, pairs):
        if row.number == 2:
            raise SideFailed("ours.row2 ended with exit code 1:\nno such file")
        return line(row.number, 1.0)

    monkeypatch.setattr(compare, "measure", breaks)
    assert compare.main(["--row", "2", "--row", "3", "--precision", "fp32", "--device", "cpu", "--json"]) == 1
    printed = capsys.readouterr()
    assert "row 2 failed" in printed.err and "no such file" in printed.err
    assert [json.loads(text)["row"] for text in printed.out.splitlines()] == [3]
    with pytest.raises(SideFailed, match=r"absent\.npy"):
        bench.baseline(compare.ROWS[2], ["--images", str(bench.folder / "absent.npy")])


SMALL = {
    "images": 24, "features": 2100, "batch": 4, "updates": 3, "warmup": 1, "parity_batch": 4, "pairs": 1,
    "generators": 1, "classifiers": 1, "seeds": 2, "cells": 10, "planned": 100,
}  # fmt: skip


@pytest.mark.slow
def test_a_row_measures_both_sides_and_their_memory(bench):
    from compare import measure
    from rows import ROWS

    found = measure(bench, replace(ROWS[2], quick=SMALL, check=None))
    assert found["ratio"] == pytest.approx(found["ours"] / found["baseline"], rel=1e-2)
    assert found["target"] == 2.0 and found["parity"] == "-" and found["pairs"] == 1
    assert min(found["peak_mb"]) > 50


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", [1, 2, 3, 5, 6, 7, 8, 9, 10])
def test_every_row_runs_and_agrees_with_its_baseline(bench, number):
    from compare import left_out, measure
    from rows import ROWS

    reason = left_out(bench, number)
    if reason:
        pytest.skip(reason)
    sizes = SMALL | ({"images": 60, "batch": 8} if number == 9 else {})
    found = measure(bench, replace(ROWS[number], quick=sizes))
    # Two cells after three updates have no spread to lie within; their counts must agree all the same.
    agreed = found["passed"] is not False or "cells; balanced accuracy" in found["parity"]
    assert agreed, found["parity"]
    assert found["ratio"] > 0 and found["ours"] > 0


def test_the_first_epoch_is_read_from_ham10000_if_its_folder_is_given(tmp_path):
    from bench import Bench
    from rows import ROWS

    folder = tmp_path / "ham"
    part = folder / "HAM10000_images_part_1"
    part.mkdir(parents=True)
    (folder / "HAM10000_metadata.csv").write_text(
        "image_id,dx\nISIC_2,nv\nISIC_1,mel\nISIC_3,nv\nISIC_4,df\n"
    )
    for name in ("ISIC_1", "ISIC_2", "ISIC_3"):
        (part / f"{name}.jpg").write_bytes(name.encode())
    bench = Bench(tmp_path / "bench", size="quick", data=folder)
    row = replace(ROWS[8], quick={"images": 2, "pairs": 1})
    flags = bench.arguments(row)
    read = sorted(path for path in (tmp_path / "bench").rglob("*.jpg"))
    assert [path.relative_to(flags[flags.index("--folder") + 1]).as_posix() for path in read] == [
        "mel/ISIC_1.jpg",
        "nv/ISIC_2.jpg",
    ]


def test_images_of_the_rows_are_made_in_folders_of_their_classes(bench):
    from PIL import Image

    made = sorted(bench.material.jpegs(12).glob("*/*.jpg"))
    assert len(made) == 12 and len({path.parent for path in made}) > 1
    assert Image.open(made[0]).size == (600, 450)
