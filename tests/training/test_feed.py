"""The feed: which images a batch shows, how often, with which targets and weights."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from derm_bench.images import ImageSet
from derm_bench.stages.synthetic import joined, labelled
from derm_bench.training.augment import rotation, warp
from derm_bench.training.feed import Feed, FeedOptions
from derm_bench.training.losses import soft_bce, soft_cross_entropy
from derm_bench.training.pixels import Pixels, Rows


def image_set(labels, size=8, classes=("a", "b", "c")):
    """Image i is filled with the grey value i, so that a batch tells which rows it holds."""
    n = len(labels)
    names = tuple(map(str, range(n)))
    images = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 3, size, size).contiguous()
    return ImageSet(images, torch.tensor(labels, dtype=torch.int64), classes, names, names)


def rows(batch):
    """The rows of a batch made by `raw_feed`."""
    return (batch.images[:, 0, 0, 0] * 255).round().long().tolist()


def raw_feed(train, batch_size, seed=0, masks=False, **options):
    chosen = FeedOptions(batch_size, mean=(0.0,) * 3, std=(1.0,) * 3, **options)
    return Feed(train, chosen, seed, masks=masks)


def test_an_epoch_shows_each_image_once_and_the_last_batch_is_filled_from_the_next():
    feed = raw_feed(image_set([0] * 10), 4)
    shown = [row for batch in feed.batches(5) for row in rows(batch)]
    assert sorted(shown[:10]) == list(range(10)) == sorted(shown[10:20])
    assert shown[:10] != shown[10:20]


@pytest.mark.parametrize("updates", [1, 3, 17])
def test_there_are_exactly_as_many_full_batches_as_updates(updates):
    batches = list(raw_feed(image_set([0] * 10), 4).batches(updates))
    assert [batch.step for batch in batches] == list(range(1, updates + 1))
    assert all(len(batch.images) == 4 for batch in batches)


def test_a_set_smaller_than_a_batch_fills_it_with_repeats():
    (batch,) = raw_feed(image_set([0, 1, 2]), 8).batches(1)
    assert [rows(batch).count(k) for k in range(3)] in ([3, 3, 2], [3, 2, 3], [2, 3, 3])


def test_the_order_follows_the_seed():
    def order(seed):
        return [rows(batch) for batch in raw_feed(image_set([0] * 20), 5, seed).batches(6)]

    assert order(3) == order(3)
    assert order(3) != order(4)


def test_augmentation_leaves_the_order_as_it_was():
    def jitter(images, generator):
        return images + 0 * torch.rand(len(images), generator=generator).view(-1, 1, 1, 1)

    plain = raw_feed(image_set([0] * 20), 5)
    jittered = raw_feed(image_set([0] * 20), 5, image_transforms=[jitter])
    assert [rows(b) for b in plain.batches(6)] == [rows(b) for b in jittered.batches(6)]


def test_oversampling_shows_every_class_equally_often_and_every_image_of_it_as_evenly_as_can_be():
    feed = raw_feed(image_set([0] * 7 + [1] * 3 + [2] * 2), 7, balance="oversample")
    assert feed.epoch_length == 21
    shown = [row for batch in feed.batches(3) for row in rows(batch)]
    times = [shown.count(k) for k in range(12)]
    assert [sum(times[:7]), sum(times[7:10]), sum(times[10:])] == [7, 7, 7]
    assert set(times[:7]) == {1} and set(times[7:10]) == {2, 3} and set(times[10:]) == {3, 4}


def test_class_weights_are_inverse_frequencies_that_average_one():
    feed = raw_feed(image_set([0] * 6 + [1] * 2), 8, balance="class-weights")
    (batch,) = feed.batches(1)
    weight = dict(zip(rows(batch), batch.weights.tolist(), strict=True))
    assert weight[0] == pytest.approx(8 / (2 * 6)) and weight[7] == pytest.approx(8 / (2 * 2))
    assert batch.weights.mean().item() == pytest.approx(1)


def test_targets_are_one_hot_or_smoothed():
    (hard,) = raw_feed(image_set([1] * 4), 4).batches(1)
    assert hard.targets.tolist() == [[0, 1, 0]] * 4
    (soft,) = raw_feed(image_set([1] * 4), 4, label_smoothing=0.3).batches(1)
    torch.testing.assert_close(soft.targets, torch.tensor([[0.1, 0.8, 0.1]] * 4))
    assert soft.weights.tolist() == [1] * 4


def test_images_are_resized_and_normalised_with_the_given_mean_and_std():
    train = image_set([0] * 4, size=8)
    feed = Feed(train, FeedOptions(4, size=12, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0)), 0)
    (batch,) = feed.batches(1)
    assert batch.images.shape == (4, 3, 12, 12) and batch.images.dtype == torch.float32
    red, green, blue = batch.images[:, :, 0, 0].unbind(dim=1)
    torch.testing.assert_close(red * 0.5 + 0.1, green * 0.25 + 0.2)
    torch.testing.assert_close(red * 0.5 + 0.1, blue + 0.3)


def test_image_transforms_see_pixels_in_zero_to_one_and_batch_transforms_mix_targets():
    seen = {}

    def spy(images, generator):
        seen["range"] = (images.min().item(), images.max().item())
        return images

    def halve(images, targets, generator):
        return images, (targets + targets.flip(0)) / 2

    train = image_set([0, 1, 1, 1])
    feed = raw_feed(train, 4, image_transforms=[spy], batch_transforms=[halve])
    (batch,) = feed.batches(1)
    assert seen["range"] == (0.0, pytest.approx(3 / 255))
    assert sorted(batch.targets[:, 0].tolist()) == [0, 0, 0.5, 0.5]
    assert batch.weights.tolist() == [1] * 4


def set_targets(targets):
    """A batch transform that replaces the targets by rows of `targets` [N,K]."""
    return lambda images, _, generator: (images, targets[: len(images)])


def losses(batch, logits):
    return soft_cross_entropy(logits, batch.targets, batch.weights)


@pytest.mark.parametrize("seed", range(4))
def test_class_weights_of_soft_targets_are_those_of_torch(seed):
    draws = torch.Generator().manual_seed(seed)
    soft, logits = torch.rand(8, 3, generator=draws).softmax(1), torch.randn(8, 3, generator=draws)
    train = image_set([0] * 5 + [1] * 2 + [2])
    mixing = {"batch_transforms": [set_targets(soft)], "balance": "class-weights"}
    (batch,) = raw_feed(train, 8, **mixing).batches(1)
    weight = torch.tensor([8 / (3 * 5), 8 / (3 * 2), 8 / 3])
    torch.testing.assert_close(losses(batch, logits), F.cross_entropy(logits, soft, weight=weight))
    torch.testing.assert_close(batch.targets.sum(dim=1), torch.ones(8))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_class_weights_of_hard_and_smoothed_labels_are_those_of_torch(smoothing):
    logits = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    train = image_set([0] * 5 + [1] * 2 + [2])
    (batch,) = raw_feed(train, 8, balance="class-weights", label_smoothing=smoothing).batches(1)
    weight = torch.tensor([8 / (3 * 5), 8 / (3 * 2), 8 / 3])
    labels = train.labels[rows(batch)]
    in_torch = {"weight": weight, "label_smoothing": smoothing}
    of_one_hot = F.cross_entropy(logits, F.one_hot(labels, 3).float(), **in_torch)
    of_indices = F.cross_entropy(logits, labels, **in_torch) * weight[labels].sum() / 8
    torch.testing.assert_close(losses(batch, logits), of_one_hot)
    torch.testing.assert_close(losses(batch, logits), of_indices)


def test_class_weights_of_a_mixed_row_under_bce_are_the_weighted_losses_of_its_classes():
    mixed, logits = torch.tensor([[0.7, 0.3, 0.0]]), torch.tensor([[1.5, -0.5, 0.2]])
    train = image_set([0] * 9 + [1])
    (batch,) = raw_feed(train, 1, batch_transforms=[set_targets(mixed)], balance="class-weights").batches(1)
    weight = {0: 10 / (2 * 9), 1: 10 / 2}
    of_class = {k: soft_bce(logits, F.one_hot(torch.tensor([k]), 3).float()) for k in weight}
    right = 0.7 * weight[0] * of_class[0] + 0.3 * weight[1] * of_class[1]
    torch.testing.assert_close(soft_bce(logits, batch.targets, batch.weights), right)


def test_synthetic_rows_follow_the_real_ones_under_names_of_their_own():
    train = image_set([0, 1])
    nine = torch.full((2, 3, 8, 8), 9, dtype=torch.uint8)
    both = joined(train, labelled(train, nine, "c"), labelled(train, nine[:1], "a"))
    assert both.labels.tolist() == [0, 1, 2, 2, 0]
    assert len(set(both.ids)) == 5 and both.ids[:2] == train.ids
    shown = [row for batch in raw_feed(both, 5).batches(1) for row in rows(batch)]
    assert sorted(shown) == [0, 1, 9, 9, 9]


def test_nothing_to_train_on_is_an_error():
    with pytest.raises(ValueError, match="no image"):
        raw_feed(image_set([]), 4)


def test_images_that_do_not_fit_on_the_device_are_served_the_same():
    images = torch.randint(0, 256, (9, 3, 8, 8), dtype=torch.uint8)
    grey = (0.5, 0.5, 0.5)
    here, elsewhere = (Pixels(images, "cpu", 8, grey, grey, resident=resident) for resident in (True, False))
    index = torch.tensor([3, 0, 3, 8])
    assert torch.equal(here.gather(index), elsewhere.gather(index))
    assert all(torch.equal(a, b) for a, b in zip(here.chunks(4), elsewhere.chunks(4), strict=True))


@pytest.mark.parametrize("size", [8, 6])
def test_what_is_normalised_at_once_is_what_is_gathered_and_normalised_then(size):
    images = torch.randint(0, 256, (9, 3, 8, 8), dtype=torch.uint8)
    pixels = Pixels(images, "cpu", size, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    index = torch.tensor([3, 0, 3, 8])
    at_once, then = pixels.gather_normalised(index), pixels.normalise(pixels.gather(index))
    torch.testing.assert_close(at_once, then, rtol=0, atol=2e-6)
    assert at_once.shape == (4, 3, size, size) and at_once.is_contiguous(memory_format=torch.channels_last)


# ------------------------------------------------------------------------------------------- masks


def lesions(n=12, size=16):
    """White discs in random places on black, with masks that are white where the images are."""
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(n, 1, size, size, generator=generator) < 0.3).byte() * 255
    names = tuple(map(str, range(n)))
    labels = torch.zeros(n, dtype=torch.int64)
    return ImageSet(images.expand(-1, 3, -1, -1).contiguous(), labels, ("a",), names, names, masks=images)


class Turn:
    """By an angle an image, about the middle."""

    def matrices(self, n, generator):
        return rotation(90 * torch.rand(n, generator=generator))

    def __call__(self, images, generator):
        return warp(images, self.matrices(len(images), generator))


def test_masks_go_where_their_images_go():
    def darker(images, generator):
        return images * torch.rand(len(images), generator=generator).view(-1, 1, 1, 1) * 0.5

    for transforms in ([], [Turn(), Turn()], [Turn(), darker], [darker, Turn(), darker, Turn()]):
        asked = raw_feed(lesions(), 5, size=16, image_transforms=transforms, masks=True)
        plain = raw_feed(lesions(), 5, size=16, image_transforms=transforms)
        for one, other in zip(asked.batches(4), plain.batches(4), strict=True):
            assert torch.equal(one.images, other.images) and other.masks is None
            pictured, shown = one.masks, one.images[:, :1]
            ratio = shown.amax(dim=(1, 2, 3), keepdim=True) / pictured.amax(dim=(1, 2, 3), keepdim=True)
            assert torch.allclose(pictured * ratio, shown, atol=1e-5)


def test_masks_that_are_not_there_or_would_be_mixed_are_refused():
    with pytest.raises(ValueError, match="the training set has none"):
        raw_feed(image_set([0] * 4), 2, masks=True)
    with pytest.raises(ValueError, match="images are mixed"):
        raw_feed(lesions(), 2, masks=True, batch_transforms=[lambda images, targets, _: (images, targets)])


# -------------------------------------------------------------------------------------- named data


def with_data(n=12):
    """Row i of each named tensor holds i, as image i does."""
    place = torch.arange(n)
    data = {
        "volume": place.double().view(n, 1, 1, 1).expand(n, 2, 3, 4),
        "hair": place.to(torch.int16),
        "long": place % 2 == 1,
    }
    return replace(image_set([0] * n), data=data)


def test_named_data_comes_with_the_images_it_belongs_to():
    for batch in raw_feed(with_data(), 5).batches(6):
        shown = torch.tensor(rows(batch))
        assert batch.data["volume"].dtype == torch.float64 and batch.data["volume"].shape == (5, 2, 3, 4)
        assert torch.equal(batch.data["volume"][:, 1, 2, 3], shown.double())
        assert batch.data["hair"].dtype == torch.int16 and batch.data["hair"].tolist() == shown.tolist()
        assert batch.data["long"].tolist() == (shown % 2 == 1).tolist()


def test_named_data_changes_no_image_and_no_random_draw():
    def jitter(images, generator):
        return images * torch.rand(len(images), 1, 1, 1, generator=generator)

    plain, named = (
        raw_feed(train, 5, image_transforms=[jitter]) for train in (image_set([0] * 12), with_data())
    )
    for one, other in zip(plain.batches(6), named.batches(6), strict=True):
        assert torch.equal(one.images, other.images) and one.data == {}


def test_named_data_after_a_resume_is_that_of_the_uninterrupted_run():
    whole, first = list(raw_feed(with_data(), 5).batches(6)), raw_feed(with_data(), 5)
    for _ in first.batches(3):
        state = first.state()
    again = raw_feed(with_data(), 5)
    again.load_state(state)
    for one, other in zip(whole[3:], again.batches(6, after=3), strict=True):
        assert all(torch.equal(one.data[name], other.data[name]) for name in one.data)


def test_rows_that_do_not_fit_on_the_device_are_gathered_the_same():
    values = torch.randn(9, 2, 5, dtype=torch.float64)
    index = torch.tensor([3, 0, 3, 8])
    for resident in (True, False):
        assert torch.equal(Rows(values, "cpu", resident).gather(index), values[index])


def test_named_data_of_real_images_stays_where_nothing_synthetic_is_added():
    real, none = with_data(4), labelled(image_set([0]), image_set([]).images, "a")
    assert joined(real, none).data["hair"].tolist() == [0, 1, 2, 3]
    assert joined(none, real, with_data(2)).data["hair"].tolist() == [0, 1, 2, 3, 0, 1]
    assert joined(real, labelled(real, real.images, "a")).data == {}
