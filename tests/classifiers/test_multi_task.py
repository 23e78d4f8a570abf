"""Losses of several tasks: class weights, missing labels, Dynamic Weight Averaging, learned uncertainties."""

import math

import pytest
import torch

from derm_bench_plugins.classifiers.multi_task import (
    DynamicWeights,
    Uncertainty,
    balanced_cross_entropy,
    class_weights,
    dynamic_weights,
)

COUNTS = torch.tensor([90, 10, 0])


def test_inverse_weights_are_those_of_class_weights_in_a_strategy():
    # N / (K n) of the two classes that have images.
    assert class_weights(COUNTS, "inverse").tolist() == pytest.approx([100 / 180, 100 / 20, 0])


def test_weights_by_the_effective_number_follow_the_formula():
    beta = 0.9
    raw = [(1 - beta) / (1 - beta**90), (1 - beta) / (1 - beta**10)]
    scale = 100 / (90 * raw[0] + 10 * raw[1])
    assert class_weights(COUNTS, "effective", beta).tolist() == pytest.approx(
        [raw[0] * scale, raw[1] * scale, 0]
    )
    # beta 0 weights no class, and beta near 1 comes near the inverse of the numbers.
    assert class_weights(COUNTS[:2], "effective", 0.0).tolist() == pytest.approx([1, 1])
    assert class_weights(COUNTS[:2], "effective", 0.999999).tolist() == pytest.approx(
        class_weights(COUNTS[:2], "inverse").tolist(), rel=1e-3
    )


@pytest.mark.parametrize("balance", ["effective", "inverse", "none"])
def test_weights_average_one_over_the_images(balance):
    counts = torch.tensor([70, 20, 10])
    assert float((class_weights(counts, balance) * counts).sum() / 100) == pytest.approx(1)


def test_a_task_without_a_single_label_has_no_weights():
    assert class_weights(torch.tensor([0]), "effective").tolist() == [1]


def test_cross_entropy_by_hand_with_soft_targets_and_a_missing_label():
    logits = torch.tensor([[0.0, math.log(3)], [5.0, -5.0], [0.0, 0.0]], requires_grad=True)
    targets = torch.tensor([[0.0, 1.0], [0.0, 0.0], [0.5, 0.5]])
    loss = balanced_cross_entropy(
        logits, targets, weights=torch.tensor([2.0, 1.0]), rows=torch.tensor([1.0, 9.0, 3.0])
    )
    by_hand = (1 * 1 * -math.log(3 / 4) + 3 * (0.5 * 2 + 0.5 * 1) * math.log(2)) / 2
    assert loss.item() == pytest.approx(by_hand)
    loss.backward()
    assert logits.grad[1].tolist() == [0, 0]


def test_no_label_at_all_gives_no_loss_and_no_gradient():
    logits = torch.ones(2, 2, requires_grad=True)
    loss = balanced_cross_entropy(logits, torch.zeros(2, 2), torch.ones(2), torch.ones(2))
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


def test_dynamic_weights_by_hand():
    # Ratios 0.5 and 1: the task that falls more slowly weighs more, and the weights sum to the number of tasks.
    e = [math.exp(0.5 / 2), math.exp(1 / 2)]
    weights = dynamic_weights(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 3.0]), temperature=2.0)
    assert weights.tolist() == pytest.approx([2 * e[0] / sum(e), 2 * e[1] / sum(e)])


def test_a_task_that_had_no_loss_keeps_the_ratio_one():
    assert dynamic_weights(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0]), 2.0).tolist() == [1, 1]


def test_dynamic_weights_change_after_two_periods_and_continue_after_an_interruption():
    losses = [[4.0, 1.0], [2.0, 1.0], [2.0, 1.0], [1.0, 1.0], [1.0, 1.0], [0.5, 1.0]]
    whole, first = DynamicWeights(2, period=2), DynamicWeights(2, period=2)
    seen = []
    for k, one in enumerate(losses):
        whole.add(torch.tensor(one))
        seen.append(whole.weights.tolist())
        if k < 3:
            first.add(torch.tensor(one))
    assert seen[:3] == [[1, 1]] * 3
    # Means of the periods: (3, 1), (1.5, 1), (0.75, 1).
    half = dynamic_weights(torch.tensor([1.5, 1.0]), torch.tensor([3.0, 1.0]), 2.0)
    assert seen[3] == seen[4] == half.tolist()
    resumed = DynamicWeights(2, period=2)
    resumed.load_state_dict(first.state_dict())
    for one in losses[3:]:
        resumed.add(torch.tensor(one))
    assert torch.equal(resumed.weights, whole.weights)


def test_uncertainties_weight_by_hand_and_learn():
    balance = Uncertainty(2)
    losses = torch.tensor([2.0, 0.1])
    assert balance(losses).item() == pytest.approx(2.1)
    balance(losses).backward()
    # d/ds (exp(-s) L + s / 2) at s = 0
    assert balance.log_variances.grad.tolist() == pytest.approx([-2 + 0.5, -0.1 + 0.5])
    with torch.no_grad():
        balance.log_variances.copy_(torch.tensor([math.log(4), 0.0]))
    assert balance(losses).item() == pytest.approx(2 / 4 + math.log(4) / 2 + 0.1)
