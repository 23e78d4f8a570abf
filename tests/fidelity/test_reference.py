"""The reference networks are deterministic, keep their state in plain tensors, and order what they should."""

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from derm_bench.fidelity import reference
from derm_bench.fidelity.by_network import FEATURES, NETWORKS, by_network
from derm_bench.fidelity.distances import frechet_distance, gaussian_distance, kernel_distance
from derm_bench.fidelity.reference import (
    Reference,
    distort,
    fit_reference,
)

from .conftest import blobs, image_set


def test_the_same_images_give_the_same_state_whatever_was_drawn_before(monkeypatch):
    monkeypatch.setattr(reference, "UPDATES", 3)
    train = image_set(24)
    first = fit_reference(train)
    torch.rand(7)
    before = torch.get_rng_state()
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    second = fit_reference(train)
    assert torch.get_num_threads() == threads + 1
    torch.set_num_threads(threads)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(before, torch.get_rng_state())


def test_the_state_survives_safetensors(quick_reference):
    state = {name: value.contiguous() for name, value in quick_reference.networks.state_dict().items()}
    again = Reference.load(load(save(state)), 2)
    images = blobs(5, 3)
    assert np.array_equal(again.features(images), quick_reference.features(images))


def test_features_are_float64_standardised_and_independent_of_the_batch(quick_reference):
    features = quick_reference(image_set(64).images)
    assert features.dtype == np.float64 and features.shape == (64, NETWORKS * FEATURES)
    assert np.abs(features.mean(0)).max() < 1e-4
    assert features.std(0).max() < 1.001
    alone = quick_reference.features(image_set(64).images[7:8])
    assert np.allclose(alone, features[7:8], atol=1e-4)


def test_images_of_another_size_are_resized(quick_reference):
    large = blobs(20, 5, size=128)
    halved = torch.nn.functional.interpolate(large.float(), (64, 64), mode="bilinear", antialias=True)
    expected = quick_reference.features(halved.round().byte())
    assert np.allclose(quick_reference.features(large), expected, atol=1e-4)
    assert quick_reference.features(large[:0]).shape == (0, NETWORKS * FEATURES)


@pytest.mark.parametrize(("n", "classes"), [(24, ("only",)), (3, ("a", "b", "empty")), (1, ("a",))])
def test_one_class_few_images_and_a_class_without_images_are_enough(monkeypatch, n, classes):
    monkeypatch.setattr(reference, "UPDATES", 2)
    train = image_set(n, classes[: min(n, len(classes))])
    train = train if len(classes) <= n else train.of_classes(list(classes))
    state = fit_reference(train)
    assert np.isfinite(Reference.load(state, train.classes).features(train.images)).all()


def test_no_images_is_an_error():
    with pytest.raises(ValueError, match="need training images"):
        fit_reference(image_set(4).subset([]))


def test_distortions_are_what_their_labels_say():
    images = blobs(200, 1)
    batch, turns, shuffled = distort(images, torch.Generator().manual_seed(0))
    assert batch.shape == (200, 3, 64, 64) and batch.dtype == torch.float32
    assert set(turns.tolist()) == {0, 1, 2, 3} and set(shuffled.tolist()) == {0, 1}
    scaled = images.float() / 127.5 - 1
    off = torch.stack([(batch - scaled.rot90(k, (2, 3))).abs().mean((1, 2, 3)) for k in range(4)])
    for k in range(4):  # whole images are turned, and hardly damaged
        assert (off[k][(turns == k) & (shuffled == 0)] < 0.1).all()
    assert (off.amin(0)[shuffled == 1] > 0.1).all()
    assert torch.allclose(batch.mean((2, 3)), scaled.mean((2, 3)), atol=0.02), "blocks move, colours stay"
    again = distort(images, torch.Generator().manual_seed(0))
    assert torch.equal(batch, again[0])


@pytest.mark.parametrize("distance", [gaussian_distance, frechet_distance, kernel_distance])
def test_held_out_reals_are_nearest_then_blurred_ones_and_noise_is_far(quick_reference, distance):
    real = quick_reference.features(blobs(60, 11))
    other = blobs(60, 12)
    smooth = torch.nn.functional.avg_pool2d(other.float(), 5, 1, 2).byte()
    noise = torch.randint(0, 256, other.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def mean(images):
        pairs = zip(by_network(real), by_network(quick_reference.features(images)), strict=True)
        return np.mean([distance(x, y).value for x, y in pairs])

    holdout, blurred, far = map(mean, (other, smooth, noise))
    assert holdout < blurred < far
    assert far > 2 * max(holdout, 0)
