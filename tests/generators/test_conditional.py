"""What cgan, acgan, semi-gan and tedgan promise alike: classes that differ and are learned, and any size."""

import pytest
import torch

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.specs import SampleRequest, Task, load_object
from derm_bench.training.feed import FeedOptions
from derm_bench.training.stage_run import StageRun, seed_everything
from derm_bench_plugins.generators import specs

SPECS = {spec.name: spec for spec in specs() if spec.name in ("cgan", "acgan", "semi-gan", "tedgan")}
# The form of 2014, and that of 2018 with fewer steps of D, so that G learns in a short fit.
MIRZA = SPECS["cgan"].presets["mirza"]
KINDS = [
    ("cgan", MIRZA),
    ("cgan", {"loss": "hinge", "d_steps": 1}),
    ("acgan", {}),
    ("semi-gan", {}),
    ("tedgan", {}),
    ("tedgan", {"classifiers": "both"}),
]
CLASSES = ("dark", "bright")


def made(name, options=None, size=16, classes=CLASSES, seed=0):
    spec = SPECS[name]
    seed_everything(seed)
    options = {"base": 8, "z_dim": 8, "batch_size": 16, "lr": 2e-3} | (options or {})
    return load_object(spec.create)(spec.options(**options), Task(classes, size))


def dark_and_bright(n=32, size=16):
    """Noise about 60 for the first class and about 190 for the second."""
    names, labels = tuple(map(str, range(n))), torch.arange(n) % 2
    noise = torch.randint(-30, 31, (n, 3, size, size), generator=torch.Generator().manual_seed(0))
    images = (60 + 130 * labels.view(-1, 1, 1, 1) + noise).byte()
    return ImageSet(images, labels, CLASSES, names, names)


@pytest.mark.parametrize(("name", "options"), KINDS, ids=str)
def test_samples_are_of_the_class_that_is_asked_for(name, options):
    gan = made(name, options)
    run = StageRun(seed=0, budget=100, feed=FeedOptions(batch_size=16))
    gan.fit(dark_and_bright(), run)
    dark, bright = (gan.sample(SampleRequest(k, 64, 1)).images.float().mean().item() for k in (0, 1))
    assert bright - dark > 60
    means = {"score_real", "score_fake"} if options.get("loss") == "hinge" else {"d_real", "d_fake"}
    assert {"loss_d", "loss_g", *means} <= {row.metric for row in run.history()}


@pytest.mark.parametrize("name", SPECS)
def test_they_are_conditional_and_want_a_class(name):
    assert SPECS[name].conditional
    gan = made(name, MIRZA if name == "cgan" else {})  # conditional BatchNorm starts equal for all classes
    one, other = (gan.sample(SampleRequest(k, 2, 1)).images for k in (0, 1))
    assert not torch.equal(one, other)
    with pytest.raises(ValueError, match="needs a class to sample from"):
        gan.sample(SampleRequest(None, 2, 1))


@pytest.mark.parametrize("name", SPECS)
def test_sides_are_powers_of_two_and_classes_as_many_as_there_are(name):
    for size, classes in ((8, ("one",)), (128, ("one", "two", "three"))):
        gan = made(name, {"base": 2, "z_dim": 4}, size, classes)
        assert gan.sample(SampleRequest(len(classes) - 1, 2, 1)).images.shape == (2, 3, size, size)
    with pytest.raises(UserError, match=f"{name} makes images whose side is a power of two, not 48"):
        made(name, size=48)


@pytest.mark.parametrize("name", SPECS)
def test_bf16_trains_too(name):
    run = StageRun(seed=0, budget=4, feed=FeedOptions(batch_size=16), precision="bf16")
    made(name).fit(dark_and_bright(), run)
    assert max(row.step for row in run.history()) == 4
