"""The metric loss: its value by hand, and what it does to features."""

import math

import pytest
import torch

from derm_bench.specs import Task
from derm_bench.testing.phantoms import phantoms
from derm_bench.training.losses import compact_and_apart
from derm_bench.training.seeding import seed_everything
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


def features_after(metric_loss):
    """Unit features [N,D] and labels of training images after 50 updates."""
    seed_everything(0)
    options = TimmOptions(
        model="test_resnet", batch_size=12, metric_loss=metric_loss, metric_weight=2.0, select="last"
    )
    train = phantoms(per_class=12, size=32)
    model = timm_net.make(options, Task(train.classes, 32))
    model.fit(train, train, StageRun(seed=0, budget=50, batch_size=12, select="last"))
    net, pixels = model.net.eval(), train.images.float() / 127.5 - 1
    with torch.no_grad():
        features = net.forward_head(net.forward_features(pixels), pre_logits=True)
    assert set(model.state()) == {f"net.{key}" for key in net.state_dict()}
    return torch.nn.functional.normalize(features, dim=1), train.labels


def test_features_of_a_class_come_together_and_classes_apart():
    def compactness(metric_loss):
        features, labels = features_after(metric_loss)
        centres = torch.stack([features[labels == k].mean(0) for k in range(3)])
        return (features - centres[labels]).norm(dim=1).mean() / torch.pdist(centres).mean()

    assert compactness("sla") < 0.8 * compactness("none")


def test_frozen_features_and_a_loss_that_moves_them_exclude_each_other():
    with pytest.raises(ValueError, match="leave one out"):
        TimmOptions(model="resnet18", metric_loss="sla", freeze=True)
