"""ricap, mixup, cutmix: pixels and soft labels against a direct computation from the same drawn parameters."""

import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from derm_bench.images import ImageSet
from derm_bench.specs import Task, create
from derm_bench.training.feed import FeedOptions
from derm_bench.training.losses import soft_cross_entropy
from derm_bench.training.stage_run import StageRun
from derm_bench_plugins.transforms import specs
from derm_bench_plugins.transforms.beta import Beta

SPECS = {spec.name: spec for spec in specs() if spec.phase == "batch"}


def make(name, **options):
    return create(SPECS[name], SPECS[name].options(**options), Task(("a", "b", "c"), 12))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=6, height=12, width=12):
    """Images whose every pixel is its own, and their labels."""
    images = torch.arange(n * 3 * height * width).reshape(n, 3, height, width) / 1000
    return images, torch.arange(n) % 3


@pytest.mark.parametrize("seed", range(8))
def test_ricap_is_four_crops_and_labels_by_area(seed):
    images, labels = batch(width=16)
    ricap = make("ricap", beta=1.0)
    mixed, targets = ricap(images, F.one_hot(labels).float(), generator(seed))
    drawn = ricap.draw(6, 12, 16, generator(seed))
    w, h = int(drawn.boundary[0]), int(drawn.boundary[1])
    sizes = [(w, h), (16 - w, h), (w, 12 - h), (16 - w, 12 - h)]
    corners = [(0, 0), (w, 0), (0, h), (w, h)]
    expected, area = torch.full_like(images, -1), torch.zeros(4)
    for k, ((wide, high), (x, y)) in enumerate(zip(sizes, corners, strict=True)):
        left, top = int(drawn.left[k]), int(drawn.top[k])
        assert 0 <= left <= 16 - wide and 0 <= top <= 12 - high, "the crop lies within its image"
        crop = images[drawn.rows[k]][:, :, top : top + high, left : left + wide]
        expected[:, :, y : y + high, x : x + wide] = crop
        area[k] = wide * high / (12 * 16)
    assert torch.equal(mixed, expected)
    # The paper's loss: over the four patches, area times cross-entropy with the labels of their images.
    logits = torch.randn(6, 3, generator=generator(9))
    direct = sum(area[k] * F.cross_entropy(logits, labels[drawn.rows[k]]) for k in range(4))
    torch.testing.assert_close(soft_cross_entropy(logits, targets), direct)


def test_ricap_draws_four_permutations_and_uses_every_place():
    ricap, shared = make("ricap"), generator()
    draws = [ricap.draw(6, 12, 12, shared) for _ in range(300)]
    assert all(torch.equal(d.rows.sort(dim=1).values, torch.arange(6).expand(4, 6)) for d in draws)
    assert not any(torch.equal(d.rows[0], d.rows[1]) for d in draws[:3])
    places = [int(d.left[0]) / (12 - int(d.widths[0])) for d in draws if int(d.widths[0]) < 12]
    assert min(places) == 0 and max(places) == 1, "the first and the last place that a crop fits in"


@pytest.mark.parametrize("seed", range(4))
def test_mixup_is_one_weighted_mean_of_images_and_losses(seed):
    images, labels = batch()
    mixup = make("mixup", alpha=1.0)
    mixed, targets = mixup(images, F.one_hot(labels).float(), generator(seed))
    again = generator(seed)
    share, other = mixup.beta(1, again).item(), torch.randperm(6, generator=again)
    torch.testing.assert_close(mixed, share * images + (1 - share) * images[other])
    logits = torch.randn(6, 3, generator=generator(9))
    direct = share * F.cross_entropy(logits, labels) + (1 - share) * F.cross_entropy(logits, labels[other])
    torch.testing.assert_close(soft_cross_entropy(logits, targets), direct)


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_is_a_rectangle_of_another_image_and_labels_by_what_shows(seed):
    images, labels = batch(width=16)
    mixed, targets = make("cutmix")(images, F.one_hot(labels).float(), generator(seed))
    again = generator(seed)
    other = torch.randperm(6, generator=again)
    side = (1 - make("cutmix").beta(1, again).item()) ** 0.5
    x, y, _ = torch.rand(3, generator=again)
    half_width, half_height = int(16 * side) // 2, int(12 * side) // 2
    left, right = max(int(16 * x) - half_width, 0), min(int(16 * x) + half_width, 16)
    top, bottom = max(int(12 * y) - half_height, 0), min(int(12 * y) + half_height, 12)
    expected = images.clone()
    expected[:, :, top:bottom, left:right] = images[other][:, :, top:bottom, left:right]
    assert torch.equal(mixed, expected)
    kept = 1 - (right - left) * (bottom - top) / (16 * 12)
    logits = torch.randn(6, 3, generator=generator(9))
    direct = kept * F.cross_entropy(logits, labels) + (1 - kept) * F.cross_entropy(logits, labels[other])
    torch.testing.assert_close(soft_cross_entropy(logits, targets), direct)


@pytest.mark.parametrize("name", SPECS)
def test_a_share_of_batches_is_left_alone(name):
    images, labels = batch()
    hard = F.one_hot(labels).float()
    mixing, shared = make(name, p=0.3), generator()
    made = [mixing(images, hard, shared) for _ in range(300)]
    mixed = [not torch.equal(shown, images) for shown, _ in made]
    assert 60 < sum(mixed) < 110
    assert all(
        torch.equal(targets, hard) for (_, targets), changed in zip(made, mixed, strict=True) if not changed
    )


@pytest.mark.parametrize("name", SPECS)
def test_with_p_zero_nothing_is_mixed(name):
    images, labels = batch()
    shown, targets = make(name, p=0.0)(images, F.one_hot(labels).float(), generator())
    assert torch.equal(shown, images) and torch.equal(targets, F.one_hot(labels).float())


@pytest.mark.parametrize("alpha", [0.2, 0.3, 1.0, 8.0])
def test_beta_is_the_distribution_of_that_name(alpha):
    drawn = Beta(alpha)(4000, generator())
    assert stats.kstest(drawn.numpy(), stats.beta(alpha, alpha).cdf).pvalue > 0.01


@pytest.mark.parametrize("name", SPECS)
def test_class_weights_are_on_the_mixed_targets_so_that_classes_share_the_loss_equally(name):
    """At 90 to 10, every class keeps half of the weight of an epoch, as it does without mixing."""
    names = tuple(map(str, range(20)))
    pixels = torch.zeros(20, 3, 12, 12, dtype=torch.uint8)
    train = ImageSet(pixels, torch.tensor([0] * 18 + [1] * 2), ("a", "b"), names, names)
    feed = FeedOptions(batch_size=20, batch_transforms=[make(name)], balance="class-weights")
    for shown in StageRun(seed=3, budget=5, feed=feed).batches(train):
        shares = shown.weights @ shown.targets
        torch.testing.assert_close(shares, torch.tensor([10.0, 10.0]))


@pytest.mark.parametrize("name", SPECS)
def test_classifiers_train_on_the_soft_labels(name):
    """Images tell their class by their level, so that the labels that belong to mixed pixels are known."""
    levels = torch.tensor([0, 100, 250])
    labels = torch.arange(30) % 3
    pixels = levels[labels].view(-1, 1, 1, 1).expand(-1, 3, 12, 12).to(torch.uint8)
    names = tuple(map(str, range(30)))
    train = ImageSet(pixels, labels, ("a", "b", "c"), names, names, aux_labels={"dark": (labels == 0).long()})
    run = StageRun(
        seed=1,
        budget=4,
        feed=FeedOptions(batch_size=10, batch_transforms=[make(name)], mean=(0,) * 3, std=(1,) * 3),
    )
    soft = 0
    for shown in run.batches(train):
        mean = shown.images.mean(dim=(1, 2, 3)) * 255
        torch.testing.assert_close(mean, shown.targets @ levels.float(), atol=0.1, rtol=0)
        torch.testing.assert_close(shown.aux["dark"][:, 1], shown.targets[:, 0])
        soft += int((shown.targets.amax(dim=1) < 0.999).sum())
    assert soft
