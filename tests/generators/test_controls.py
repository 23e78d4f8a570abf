"""Controls: what they draw, in which order, and what becomes of it."""

import json

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tests.conftest import read_csv, toy_matrix

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.specs import SampleRequest, Task, create
from derm_bench.testing.runs import RecordedRun
from derm_bench.training.resize import resize_images, resized
from derm_bench_plugins.generators import specs

NAMES = ("duplicate", "blur", "bottleneck", "shuffled-label", "more-real", "noise")
SPECS = {spec.name: spec for spec in specs() if spec.name in NAMES}


def train_set(counts=(10, 4, 6), size=32, seed=0):
    """Random images; `counts` of each class."""
    labels = torch.cat([torch.full((n,), k) for k, n in enumerate(counts)])
    n = len(labels)
    images = torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(seed)).byte()
    names = tuple(f"image-{k}" for k in range(n))
    return ImageSet(images, labels, ("a", "b", "c")[: len(counts)], names, names)


def fitted(name, train, seed=0, **options):
    spec = SPECS[name]
    control = create(spec, spec.options(**options), Task(train.classes, train.size))
    control.fit(train, RecordedRun(seed=seed, budget=1))
    return control


def drawn(control, train, label, n, chunk=128, **request):
    """Samples as the sample stage puts them together: whole chunks, cut at n."""
    parts = [
        control.sample(SampleRequest(label, chunk, 7 + start, start, n, **request), train)
        for start in range(0, n, chunk)
    ]
    ids = [name for part in parts for name in part.source_ids][:n]
    return torch.cat([part.images for part in parts])[:n], ids


@pytest.mark.parametrize("chunk", [3, 8, 128])
def test_every_duplicate_is_bytewise_a_training_image_of_its_class_and_none_comes_twice_before_all_came(
    chunk,
):
    train = train_set()
    images, ids = drawn(fitted("duplicate", train), train, 0, 25, chunk)
    own = {name: k for k, name in enumerate(train.ids)}
    for image, name in zip(images, ids, strict=True):
        assert torch.equal(image, train.images[own[name]]) and train.labels[own[name]] == 0
    assert len(set(ids[:10])) == 10 == len(set(ids[10:20])) and len(set(ids[20:])) == 5
    assert ids[:10] != ids[10:20]


def test_fewer_are_a_prefix_of_more_and_the_order_follows_the_seed_of_the_fit():
    train = train_set()
    control = fitted("duplicate", train)
    assert drawn(control, train, 0, 30, 8)[1][:13] == drawn(control, train, 0, 13, 8)[1]
    assert drawn(control, train, 0, 10)[1] != drawn(fitted("duplicate", train, seed=1), train, 0, 10)[1]


def test_shuffled_labels_follow_the_prior_of_training_whatever_is_asked_for():
    train = train_set((30, 12, 18))
    control = fitted("shuffled-label", train)
    label = dict(zip(train.ids, train.labels.tolist(), strict=True))
    orders = []
    for asked in range(3):
        images, ids = drawn(control, train, asked, 120, 32)
        assert np.bincount([label[name] for name in ids]).tolist() == [60, 24, 36]
        assert torch.equal(images[5], train.images[train.ids.index(ids[5])])
        orders.append(ids)
    assert orders[0] != orders[1] != orders[2]


@pytest.mark.parametrize("given", [{"scope": "per_class"}, {"scope": [["a"], ["b"]]}, {"classes": ["a"]}])
def test_labels_that_would_not_be_shuffled_are_refused(given):
    with pytest.raises(ValidationError, match="draws from all"):
        SPECS["shuffled-label"].options(**given)


@pytest.mark.parametrize("name", [name for name in SPECS if name != "bottleneck"])
def test_no_control_is_shown_the_test_set(name):
    with pytest.raises(ValidationError, match="uses training images only"):
        SPECS[name].options(fit_on="all")


def test_blur_takes_the_high_frequencies_and_leaves_the_mean():
    train = train_set()
    plain, ids = drawn(fitted("duplicate", train), train, 0, 10)
    blurred, same = drawn(fitted("blur", train, sigma=2.0), train, 0, 10)
    assert ids == same
    spectra = [torch.fft.rfft2(images.float()).abs() for images in (plain, blurred)]
    # A Gaussian of deviation s passes exp(-(2 pi f s)^2 / 2) of frequency f, here in cycles a pixel.
    kept = (spectra[1] / spectra[0])[:, :, 2, 0].median().item()
    assert kept == pytest.approx(np.exp(-((2 * np.pi * 2 / 32 * 2.0) ** 2) / 2), abs=0.1)
    assert (spectra[1][:, :, 8:16, 8:].mean() / spectra[0][:, :, 8:16, 8:].mean()).item() < 0.05
    assert blurred.float().mean().item() == pytest.approx(plain.float().mean().item(), abs=1)


def test_a_bottleneck_is_resizing_down_and_up_again():
    stored = train_set(size=32)
    train = resized(stored, 16)  # as the fit and sample stages do with the option `size`
    images, ids = drawn(fitted("bottleneck", train, size=16), train, 1, 4)
    through = resize_images(images, 32)
    expected = torch.nn.functional.interpolate(
        torch.nn.functional.interpolate(stored.images.float(), 16, mode="bilinear", antialias=True).round(),
        32,
        mode="bilinear",
    ).round()
    for image, name in zip(through, ids, strict=True):
        assert torch.equal(image.float(), expected[stored.ids.index(name)])


def test_a_bottleneck_without_a_size_is_refused():
    with pytest.raises(ValidationError, match="size"):
        SPECS["bottleneck"].options()


def test_noise_is_uniform_over_all_bytes_and_differs_by_class_and_request():
    train = train_set()
    control = fitted("noise", train)
    images = control.sample(SampleRequest(0, 64, 3)).images
    counts = torch.bincount(images.flatten().long(), minlength=256).double()
    assert ((counts / counts.mean() - 1).abs() < 0.15).all()
    for other in (SampleRequest(1, 64, 3), SampleRequest(0, 64, 4)):
        assert not torch.equal(images, control.sample(other).images)


def test_more_real_draws_each_image_of_the_reserve_once_and_says_when_they_are_too_few():
    reserve = train_set()
    control = fitted("more-real", reserve)
    images, ids = drawn(control, reserve, 1, 4)
    assert sorted(ids) == [f"image-{k}" for k in range(10, 14)]
    assert torch.equal(images[0], reserve.images[reserve.ids.index(ids[0])])
    with pytest.raises(UserError, match="the reserve has 4 images of 'b', but 5 are requested"):
        drawn(control, reserve, 1, 5)


# ------------------------------------------------------------------------------ in a matrix


def arm(name, **quota):
    return {"name": name, "generator": name, "synthetic": {"per_class": quota}}


def controls_matrix(*arms, reserve=0.2, **changes):
    matrix = toy_matrix(seeds=[0], strategies=["real-only", *arms], **changes)
    matrix["dataset"] |= {"split": {"test": 0.2, "val": 0.1, "reserve": reserve}}
    return matrix


def sources(tmp_path):
    """Generator -> the parts of the split that the images of its samples are of."""
    (split,) = [path for path in (tmp_path / "store").rglob("*") if is_split(path)]
    part = {row["image_id"]: row["split"] for row in read_csv(split)}
    found = {}
    for stage in (tmp_path / "store").rglob("stage.json"):
        identity = json.loads(stage.read_text())["identity"]
        if identity["kind"] == "sample":
            ids = json.loads((stage.parent / "samples.json").read_text())["source_ids"]
            found.setdefault(identity["params"]["generator"], set()).update(part[name] for name in ids)
    return found


def is_split(path):
    return path.is_file() and path.read_bytes()[:14] == b"image_id,group"


def test_controls_draw_from_train_and_more_real_from_the_reserve(in_process, write_matrix, tmp_path):
    names = ("duplicate", "blur", "shuffled-label", "more-real")
    ran = in_process("run", write_matrix(controls_matrix(*(arm(name, blue=2) for name in names))))
    assert ran.code == 0, ran.err
    rows = {row["strategy"]: row for row in read_csv(tmp_path / "runs" / "toy" / "results.csv")}
    assert all(rows[name]["n_train_synthetic"] == "2" and rows[name]["status"] == "done" for name in names)
    assert (
        len(list((tmp_path / "runs" / "toy" / "samples").glob("more-real__*"))) > 0
    )  # fewer than are scored
    assert sources(tmp_path) == {name: {"reserve" if name == "more-real" else "train"} for name in names}


@pytest.mark.parametrize(
    ("reserve", "said"),
    [(0.2, "has 2 images of 'blue', but the quota is 3"), (0, "split.reserve")],
)
def test_a_reserve_that_cannot_meet_the_quota_is_seen_while_planning(in_process, write_matrix, reserve, said):
    refused = in_process("plan", write_matrix(controls_matrix(arm("more-real", blue=3), reserve=reserve)))
    assert refused.code == 2 and said in refused.err and "Traceback" not in refused.err
    fewer = controls_matrix(arm("more-real", blue=2))
    assert in_process("plan", write_matrix(fewer)).code == 0
