"""StageRun: budget, selection on validation, curves, snapshots, and what it refuses."""

import inspect

import numpy as np
import pytest
import torch
from torch import nn

from derm_bench.errors import Diverged
from derm_bench.images import ImageSet
from derm_bench.run import Run
from derm_bench.training.feed import Feed, FeedOptions
from derm_bench.training.pixels import Pixels, Rows
from derm_bench.training.selection import Selection, log_loss
from derm_bench.training.stage_run import (
    Checkpointing,
    Snapshots,
    StageRun,
    evaluation_steps,
    seed_everything,
)


def image_set(n=12, classes=("a", "b")):
    names = tuple(map(str, range(n)))
    images = torch.randint(0, 256, (n, 3, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(images, torch.arange(n) % len(classes), classes, names, names)


def predictor(accuracy, val):
    """Predicts the first `accuracy` share of the validation images right, the others wrong."""
    right = torch.arange(len(val)) < accuracy * len(val)
    label = torch.where(right, val.labels, 1 - val.labels)
    return lambda images: nn.functional.one_hot(label, 2).float()


def run_of(**options) -> Run:
    return StageRun(**{"seed": 0, "budget": 20, "feed": FeedOptions(batch_size=4), **options})


def test_ten_evaluations_evenly_spread_with_the_last_update_among_them():
    assert evaluation_steps(100, 10) == set(range(10, 101, 10))
    assert max(evaluation_steps(37, 10)) == 37 and len(evaluation_steps(37, 10)) == 10
    assert evaluation_steps(3, 10) == {1, 2, 3}


def test_the_state_with_the_best_validation_score_is_kept_and_of_equal_ones_the_first():
    val = image_set()
    run = run_of(
        selection=Selection(
            val=val, evaluations=5, metric=lambda y, p, groups: float((p.argmax(1) == y).mean())
        )
    )
    for step, accuracy in zip(range(4, 21, 4), (0.25, 0.75, 0.5, 0.75, 0.5), strict=True):
        run.evaluate(step - 1, predictor(1.0, val), lambda: "between evaluations")
        run.evaluate(step, predictor(accuracy, val), lambda step=step: step)
    assert run.selected() == 8 and run.best_score == 0.75
    scores = [row for row in run.history() if row.metric == "balanced_accuracy"]
    assert [(row.step, row.split, row.value) for row in scores][1] == (8, "val", 0.75)


def log_loss_run(val, **options):
    """A run that selects by log loss, given probabilities of the true class for its five evaluations."""
    selection = Selection(
        val=val, metric=lambda y, p, groups: log_loss(y, p), higher_is_better=False, evaluations=5, **options
    )
    run = run_of(selection=selection)
    shares = iter((0.9, 0.7, 0.6, 0.4, 0.2))

    def evaluate(step):
        share = next(shares)
        right = nn.functional.one_hot(val.labels, 2).float()
        run.evaluate(step, lambda images: right * share + (1 - right) * (1 - share), lambda: step)

    return run, evaluate


def test_a_run_whose_log_loss_gets_worse_keeps_its_first_checkpoint():
    run, evaluate = log_loss_run(image_set())
    for step in range(4, 21, 4):
        evaluate(step)
    assert run.selected() == run.selected_step == 4 and run.best_score == pytest.approx(-np.log(0.9))


def test_patience_counts_evaluations_whose_log_loss_did_not_fall():
    run, evaluate = log_loss_run(image_set(), patience=2)
    steps = []
    for batch in run.batches(image_set()):
        steps.append(batch.step)
        if batch.step in run.evaluation_steps:
            evaluate(batch.step)
    assert steps[-1] == 12 and run.selected() == 4


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_nan_is_never_selected_over_a_number(higher_is_better):
    val, scores = image_set(), iter((float("nan"), 0.5, float("nan"), 0.5, float("nan")))
    selection = Selection(val, lambda *_: next(scores), higher_is_better=higher_is_better, evaluations=5)
    run = run_of(selection=selection)
    for step in range(4, 21, 4):
        run.evaluate(step, predictor(1.0, val), lambda step=step: step)
    assert run.selected() == 8 and run.best_score == 0.5


def test_where_no_score_is_a_number_the_last_state_is_the_selected_one():
    val = image_set()
    run = run_of(selection=Selection(val, lambda *_: float("nan"), evaluations=5))
    run.evaluate(4, predictor(1.0, val), lambda: 4)
    assert run.selected() is None and run.selected_step == 20 and np.isnan(run.best_score)


def test_the_metric_is_given_labels_probabilities_and_groups_of_the_validation_images():
    val, seen = image_set(), []
    run = run_of(selection=Selection(val, lambda *given: seen.append(given) or 0.5))
    run.evaluate(20, predictor(1.0, val), dict)
    ((labels, proba, groups),) = seen
    assert labels.tolist() == val.labels.tolist() and proba.shape == (12, 2) and groups == val.groups


def test_no_constructor_takes_more_than_twelve_arguments():
    for made in (StageRun, Feed, FeedOptions, Selection, Snapshots, Checkpointing, Pixels, Rows):
        assert len(inspect.signature(made).parameters) <= 12, made


def test_nothing_is_kept_under_select_last_or_without_validation_images():
    val = image_set()
    last = run_of(selection=Selection(val=val, mode="last"))
    last.evaluate(20, predictor(1.0, val), lambda: "state")
    assert last.selected() is None and any(row.split == "val" for row in last.history())
    none = run_of(selection=Selection(val=image_set(0)))
    none.evaluate(20, predictor(1.0, val), lambda: "state")
    assert none.selected() is None and none.history() == []


def test_validation_images_come_normalised_and_resized_like_training_images():
    val, seen = image_set(), []
    run = run_of(selection=Selection(val=val), feed=FeedOptions(mean=(0.0,) * 3, std=(0.5,) * 3, size=16))
    run.evaluate(20, lambda images: seen.append(images) or torch.full((len(images), 2), 0.5), dict)
    assert seen[0].shape == (12, 3, 16, 16) and 1.5 < seen[0].max() <= 2


def test_patience_ends_the_batches_early():
    val = image_set()
    run = run_of(selection=Selection(val=val, evaluations=10, patience=2))
    steps = []
    for batch in run.batches(image_set()):
        steps.append(batch.step)
        run.evaluate(batch.step, predictor(0.5, val), dict)
    assert steps[-1] == 6  # better at update 2, stale at 4 and 6


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_run_by_name_and_step(bad):
    run = run_of(budget=200)
    with pytest.raises(Diverged, match=r"loss_g is (nan|inf) at update 7 of 200"):
        for batch in run.batches(image_set()):
            run.log(batch.step, loss_d=0.1, loss_g=torch.tensor(bad if batch.step == 7 else 1.0))
    assert batch.step <= 60


def test_a_loss_that_diverges_at_the_very_end_is_seen_too():
    run = run_of(budget=3)
    with pytest.raises(Diverged):
        for batch in run.batches(image_set()):
            run.log(batch.step, loss=torch.tensor(float("nan") if batch.step == 3 else 1.0))


def test_probabilities_that_are_no_numbers_diverge():
    run = run_of(selection=Selection(val=image_set()))
    with pytest.raises(Diverged, match="probability"):
        run.evaluate(20, lambda images: torch.full((len(images), 2), float("nan")), dict)


def test_history_holds_steps_images_and_epochs():
    run = run_of(budget=6, feed=FeedOptions(batch_size=4))
    for batch in run.batches(image_set(12)):
        run.log(batch.step, loss=float(batch.step))
    last = run.history()[-1]
    assert last == (6, 24, 2.0, "train", "loss", 6.0)


def test_long_curves_are_averaged_to_at_most_500_points_and_none_is_lost():
    run = run_of(budget=1250)
    for step in range(1, 1251):
        run.log(step, loss=float(step))
    values = [row.value for row in run.history()]
    assert len(values) <= 500 and values[0] == 2.0  # the mean of updates 1, 2, 3
    assert run.history()[-1].step == 1250


def test_logged_tensors_may_be_overwritten_afterwards():
    run, loss = run_of(budget=2), torch.zeros(())
    run.log(1, loss=loss.fill_(1.0))
    run.log(2, loss=loss.fill_(2.0))
    assert [row.value for row in run.history()] == [1.0, 2.0]


def test_progress_is_reported_with_the_latest_losses_and_ends_at_the_budget():
    reports = []
    run = run_of(budget=5, report=reports.append)
    for batch in run.batches(image_set()):
        run.log(batch.step, loss=float(batch.step))
    assert reports[-1] == {"done": 5, "total": 5, "values": {"loss": 5.0}}


def test_snapshots_come_at_the_asked_steps_as_copies():
    kept = {}
    run = run_of(snapshots=Snapshots(every=5, save=lambda step, state: kept.update({step: state})))
    weight = torch.zeros(2)
    for step in range(1, 13):
        run.snapshot(step, lambda: {"w": weight.fill_(step)})  # noqa: B023
    assert {step: state["w"].tolist() for step, state in kept.items()} == {5: [5, 5], 10: [10, 10]}


def test_regularisers_are_summed_and_absent_ones_cost_nothing():
    model, batch = nn.Linear(1, 1), next(run_of().batches(image_set()))
    run = run_of(regularisers=[lambda m, b: torch.tensor(1.5), lambda m, b: torch.tensor(2.0)])
    assert run.extra_loss(model, batch) == 3.5 and run_of().extra_loss(model, batch) == 0.0


def test_a_seed_fixes_torch_numpy_and_python():
    def draw(seed):
        import random

        seed_everything(seed)
        return random.random(), np.random.rand(), torch.rand(1).item()

    assert draw(5) == draw(5) != draw(6)
