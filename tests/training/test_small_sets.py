"""Classes with fewer images than a batch: nothing in a fit becomes NaN, whatever is left at the end of an epoch."""

import pytest
import torch
from pydantic import ValidationError

from derm_bench.images import ImageSet
from derm_bench.specs import SampleRequest, Task
from derm_bench.training.feed import FeedOptions
from derm_bench.training.selection import Selection
from derm_bench.training.stage_run import StageRun
from derm_bench_plugins.classifiers import timm_net
from derm_bench_plugins.classifiers.specs.timm import TimmOptions
from derm_bench_plugins.generators.dcgan import Dcgan
from derm_bench_plugins.generators.specs.dcgan import DcganOptions


def images(n, classes=("a", "b")):
    pixels = torch.randint(
        0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(n)
    )
    names = tuple(map(str, range(n)))
    return ImageSet(pixels, torch.arange(n) % len(classes), classes, names, names)


@pytest.mark.parametrize("n", [1, 3, 9])
def test_a_generator_of_a_tiny_class_gives_finite_images(n):
    options = DcganOptions(base=8, z_dim=8, batch_size=8, budget={"updates": 3})
    gan = Dcgan(options, Task(("a",), 32))
    gan.fit(images(n, ("a",)), StageRun(seed=0, budget=3, feed=FeedOptions(batch_size=8)))
    assert all(torch.isfinite(value).all() for value in gan.state().values())
    assert gan.sample(SampleRequest(label=0, n=1, seed=0)).images.shape == (1, 3, 32, 32)


@pytest.mark.parametrize(("n", "batch_size"), [(2, 4), (5, 4), (9, 4), (3, 2), (7, 2), (7, 3)])
def test_a_classifier_with_batch_norm_stays_finite_where_one_image_is_left_over(n, batch_size):
    model = timm_net.make(TimmOptions(model="test_resnet", batch_size=batch_size), Task(("a", "b"), 32))
    feed = FeedOptions(batch_size=batch_size, mean=model.mean, std=model.std)
    model.fit(images(n), images(1), StageRun(seed=0, budget=4, selection=Selection(val=images(1)), feed=feed))
    assert all(torch.isfinite(value.float()).all() for value in model.state().values())
    proba = model.predict_proba(torch.randn(1, 3, 32, 32))
    assert torch.isfinite(proba).all() and proba.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("batch_size", [2, 4, 5])
def test_no_nan_comes_from_three_training_images_of_a_class_and_a_last_batch_of_one(batch_size):
    """Six images: an epoch in batches of five leaves one, and three of a class in batches of two do."""
    model = timm_net.make(TimmOptions(model="test_resnet", batch_size=batch_size), Task(("a", "b"), 32))
    for balance in (None, "oversample", "class-weights"):
        feed = FeedOptions(batch_size=batch_size, balance=balance)
        run = StageRun(seed=0, budget=5, selection=Selection(val=images(1)), feed=feed)
        model.fit(images(6), images(1), run)
        assert all(torch.isfinite(value.float()).all() for value in model.state().values())
        assert torch.isfinite(model.predict_proba(torch.randn(1, 3, 32, 32))).all()
    options = DcganOptions(base=8, z_dim=8, batch_size=2, budget={"updates": 4})
    gan = Dcgan(options, Task(("a",), 32))
    gan.fit(images(3, ("a",)), StageRun(seed=0, budget=4, feed=FeedOptions(batch_size=2)))
    assert all(torch.isfinite(value).all() for value in gan.state().values())


def test_a_batch_of_one_image_is_refused():
    for options in (TimmOptions, DcganOptions):
        with pytest.raises(ValidationError, match="batch_size"):
            options(**({"model": "test_resnet"} if options is TimmOptions else {}), batch_size=1)
