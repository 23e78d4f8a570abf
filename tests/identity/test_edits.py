"""An edit changes the keys of the stages whose numbers it can change, and no other key."""

import pytest

DOWNSTREAM = {"statistics", "figures"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (
            "derm_bench/matrix/model.py",
            'description="stored side in pixels"',
            'description="side of what is stored"',
        ),
        (
            "derm_bench_plugins/generators/specs/common.py",
            'description="betas of Adam"',
            'description="Adam\'s decay rates"',
        ),
        (
            "derm_bench/options/generator.py",
            'description="how long to fit',
            'description="for how long to fit',
        ),
    ],
)
def test_a_help_text_changes_no_key(source, changed, file, old, new):
    source.edit(file, old, new)
    assert changed() == {}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("derm_bench/training/feed.py", "there is no image to train on", "the training set is empty"),
        ("derm_bench/errors.py", "did you mean '", "perhaps '"),
        ("derm_bench/stages/decode.py", "images cannot be read", "images are unreadable"),
    ],
)
def test_an_error_message_changes_no_key(source, changed, file, old, new):
    source.edit(file, old, new)
    assert changed() == {}


def test_a_docstring_changes_no_key(source, changed):
    source.edit("derm_bench/training/engine.py", "The loop of one fit.", "The training loop of one fit.")
    source.append("derm_bench/training/feed.py", "\n# a comment\n")
    assert changed() == {}


def test_a_hook_and_a_kind_of_spec_that_are_added_change_no_key(source, changed):
    source.append(
        "derm_bench/hookspecs.py", "\n\n@hookspec\ndef derm_bench_boards():\n    'Boards of one\\'s own.'\n"
    )
    source.append("derm_bench/specs.py", "\n\nclass BoardSpec(PluginSpec):\n    colour: str = 'blue'\n")
    assert changed() == {}


def test_a_metric_that_is_added_changes_evaluations_and_retrains_nothing(source, changed):
    source.append("derm_bench/scoring/extra.py", "def youden(predictions):\n    return 0.5\n")
    source.edit(
        "derm_bench/scoring/names.py",
        '"accuracy": MetricEntry("derm_bench.scoring.confusion_matrix:accuracy"),',
        '"accuracy": MetricEntry("derm_bench.scoring.confusion_matrix:accuracy"),\n'
        '    "youden": MetricEntry("derm_bench.scoring.extra:youden"),',
    )
    assert changed().keys() == {"evaluate"} | DOWNSTREAM


def test_an_option_of_a_sibling_changes_that_generators_stages_alone(source, changed):
    source.edit(
        "derm_bench_plugins/generators/specs/cgan.py",
        "class CganOptions(",
        "EXTRA = 1\n\n\nclass CganOptions(",
    )
    assert changed() == {}, "a constant beside the options is read by nobody"
    source.append(
        "derm_bench_plugins/generators/specs/acgan.py", "\n\nclass More(AcganOptions):\n    depth: int = 3\n"
    )
    assert changed() == {}


def test_a_caption_redraws_and_does_not_retrain(source, changed):
    source.edit("derm_bench/stages/grids.py", 'f"class {label}"', 'f"the class {label}"')
    assert changed().keys() == {"grids"}
    source.append("derm_bench/report/training_figures.py", "\nSIZE = 11\n")
    assert changed().keys() == {"grids", "figures"}


def test_a_threshold_of_the_health_check_checks_again_and_does_not_refit(source, changed):
    source.edit("derm_bench/training/health.py", "COLLAPSED = 0.05", "COLLAPSED = 0.04")
    assert changed().keys() == {"health"}


def test_the_loss_of_one_gan_changes_its_fit_and_what_is_made_of_it(source, changed):
    source.edit(
        "derm_bench_plugins/generators/cgan.py",
        "from __future__ import annotations",
        "from __future__ import annotations\n\nSCALE = 2.0",
    )
    found = changed()
    assert found["fit"] and all("cgan" in title and "dcgan" not in title for title in found["fit"])
    assert all("dcgan" not in title for title in found["sample"])
    assert found["train"] == {"train dermagan-cnn on cgan seed 0"}
    assert found.keys() == {
        "fit", "health", "sample", "fidelity", "train", "evaluate", "grids", "neighbours", "interpolation",
    } | DOWNSTREAM  # fmt: skip


def test_the_resize_changes_what_is_decoded_and_everything_after_it(source, changed, stages):
    source.edit("derm_bench/training/resize.py", "CHUNK = 256", "CHUNK = 128")
    assert sum(map(len, changed().values())) == len(stages())


def test_a_metrics_formula_changes_evaluations_and_no_training_that_does_not_select_by_it(source, changed):
    source.append("derm_bench/scoring/ranking.py", "\nTIES = 0.5\n")
    assert changed().keys() == {"evaluate"} | DOWNSTREAM


def test_the_formula_of_the_primary_metric_changes_trainings(source, changed):
    source.append("derm_bench/scoring/confusion_matrix.py", "\nSMOOTHING = 0.0\n")
    assert changed().keys() == {"train", "evaluate"} | DOWNSTREAM


def test_the_engine_changes_what_is_trained_by_it_and_what_is_made_of_that(source, changed):
    source.append("derm_bench/training/engine.py", "\nWARM_UP = 3\n")
    found = changed()
    assert not found.keys() & {"decode", "reference", "real-features", "training-features", "preprocessing"}
    assert {title for title in found["fidelity"] if "noise" in title or "real-holdout" in title} == set()
    assert len(found["fit"]) == 3 and len(found["train"]) == 3


def test_what_runs_beneath_every_stage_changes_every_key(source, changed, stages):
    source.append("derm_bench/stages/context.py", "\nLIMIT = 3\n")
    assert sum(map(len, changed().values())) == len(stages())
