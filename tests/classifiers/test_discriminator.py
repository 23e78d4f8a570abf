"""dcgan-discriminator: what of a discriminator is kept, what each mode trains, and the loss of k+1."""

import math

import pytest
import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.specs import SampleRequest, Task
from derm_bench.training.feed import FeedOptions
from derm_bench.training.selection import Selection
from derm_bench.training.stage_run import StageRun, seed_everything
from derm_bench_plugins.classifiers.discriminator import (
    DiscriminatorClassifier,
    DiscriminatorNet,
    real_or_fake,
)
from derm_bench_plugins.classifiers.specs.discriminator import DiscriminatorOptions
from derm_bench_plugins.generators.dcgan import Dcgan
from derm_bench_plugins.generators.specs.dcgan import DcganOptions

CLASSES = ("benign", "malignant", "unsure")


@pytest.fixture
def gan():
    seed_everything(0)
    return Dcgan(DcganOptions(base=4, z_dim=8, batch_size=8), Task(CLASSES, 16))


def make(gan, size=16, **options):
    seed_everything(1)
    task = Task(CLASSES, size, inputs={"from": gan}, input_tasks={"from": Task(CLASSES, 16)},
                input_parts={"from": "discriminator"})  # fmt: skip
    return DiscriminatorClassifier(DiscriminatorOptions(batch_size=8, **options), task)


def train_set(n=24, size=16):
    names = tuple(map(str, range(n)))
    images = torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(images, torch.arange(n) % 3, CLASSES, names, names)


def fitted(gan, **options):
    classifier = make(gan, **options)
    run = StageRun(seed=2, budget=3, feed=FeedOptions(batch_size=8), selection=Selection(val=train_set(6)))
    classifier.fit(train_set(), train_set(6), run)
    return classifier, run


def test_the_head_starts_on_what_the_logit_was_computed_from(gan):
    classifier, d = make(gan), gan.discriminator.eval()
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    flat = d.down(d.from_rgb(images)).flatten(1)
    head = classifier.net.head[1]
    expected = (flat @ head.weight.T + head.bias).softmax(1)
    torch.testing.assert_close(classifier.predict_proba(images), expected)
    layers = sum(p.numel() for p in d.parameters()) - sum(p.numel() for p in d.logit.parameters())
    assert sum(p.numel() for p in classifier.net.parameters()) == layers + flat.shape[1] * 3 + 3
    assert head.weight.std().item() == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize(("mode", "moves"), [("finetune", True), ("linear-probe", False), ("k+1", True)])
def test_which_layers_train(gan, mode, moves):
    before = {key: value.clone() for key, value in gan.state().items()}
    classifier, _ = fitted(gan, mode=mode)
    state = classifier.state()
    for name in ("from_rgb.0.weight", "down.0.0.weight", "down.0.1.running_mean"):
        assert torch.equal(state[f"net.trunk.{name}"], before[f"discriminator.{name}"]) is not moves, name
    assert not torch.equal(state["net.head.1.weight"], make(gan).state()["net.head.1.weight"])
    assert all(torch.equal(value, before[key]) for key, value in gan.state().items()), "the GAN is left alone"


def test_fits_repeat_under_a_seed_and_k_plus_one_logs_both_losses(gan):
    one, run = fitted(gan, mode="k+1")
    again, _ = fitted(gan, mode="k+1")
    assert all(torch.equal(one.state()[key], value) for key, value in again.state().items())
    assert {row.metric for row in run.history() if row.split == "train"} == {
        "loss", "loss_unsupervised", "accuracy"
    }  # fmt: skip


def test_real_or_fake_is_the_softmax_of_k_plus_one_with_the_last_logit_at_zero():
    real, fake = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]]), torch.tensor([[2.0, 0.0, -1.0]])
    with_zero = [torch.cat([logits, torch.zeros(len(logits), 1)], 1).softmax(1) for logits in (real, fake)]
    is_real = -(1 - with_zero[0][:, 3]).log().mean()
    is_fake = -with_zero[1][:, 3].log().mean()
    torch.testing.assert_close(real_or_fake(real, fake), is_real + is_fake)
    by_hand = math.log(1 + math.exp(2) + 1 + math.exp(-1))
    assert real_or_fake(torch.full((1, 3), 50.0), fake).item() == pytest.approx(by_hand, rel=1e-5)


def test_fakes_are_the_generators_as_many_as_training_images_and_at_the_classifiers_side(gan):
    asked = []
    sample = gan.sample
    gan.sample = lambda request, train=None: asked.append(request) or sample(request, train)
    assert make(gan, size=32, mode="k+1").fakes(train_set(25), 0).shape == (27, 3, 32, 32)
    assert [(request.label, request.n) for request in asked] == [(0, 9), (1, 9), (2, 9)]
    assert len({request.seed for request in asked}) == 3
    assert isinstance(asked[0], SampleRequest)


def test_a_generator_of_one_class_gets_images_of_that_class(gan):
    """Its label 0 is that class, whichever place it has among those that are told apart."""
    classifier, shown = make(gan, mode="k+1"), []
    classifier.source_task = Task(CLASSES[1:2], 16)
    sample = gan.sample
    gan.sample = lambda request, train=None: shown.append(train) or sample(request, train)
    classifier.fakes(train_set(24), 0)
    assert shown[0].classes == CLASSES[1:2] and shown[0].labels.tolist() == [0] * 8
    assert shown[0].ids == tuple(str(k) for k in range(1, 24, 3))


def test_other_sides_are_resized_to_the_one_that_it_was_trained_at(gan):
    assert make(gan, size=32).predict_proba(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


class Patches(nn.Module):
    """A map of logits, as PatchGAN makes it, and no method `features`."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 5, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(5, 1, 4, 1, 1))

    def forward(self, images):
        return self.layers(images).view(-1)


class Plain(nn.Module):
    """A linear logit, whose output is reshaped."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(3 * 16 * 16, 7), nn.Linear(7, 1)

    def forward(self, images):
        return self.out(self.hidden(images.flatten(1)).relu()).view(len(images))


def test_any_discriminator_serves_by_the_layer_that_makes_its_logit():
    images = torch.rand(4, 3, 16, 16)
    patches = Patches()
    net = DiscriminatorNet(patches, 16, 3, 0.0)
    averaged = patches.layers[:2](images).mean((2, 3))
    torch.testing.assert_close(net.features(images), averaged)
    plain = Plain()
    net = DiscriminatorNet(plain, 16, 3, 0.0)
    torch.testing.assert_close(net.features(images), plain.hidden(images.flatten(1)).relu())
    assert {name for name, _ in net.named_parameters()} == {
        "trunk.hidden.weight", "trunk.hidden.bias", "head.1.weight", "head.1.bias"
    }  # fmt: skip
    net(images).sum().backward()
    assert net.trunk.hidden.weight.grad is not None


def test_a_discriminator_with_more_inputs_than_images_needs_features():
    class Told(Plain):
        def forward(self, images, targets):
            return super().forward(images)

    with pytest.raises(UserError, match="does not take images only") as caught:
        DiscriminatorNet(Told(), 16, 3, 0.0)
    assert "features(images)" in caught.value.hint


def test_k_plus_one_has_one_softmax():
    with pytest.raises(ValueError, match="mode k"):
        DiscriminatorOptions(mode="k+1", loss="bce")
