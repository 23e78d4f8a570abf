"""AB-MTEDeep: its shapes, cross-residual connections, attention, tasks and heads, and the ablation of each part."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.specs import Task
from derm_bench.testing.phantoms import phantoms
from derm_bench.training.feed import FeedOptions
from derm_bench.training.stage_run import StageRun
from derm_bench_plugins.classifiers.ab_mtedeep import make
from derm_bench_plugins.classifiers.ab_mtedeep_nets import (
    AttentionPooling,
    BranchConnections,
    Cbam,
    CrossResidual,
    LstmBranch,
    SqueezeExcitation,
    log_mean_softmax,
)
from derm_bench_plugins.classifiers.derived_task import derived_labels
from derm_bench_plugins.classifiers.specs.ab_mtedeep import SPEC, AbMtedeepOptions

GRADES = ("healthy", "mild", "moderate", "severe")
TINY = SPEC.presets["tiny"]


def options(**given):
    return AbMtedeepOptions(**{**TINY, **given})


def made(classes=GRADES, size=32, **given):
    torch.manual_seed(0)
    return make(options(**given), Task(classes, size))


def train_on(classifier, images: ImageSet, updates=4, seed=0):
    run = StageRun(seed=seed, budget=updates, feed=FeedOptions(batch_size=8))
    classifier.fit(images, images, run)
    return {(row.metric, row.step): row.value for row in run.history()}


# --------------------------------------------------------------------------------- the network


@pytest.mark.parametrize("size", [32, 50, 64, 224])
def test_takes_images_of_many_sides(size):
    proba = made(size=size).predict_proba(torch.randn(2, 3, size, size))
    assert proba.shape == (2, 4)
    assert torch.allclose(proba.sum(dim=1), torch.ones(2))


def test_the_default_network_is_the_one_that_is_described():
    net = make(AbMtedeepOptions(), Task(GRADES, 64)).network
    assert net.widths == [512, 512] and net.tasks == 2
    assert [len(unit.units) for unit in net.residual.units] == [1] * 6 + [2] * 2
    assert [tuple(p.weights.shape) for p in net.residual.units if p.weights is not None] == [(2, 1)] * 2
    assert len(net.lstm.layers) == 2 and all(len(layer.units) == 2 for layer in net.lstm.layers)


class Doubles(nn.Module):
    """A unit with F(x) = 2 x and the identity as its shortcut."""

    shortcut = nn.Identity()

    def residual(self, x):
        return 2 * x

    def after(self, total):
        return total


def test_a_cross_residual_connection_adds_the_inputs_of_the_other_tasks():
    cross = CrossResidual([Doubles(), Doubles(), Doubles()], init=0.1)
    with torch.no_grad():
        cross.weights.copy_(torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]))
    x = [torch.tensor([1.0]), torch.tensor([10.0]), torch.tensor([100.0])]
    y = [one.item() for one in cross(x)]
    assert y == pytest.approx([3 + 1 + 20, 30 + 0.3 + 40, 300 + 0.5 + 6])
    without = CrossResidual([Doubles(), Doubles()], init=None)
    assert [one.item() for one in without(x[:2])] == [3, 30] and without.weights is None


def test_the_vectors_of_both_branches_are_connected():
    connect = BranchConnections(2, 3, init=0.1)
    r, s = torch.randn(4, 2), torch.randn(4, 3)
    joined = connect(r, s)
    assert torch.allclose(joined.residual, r + 0.1 * s @ connect.to_residual.weight.T)
    assert torch.allclose(joined.lstm, s + 0.1 * r @ connect.to_lstm.weight.T)


def test_the_weights_of_connections_are_learned():
    classifier = made(derived={"healthy": ["healthy"], "diseased": ["mild", "moderate", "severe"]}, blocks=2)
    before = {
        name: value.detach().clone()
        for name, value in classifier.net.named_parameters()
        if name.endswith(".weights")
    }
    assert before and all(
        (value == before_value).all() for value in before.values() for before_value in [0.1]
    )
    images = phantoms(classes=4, size=32)
    train_on(classifier, ImageSet(images.images, images.labels, GRADES, images.ids, images.groups))
    after = dict(classifier.net.named_parameters())
    assert all(not torch.equal(after[name], value) for name, value in before.items())


def test_attention_over_steps_is_a_weighted_mean():
    pool, steps = AttentionPooling(4), torch.randn(3, 7, 4)
    weights = pool.score(steps).softmax(dim=1)
    assert torch.allclose(weights.sum(dim=1), torch.ones(3, 1))
    assert torch.allclose(pool(steps), torch.einsum("ntk,ntc->nc", weights, steps), atol=1e-6)


@pytest.mark.parametrize("attention", [SqueezeExcitation, Cbam])
def test_attention_scales_maps_by_weights_between_0_and_1(attention):
    x = torch.rand(2, 8, 6, 6) + 0.1
    ratio = attention(8)(x) / x
    assert float(ratio.min()) > 0 and float(ratio.max()) < 1
    per_channel = ratio.flatten(2).std(dim=2).max()
    assert (float(per_channel) < 1e-6) == (attention is SqueezeExcitation)


def test_patches_are_read_in_raster_order_and_see_no_neighbours():
    branch = LstmBranch(options(), 1, None).eval()
    images = torch.zeros(1, 3, 32, 24)
    before = branch.sequence(images)
    assert before.shape == (1, 4 * 3, 16)
    images[:, :, 8:16, 16:24] = 1  # the third patch of the second row
    changed = (branch.sequence(images) != before).any(dim=2)[0]
    assert changed.nonzero().flatten().tolist() == [5]


def test_an_image_that_no_patches_fill_is_padded():
    assert LstmBranch(options(patch=16), 1, None).sequence(torch.zeros(2, 3, 40, 40)).shape[1] == 9


# ---------------------------------------------------------------------------------- predictions


def test_the_prediction_is_the_mean_of_the_heads():
    classifier, images = made(), torch.randn(3, 3, 32, 32)
    net = classifier.network.eval()
    heads = net.heads(net.features(images)[0])
    assert len(heads) == 3
    mean = torch.stack([one.softmax(dim=1) for one in heads]).mean(dim=0)
    assert torch.allclose(classifier.predict_proba(images), mean, atol=1e-6)
    assert torch.allclose(log_mean_softmax(heads).exp(), mean, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "heads"),
    [
        ({}, 3),
        ({"ensemble": False}, 1),
        ({"branches": "residual"}, 1),
        ({"branches": "lstm"}, 1),
        ({"branches": "lstm", "ensemble": False}, 1),
    ],
)
def test_how_many_heads_there_are(given, heads):
    net = made(**given).network.eval()
    assert len(net.heads(net.features(torch.randn(2, 3, 32, 32))[0])) == heads


ABLATIONS = [
    {"attention": "none"},
    {"attention": "cbam"},
    {"pooling": "mean"},
    {"cross_residual": "none"},
    {"cross_residual": "tasks"},
    {"cross_residual": "branches"},
    {"single_task": True},
    {"ensemble": False},
    {"branches": "residual"},
    {"branches": "lstm"},
    {"class_balance": "none"},
    {"class_balance": "inverse"},
    {"task_balance": "uncertainty"},
    {"task_balance": "equal"},
    {"task_stages": 4},
]


@pytest.mark.parametrize("given", ABLATIONS, ids=str)
def test_every_part_can_be_left_out(given):
    images = phantoms(classes=3, per_class=4, size=32)
    named = ImageSet(images.images, images.labels, ("healthy", "mild", "severe"), images.ids, images.groups)
    classifier = made(named.classes, **given)
    logged = train_on(classifier, named, updates=2)
    assert ("loss_auxiliary", 2) in logged or given == {"single_task": True}
    names = {name for name, _ in classifier.net.named_parameters()}
    assert any(".mlp." in name for name in names) == (
        given.get("attention") != "none" and given.get("branches") != "lstm"
    )
    crossed = any(name.endswith("units.3.weights") for name in names)
    assert crossed == (
        given.get("cross_residual", "both") in ("both", "tasks")
        and given.get("branches") != "lstm"
        and "single_task" not in given
    )


# --------------------------------------------------------------------------------------- tasks


def test_the_derived_task_is_healthy_against_diseased_where_the_classes_allow_it():
    assert derived_labels(None, GRADES) == {"healthy": ("healthy",), "diseased": GRADES[1:]}
    assert derived_labels(None, ("Normal", "a", "b")) == {"healthy": ("Normal",), "diseased": ("a", "b")}
    assert derived_labels(None, ("healthy", "ill")) is None  # the task would be that of the classes
    assert derived_labels(None, ("mel", "nv", "bcc")) is None
    assert made(("mel", "nv", "bcc")).network.tasks == 1
    assert made(("mel", "nv", "bcc"), derived={"bad": ["mel", "bcc"], "good": ["nv"]}).network.tasks == 2


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"a": ["mild", "moderat"], "b": ["healthy"]}, "has no class 'moderat'"),
        ({"a": ["mild"], "b": ["healthy"]}, "no label for moderate, severe"),
        ({"a": ["mild", "severe", "moderate"], "b": ["healthy", "mild"]}, "several labels for mild"),
    ],
)
def test_a_derived_task_that_does_not_fit_the_classes_is_refused(stated, message):
    with pytest.raises(UserError) as caught:
        SPEC.auxiliary(options(derived=stated), GRADES)
    assert message in str(caught.value)


def test_there_is_one_auxiliary_task():
    with pytest.raises(ValidationError, match="leave one of them out"):
        options(auxiliary="site", derived={"a": ["x"], "b": ["y"]})
    assert SPEC.auxiliary(options(auxiliary="site"), GRADES) == ["site"]
    assert SPEC.auxiliary(options(auxiliary="site", single_task=True), GRADES) == []


def with_site(labels):
    images = phantoms(classes=3, per_class=4, size=32)
    column = torch.tensor([labels[k % len(labels)] for k in range(len(images))])
    return ImageSet(
        images.images, images.labels, images.classes, images.ids, images.groups, aux_labels={"site": column}
    )


def test_auxiliary_labels_change_the_training_and_missing_ones_do_not_count():
    def loss_of(labels):
        images = with_site(labels)
        return train_on(made(images.classes, auxiliary="site", task_balance="equal"), images)

    some, none = loss_of([0, 1, -1]), loss_of([-1])
    assert some["loss_auxiliary", 4] > 0
    assert none["loss_auxiliary", 4] == 0
    assert none["loss", 4] == pytest.approx(none["loss_classes", 4])
    assert some["loss", 4] == pytest.approx(some["loss_classes", 4] + some["loss_auxiliary", 4], rel=1e-5)


def test_a_fitted_network_is_the_same_with_and_without_the_auxiliary_labels_at_hand():
    images = with_site([0, 1])
    classifier = made(images.classes, auxiliary="site")
    train_on(classifier, images)
    fresh = made(images.classes, auxiliary="site")
    fresh.load_state(classifier.state())
    pixels = torch.randn(2, 3, 32, 32)
    assert torch.equal(fresh.predict_proba(pixels), classifier.predict_proba(pixels))
