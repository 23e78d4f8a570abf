"""Every result is bitwise the same for images that lie in memory as [N,C,H,W] and as [N,H,W,C]."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from derm_bench.fidelity import reference
from derm_bench.fidelity.likeness import likeness
from derm_bench.fidelity.score import extract
from derm_bench.plugins import Plugins
from derm_bench.specs import Task, create
from derm_bench.testing.classifier import ClassifierCase
from derm_bench.testing.fitting import Change
from derm_bench.testing.generator import GeneratorCase
from derm_bench.testing.phantoms import phantoms
from derm_bench.testing.subject import installed
from derm_bench.training.feed import Feed, FeedOptions
from derm_bench.training.pixels import Pixels
from derm_bench.training.resize import resize_images, resized

HALF = (0.5, 0.5, 0.5)


def interleaved(images):
    return images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def both_layouts(size=40):
    """A phantom set with masks, [N,C,H,W] and [N,H,W,C]."""
    plain = phantoms(per_class=12, size=size)
    images = plain.images.contiguous()
    plain = replace(plain, images=images, masks=(images[:, :1] < 110).byte() * 255)
    return plain, replace(plain, images=interleaved(images), masks=interleaved(plain.masks))


def test_images_that_lie_as_they_are_consumed_are_not_copied():
    plain, laid = both_layouts()
    kept = Pixels(laid.images, "cpu", 40, HALF, HALF)
    assert kept.rows.data.data_ptr() == laid.images.data_ptr()
    copied = Pixels(plain.images, "cpu", 40, HALF, HALF)
    assert copied.rows.data.data_ptr() != plain.images.data_ptr()
    assert torch.equal(kept.rows.data, copied.rows.data)


@pytest.mark.parametrize("size", [40, 32])
def test_no_images_are_no_chunk_and_an_empty_batch(size):
    kept = Pixels(both_layouts()[0].images[:0], "cpu", size, HALF, HALF)
    assert list(kept.chunks(8)) == []
    assert kept.gather_normalised(torch.arange(0)).shape == (0, 3, size, size)


@pytest.mark.parametrize("size", [16, 33, 40, 64])
def test_resized_images_and_masks(size):
    plain, laid = both_layouts()
    assert torch.equal(resize_images(plain.images, size), resize_images(laid.images, size))
    one, other = resized(plain, size), resized(laid, size)
    assert torch.equal(one.images, other.images) and torch.equal(one.masks, other.masks)


@pytest.mark.parametrize("size", [24, 40])
def test_batches_with_augmentation_and_masks(size):
    plugins = Plugins(builtins_only=True)
    specs = [plugins.get("transform", name) for name in ("hflip", "rotate", "brightness", "crop")]
    transforms = [create(spec, spec.options(), Task(("a",), size)) for spec in specs]
    options = FeedOptions(7, size=size, image_transforms=transforms)
    feeds = [Feed(train, options, 3, masks=True) for train in both_layouts()]
    for one, other in zip(*(feed.batches(4) for feed in feeds), strict=True):
        assert torch.equal(one.images, other.images) and torch.equal(one.masks, other.masks)
        assert one.images.stride() == other.images.stride()


def test_the_reference_network_and_its_features(monkeypatch):
    monkeypatch.setattr(reference, "UPDATES", 3)
    monkeypatch.setattr(reference, "NETWORKS", 2)
    for size in (64, 40):
        plain, laid = both_layouts(size)
        one, other = reference.fit_reference(plain), reference.fit_reference(laid)
        assert all(torch.equal(one[name], other[name]) for name in one)
        network = reference.Reference.load(one, plain.classes)
        assert np.array_equal(network.features(plain.images), network.features(laid.images))


def test_features_of_an_extractor_whose_rounding_depends_on_the_layout():
    weight = torch.randn(8, 3, 7, 7, generator=torch.Generator().manual_seed(0))

    def extractor(images):
        return F.conv2d(images.float(), weight).mean((2, 3))

    plain, laid = both_layouts()
    assert np.array_equal(extract(extractor, plain.images), extract(extractor, laid.images))


def test_likeness():
    (plain, laid), noise = both_layouts(), torch.randint(0, 256, (64, 3, 40, 40)).byte()
    for samples in (noise, interleaved(noise)):
        assert likeness(samples, plain.images) == likeness(noise, laid.images)


def case_on(kind, name, train):
    """The kit's case of a built-in, on these images."""
    make = GeneratorCase if kind == "generator" else ClassifierCase
    case = make(installed(kind, name, {}), size=32)
    case.__dict__["train"] = train
    return case.fit(Change())


@pytest.mark.parametrize(
    ("kind", "name"),
    [("generator", name) for name in ("dcgan", "blur", "lesion-paste", "dermgan", "efgan", "iagan")]
    + [("classifier", "dermagan-cnn")],
)
def test_fits_and_samples_of_built_ins(kind, name):
    conditional = kind == "classifier" or Plugins(builtins_only=True).get(kind, name).conditional
    sets = [s if conditional else s.of_classes(s.classes[:1]) for s in both_layouts(32)]
    one, other = (case_on(kind, name, train) for train in sets)
    assert all(torch.equal(one.state[key], other.state[key]) for key in one.state)
    assert all(torch.equal(a, b) for a, b in zip(one.outputs, other.outputs, strict=True))
