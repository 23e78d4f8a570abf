"""Guidance by a classifier: logits that can be differentiated with respect to images, or an error that says why not."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.errors import UserError
from derm_bench.images import Samples
from derm_bench.plugins import Plugins
from derm_bench.specs import GeneratorOptions, Task, create
from derm_bench.training.engine import minimise
from derm_bench.training.module_classifier import ModuleClassifier
from derm_bench.training.module_plugin import ModulePlugin
from derm_bench_plugins.classifiers.ensemble import Ensemble
from derm_bench_plugins.classifiers.specs.ensemble import EnsembleOptions

CLASSES = ("mel", "nv", "bkl")


def classifier(name, **changes):
    torch.manual_seed(0)
    spec = Plugins(builtins_only=True).get("classifier", name)
    options = spec.options(**spec.presets["tiny"] | changes)
    return create(spec, options, Task(CLASSES, options.input_size or 32))


def normalised(made, images):
    mean, std = (torch.tensor(list(values)).view(1, 3, 1, 1) for values in (made.mean, made.std))
    return (images - mean) / std


def pixels(n=4, side=32):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("loss", ["ce", "bce"])
@pytest.mark.parametrize("name", ["timm", "torchvision", "mobilenetv2-lstm", "dermagan-cnn"])
def test_softmax_of_logits_is_what_the_classifier_predicts_and_images_get_a_gradient(name, loss):
    made = classifier(name, loss=loss, input_size=32)
    made.net.train()
    images = pixels().requires_grad_()
    logits = made.logits(images)
    expected = made.predict_proba(normalised(made, images.detach()))
    torch.testing.assert_close(logits.softmax(dim=1), expected, atol=1e-5, rtol=1e-4)
    logits[:, 0].sum().backward()
    assert images.grad.isfinite().all() and (images.grad != 0).flatten(1).any(dim=1).all()
    assert all(p.grad is None and p.requires_grad for p in made.net.parameters())
    assert made.net.training


def test_images_of_another_side_are_resized_as_the_feed_resizes_them():
    made, images = classifier("dermagan-cnn", input_size=32), pixels(side=48)
    smaller = F.interpolate(images, 32, mode="bilinear", antialias=True)
    torch.testing.assert_close(made.logits(images), made.logits(smaller))


def test_logits_are_float32_under_autocast():
    made, images = classifier("dermagan-cnn", input_size=32), pixels()
    expected = made.logits(images)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(made.logits(images), expected)


def test_an_ensemble_guides_with_the_logarithm_of_its_mean():
    members = [classifier("dermagan-cnn", input_size=32), classifier("timm", input_size=32)]
    names = ("member 1", "member 2")
    task = Task(CLASSES, 32, inputs=dict(zip(names, members, strict=True)))
    made = Ensemble(EnsembleOptions(members=["one", "two"], member_weights=(3, 1)), task)
    images = pixels().requires_grad_()
    logits = made.logits(images)
    torch.testing.assert_close(
        logits.softmax(dim=1), made.predict_proba(images.detach()), atol=1e-5, rtol=1e-4
    )
    assert (torch.autograd.grad(logits[:, 1].sum(), images)[0] != 0).any()
    made.members[1].classifier = object()
    with pytest.raises(UserError, match="only if its members can: object has no logits"):
        made.logits(images)


class Guided(ModulePlugin):
    """One image per class, which a classifier takes to be of that class."""

    def __init__(self, options, task):
        self.task = task
        self.images = nn.ParameterList([nn.Parameter(torch.zeros(1, 3, 16, 16)) for _ in task.classes])

    def parts(self):
        return {"images": self.images}

    def probabilities(self):
        images = torch.cat(list(self.images)).sigmoid()
        return self.task.logits("guide", images).softmax(dim=1).diagonal()

    def fit(self, train, run):
        adam = torch.optim.Adam(self.images.parameters(), lr=0.2)
        for _ in run.batches(train):
            minimise(-self.probabilities().log().sum(), adam)

    def sample(self, request, train=None):
        image = self.images[request.label].sigmoid().mul(255).round().to(torch.uint8)
        return Samples(image.expand(request.n, -1, -1, -1))


class Colour(ModuleClassifier):
    """The class of an image is the channel that is brightest."""

    def __init__(self, task):
        net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        options = Plugins(builtins_only=True).get("classifier", "dermagan-cnn").options()
        super().__init__(net, net, options, task)


def test_a_generator_is_guided_by_the_classifier_that_it_requires():
    from derm_bench.testing.phantoms import phantoms
    from derm_bench.training.stage_run import StageRun

    train = phantoms(per_class=8, size=16)
    guide = Colour(Task(train.classes, 16))
    made = Guided(GeneratorOptions(), Task(train.classes, 16, inputs={"guide": guide}))
    before = made.probabilities()
    made.fit(train, StageRun(seed=0, budget=20))
    assert (made.probabilities() > before + 0.1).all()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("guide", "the requirement 'guide' cannot guide: object has no method logits"),
        ("giude", "did you mean 'guide'"),
    ],
)
def test_a_requirement_that_cannot_guide_is_told(name, said):
    task = Task(CLASSES, 16, inputs={"guide": object()})
    with pytest.raises(UserError) as caught:
        task.logits(name, pixels())
    assert said in str(caught.value)
