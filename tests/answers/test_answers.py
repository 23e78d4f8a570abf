"""`derm-bench answer` says what the tables of a run say, and what is missing where they say nothing."""

import json

import pytest
from tests.answers.conftest import matrix_of, result, row

from derm_bench.answers.answer import answers
from derm_bench.report.data import ReportData


def answer_of(folder, number=None):
    found = answers(ReportData.load(folder))
    return found if number is None else next(one for one in found if one.question == number)


@pytest.mark.parametrize(
    ("number", "arm", "base", "words"),
    [
        (1, "cgan", "augmentation", "cgan helps more than the augmentation augmentation"),
        (2, "cgan", "oversample", "cgan helps more than oversample, which needs no generator"),
        (3, "cgan", "duplicate", "the gain of cgan is more than that of real images drawn again (duplicate)"),
        (8, "cgan", "blur", "cgan beats the control blur"),
        (12, "filtered", "cgan", "the filtered samples of filtered help more than cgan"),
    ],
)
def test_a_supported_difference_is_said_with_its_numbers(write, number, arm, base, words):
    matrix = matrix_of(["real-only", arm, base], [number], [base])
    found = answer_of(write(matrix, [row(arm, base, 0.05, verdict="helps")]), number)
    assert found.status == "settled" and not found.needs
    assert found.sentences == [
        f"phantom, cnn: {words}: balanced accuracy +0.050 [+0.040, +0.060], p = 0.012 after Holm's correction, 5 seeds."
    ]


def test_an_equivalent_and_a_worse_arm_are_told_apart(write):
    matrix = matrix_of(["cgan", "cgan-3", "duplicate"], [3], ["duplicate"])
    rows = [
        row("cgan", "duplicate", 0.001, verdict="equivalent"),
        row("cgan-3", "duplicate", -0.05, verdict="hurts"),
    ]
    found = answer_of(write(matrix, rows), 3)
    assert found.status == "settled"
    assert "cgan is equivalent to real images drawn again" in found.sentences[0]
    assert "cgan-3 is worse than real images drawn again" in found.sentences[1]


def test_an_inconclusive_comparison_says_how_many_seeds_it_would_need(write):
    matrix = matrix_of(["cgan", "duplicate"], [3], ["duplicate"])
    found = answer_of(
        write(
            matrix,
            [
                row(
                    "cgan",
                    "duplicate",
                    0.02,
                    0.06,
                    "inconclusive",
                    variance_test=1e-6,
                    variance_seed=(0.06 / 2.4469) ** 2 - 1e-6,
                )
            ],
        ),
        3,
    )
    assert found.status == "cannot tell" and "the run cannot tell cgan from duplicate" in found.sentences[0]
    assert (
        "with 5 seeds a true difference of 0.0" in found.needs[0]
        and "one of 0.02 would need about" in found.needs[0]
    )


def test_no_number_of_seeds_is_promised_where_the_test_images_are_too_few(write):
    matrix = matrix_of(["cgan", "duplicate"], [3], ["duplicate"])
    rows = [row("cgan", "duplicate", 0.02, 0.1, "inconclusive", variance_test=0.05**2)]
    assert "needs more test images" in answer_of(write(matrix, rows), 3).needs[0]


def test_failed_runs_are_counted_and_no_number_stands_for_them(write):
    matrix = matrix_of(["cgan", "duplicate"], [3], ["duplicate"])
    rows = [
        row("cgan", "duplicate", None, None, "inconclusive", n=3, reason="3 of 5 runs of cgan/cnn are done")
    ]
    results = [result(name, seed, "failed" if (name, seed) in (("cgan", 0), ("cgan", 1)) else "done")
               for name in ("cgan", "duplicate") for seed in range(5)]  # fmt: skip
    found = answer_of(write(matrix, rows, results), 3)
    assert found.status == "cannot tell"
    assert "no difference" in found.sentences[0] and "3 of 5 seeds" in found.sentences[0]
    assert "2 runs that are not done" in found.needs[0]


def test_an_arm_that_a_selection_left_out_is_named(write):
    matrix = matrix_of(["real-only", "cgan", "duplicate"], [3], ["duplicate"])
    found = answer_of(write(matrix, [], [result("cgan", seed) for seed in range(5)]), 3)
    assert found.status == "cannot tell" and found.needs == [
        "the strategies duplicate, which this run leaves out"
    ]


def test_without_named_questions_all_are_answered_whose_arms_the_matrix_has(write):
    matrix = matrix_of(["real-only", "cgan", "duplicate", "blur"], (), ["duplicate", "blur", "real-only"])
    rows = [row("cgan", base, 0.05, verdict="helps") for base in ("duplicate", "blur", "real-only")]
    assert [one.question for one in answer_of(write(matrix, rows))] == [3, 7, 8]


def test_amounts_are_listed_for_each_share_of_the_real_images(write):
    matrix = matrix_of(["real-only", "cgan", "cgan-3"], [4], ["real-only"])
    rows = [row("cgan", "real-only", 0.05, verdict="helps", train_fraction=0.1),
            row("cgan-3", "real-only", 0.01, 0.04, "inconclusive")]  # fmt: skip
    found = answer_of(write(matrix, rows), 4)
    assert found.status == "partly settled"
    assert "10% of the real images, ratio 1: +0.050 [+0.040, +0.060], helps" in found.sentences[0]
    assert "100% of the real images, ratio 3: +0.010 [-0.030, +0.050], inconclusive" in found.sentences[0]


def test_a_gain_that_does_not_hold_on_other_data_is_said(write):
    sets = [{"name": "test"}, {"name": "abroad", "dataset": {"name": "ddi"}}]
    matrix = matrix_of(["real-only", "cgan"], [6], ["real-only"], test_sets=sets)
    rows = [row("cgan", "real-only", 0.05, verdict="helps"),
            row("cgan", "real-only", -0.04, verdict="hurts", test_set="abroad")]  # fmt: skip
    found = answer_of(write(matrix, rows), 6)
    assert (
        "The verdicts differ" in found.sentences[0]
        and "the external test set abroad -0.040" in found.sentences[0]
    )


def test_the_rarest_class_comes_first_with_what_it_costs(write):
    matrix = matrix_of(["real-only", "cgan"], [7], ["real-only"])
    rows = [row("cgan", "real-only", 0.03, verdict="helps"),
            row("cgan", "real-only", -0.05, metric="recall_nv", verdict=""),
            row("cgan", "real-only", 0.11, metric="recall_mel", verdict="")]  # fmt: skip
    counts = [{"dataset": "phantom", "train_fraction": 1.0, "strategy": "cgan", "generator": "cgan", "split": "train",
               "class": name, "real": n, "synthetic": 0} for name, n in (("nv", 300), ("mel", 40))]  # fmt: skip
    found = answer_of(write(matrix, rows, composition=counts), 7)
    assert "mel gains at the cost of nv" in found.sentences[0]
    assert found.values[0]["class"] == "mel" and found.values[0]["training_images"] == 40


def test_pretrained_classifiers_stand_beside_those_from_scratch(write):
    classifiers = [{"name": "cnn", "label": "cnn", "options": {}},
                   {"name": "cnn", "label": "warm", "options": {}, "init": {"dataset": {}}}]  # fmt: skip
    matrix = matrix_of(["real-only", "cgan"], [9], ["real-only"], classifiers=classifiers)
    rows = [row("cgan", "real-only", 0.0, 0.05, "inconclusive", classifier="warm"),
            row("cgan", "real-only", 0.05, verdict="helps")]  # fmt: skip
    said = answer_of(write(matrix, rows), 9).sentences[0]
    assert said.index("from scratch (cnn) +0.050") < said.index("pretrained (warm) +0.000")


def test_compute_is_compared_with_what_both_arms_cost(write):
    pair = [{"strategy": "cgan", "classifier": "cnn"}, {"strategy": "real-only", "classifier": "large"}]
    matrix = matrix_of(["real-only", "cgan"], [11], ["real-only"], [pair])
    seconds = {"train_seconds": 10.0}
    results = [result("cgan", s, generator_seconds=30.0, **seconds) for s in range(5)]
    results += [
        result("real-only", s, classifier="large", generator_seconds=0.0, train_seconds=12.0)
        for s in range(5)
    ]
    found = answer_of(write(matrix, [row("cgan", "real-only/large", -0.05, verdict="hurts")], results), 11)
    assert "the larger classifier is the better use of compute" in found.sentences[0]
    assert "took 40 s, 30 s of them for the generator; one of real-only/large 12 s" in found.sentences[0]
    assert "did not cost the same (ratio 3.3)" in found.sentences[0]


GANS = [f"gan-{k}" for k in range(8)]


def metric_row(arm, metric, mean):
    return row(arm, "", None, None, metric=metric, mean=mean, classifier="", test_set="")


def test_a_metric_that_orders_generators_as_their_gains_is_found(write):
    matrix = matrix_of(["real-only", *GANS], [10], ["real-only"])
    rows = [row(name, "real-only", 0.01 * k, verdict="inconclusive") for k, name in enumerate(GANS)]
    rows += [
        metric_row(name, "fid", 100 - k) for k, name in enumerate(GANS)
    ]  # lower is better: predicts the gain
    rows += [metric_row(name, "coverage", v) for name, v in zip(GANS, (3, 1, 8, 2, 7, 4, 6, 5), strict=True)]
    directions = {"fid": {"higher_is_better": False, "level": "images"},
                  "coverage": {"higher_is_better": True, "level": "images"}}  # fmt: skip
    found = answer_of(write(matrix, rows, metrics=directions), 10)
    fid, coverage = found.values
    assert fid["rho"] == pytest.approx(1.0) and fid["ci_low"] > 0 and fid["n_generators"] == 8
    assert coverage["ci_low"] < 0 < coverage["ci_high"]
    assert found.status == "partly settled" and "fid predicts the gain" in found.sentences[0]


def test_the_command_prints_sentences_and_json(write, in_process):
    folder = write(
        matrix_of(["cgan", "duplicate"], [3], ["duplicate"]),
        [row("cgan", "duplicate", 0.05, verdict="helps")],
    )
    ran = in_process("answer", folder)
    assert ran.code == 0 and "3. Do synthetic images help more than real images drawn again" in ran.out
    ran = in_process("answer", folder, "--json")
    [one] = json.loads(ran.out)["answers"]
    assert one["status"] == "settled" and one["comparisons"][0]["delta"] == 0.05


def test_a_folder_that_is_no_run_and_a_matrix_file_are_refused(in_process, tmp_path):
    (tmp_path / "m.yaml").write_text("name: m\n")
    assert in_process("answer", "m.yaml").code == 2
    assert in_process("answer", tmp_path / "nothing").code == 2
