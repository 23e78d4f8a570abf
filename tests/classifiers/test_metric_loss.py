"""The metric loss: its value by hand, and what it does to features."""

import math

import pytest
import torch
from torch import nn

from derm_bench.specs import ClassifierOptions, Task
from derm_bench.testing.phantoms import phantoms
from derm_bench.training.classification import fit_classifier
from derm_bench.training.feed import FeedOptions
from derm_bench.training.losses import compact_and_apart
from derm_bench.training.seeding import seed_everything
from derm_bench.training.selection import Selection
from derm_bench.training.stage_run import StageRun
from derm_bench_plugins.classifiers import timm_net
from derm_bench_plugins.classifiers.sla import SlaLoss
from derm_bench_plugins.classifiers.specs.timm import TimmOptions


def test_the_loss_is_the_mean_distance_to_centres_and_what_centres_lack_of_the_margin():
    features = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    centres = torch.tensor([[1.0, 0.0], [5.0, 5.0]])  # directions 0 and 45 degrees
    cosine = math.sqrt(0.5)
    apart = 2 - 2 * (1 - cosine)
    one_hot = torch.eye(2)
    assert compact_and_apart(features, one_hot, centres, 2.0).item() == pytest.approx(
        (0 + (1 - cosine)) / 2 + apart
    )
    soft = torch.tensor([[0.75, 0.25], [0.0, 1.0]])
    assert compact_and_apart(features, soft, centres, 2.0).item() == pytest.approx(
        (0.25 * (1 - cosine) + (1 - cosine)) / 2 + apart
    )


def test_of_three_centres_only_pairs_nearer_than_the_margin_repel():
    centres = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]).requires_grad_()
    features = torch.tensor([[1.0, 0.0]])
    loss = compact_and_apart(features, torch.tensor([[1.0, 0.0, 0.0]]), centres, 3.0)
    assert loss.item() == pytest.approx((0 + 1 + 1) / 3)  # squared distances 4, 2, 2
    loss.backward()
    assert bool(centres.grad.isfinite().all()) and centres.grad[2].abs().sum() == 0  # pulled both ways alike


def test_features_before_a_head_of_1x1_convolutions_count_the_same():
    features, targets = (
        torch.randn(5, 4, generator=torch.Generator().manual_seed(0)),
        torch.eye(3)[[0, 1, 2, 0, 1]],
    )
    loss = SlaLoss(3, 4, weight=0.5, margin=2.0)
    assert loss(features[:, :, None, None], targets).item() == loss(features, targets).item()
    assert loss(features, targets).item() == pytest.approx(
        0.5 * compact_and_apart(features, targets, loss.centres, 2.0).item()
    )


def compactness_after(weight, seed):
    """Mean distance of unit features to their class's mean, over that between the means, after 200 updates."""
    seed_everything(seed)
    feature_loss = SlaLoss(3, 16, weight, margin=2.0) if weight else None
    seed_everything(seed)
    body = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 16), nn.ReLU())
    head = nn.Linear(16, 3)
    train = phantoms(per_class=12, size=8)
    run = StageRun(seed=seed, budget=200, feed=FeedOptions(batch_size=12), selection=Selection(mode="last"))
    options = ClassifierOptions(batch_size=12, select="last")
    fit_classifier(nn.Sequential(body, head), train, train, run, options, head, feature_loss)
    with torch.no_grad():
        features = nn.functional.normalize(body(train.images.float() / 127.5 - 1), dim=1)
    centres = torch.stack([features[train.labels == k].mean(0) for k in range(3)])
    return float((features - centres[train.labels]).norm(dim=1).mean() / torch.pdist(centres).mean())


def test_features_of_a_class_come_together_and_classes_apart():
    with_it, without = (sum(compactness_after(weight, seed) for seed in range(3)) for weight in (2.0, 0))
    assert with_it < 0.75 * without


def test_an_option_of_timm_adds_it_to_the_loss_and_leaves_nothing_in_the_fitted_network():
    def fitted(**options):
        seed_everything(0)
        train = phantoms(per_class=4, size=32)
        made = timm_net.make(
            TimmOptions(model="test_resnet", batch_size=8, **options), Task(train.classes, 32)
        )
        run = StageRun(seed=0, budget=1, feed=FeedOptions(batch_size=8), selection=Selection(val=train))
        made.fit(train, train, run)
        losses = [row.value for row in run.history() if row.metric == "loss"]
        return made, losses[0]

    (plain, without), (model, with_it) = fitted(), fitted(metric_loss="sla", metric_weight=1.0)
    assert (
        with_it > without + 0.5
    )  # centres at random are about at right angles to features: |f - c|^2 / 2 is 1
    assert model.state().keys() == plain.state().keys()


def test_frozen_features_and_a_loss_that_moves_them_exclude_each_other():
    with pytest.raises(ValueError, match="leave one of them out"):
        TimmOptions(model="resnet18", metric_loss="sla", freeze=True)
