"""phantom-dermoscopy: the same options give the same lesions, and every option does what it says."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError

from derm_bench.specs import Task, create
from derm_bench_plugins.datasets import specs
from derm_bench_plugins.datasets.phantom.diagnoses import PHANTOM_CLASSES

SPEC = {spec.name: spec for spec in specs()}["phantom-dermoscopy"]


def opened(**options):
    options = SPEC.options(**{"images": 60, "side": 32, **options})
    return create(SPEC, options, Task(options.classes, options.side)), options


def described(**options):
    dataset, options = opened(**options)
    return dataset.describe(options)


def pixels(ids=None, **options):
    dataset, options = opened(**options)
    return np.stack([image.pixels for image in dataset.read(ids or dataset.describe(options).ids[:12])])


def test_images_do_not_depend_on_what_is_read_before():
    dataset, options = opened()
    ids = dataset.describe(options).ids
    forward = dict(zip(ids, dataset.read(ids), strict=True))
    backward = dict(zip(ids[::-1], opened()[0].read(ids[::-1]), strict=True))
    for name in ids:
        assert np.array_equal(forward[name].pixels, backward[name].pixels)
        assert np.array_equal(forward[name].mask, backward[name].mask)
    assert len({image.pixels.tobytes() for image in forward.values()}) == len(ids)


def test_pixels_and_masks_are_what_decoding_expects():
    dataset, options = opened(classes=PHANTOM_CLASSES, images=70)
    for image in dataset.read(dataset.describe(options).ids):
        assert image.pixels.shape == (32, 32, 3) and image.pixels.dtype == np.uint8
        assert image.mask.shape == (32, 32) and set(np.unique(image.mask)) <= {0, 255}
        assert 0.01 < (image.mask > 0).mean() < 0.95


def test_the_mask_lies_on_the_lesion():
    """Nevi are darker than the skin around them."""
    dataset, options = opened(classes=("nv", "mel"), difficulty=0.0, domain="clinic-a")
    found = dataset.describe(options)
    darker = [
        image.pixels[image.mask > 0].mean() < image.pixels[image.mask == 0].mean()
        for image, tone in zip(dataset.read(found.ids), found.attributes["tone"], strict=True)
        if tone < 4
    ]
    assert np.mean(darker) > 0.85


def test_counts_are_exact_and_imbalance_is_obeyed():
    assert Counter(described(images=90, imbalance=1.0).labels) == {"mel": 30, "nv": 30, "bkl": 30}
    counts = Counter(described(images=700, imbalance=4.0).labels)
    assert sum(counts.values()) == 700
    assert counts["nv"] == max(counts.values()) and 3.7 < counts["nv"] / counts["mel"] < 4.3
    shares = {"mel": 1, "nv": 7, "bkl": 2}
    assert Counter(described(images=100, imbalance=shares).labels)["nv"] == pytest.approx(70, abs=1)


def test_views_of_one_lesion_share_group_label_and_bearer():
    found = described(images=200, views=2.0)
    sizes = Counter(found.groups)
    assert max(sizes.values()) <= 3 and 1.8 < 200 / len(sizes) < 2.2
    for column in (found.labels, *found.attributes.values()):
        assert len(set(zip(found.groups, column, strict=True))) == len(sizes)
    assert set(Counter(described(views=1.0).groups).values()) == {1}


def test_views_differ_less_than_lesions():
    """In colour, over the lesion: the pose differs, the tissue does not."""
    dataset, options = opened(images=150, views=3.0, imbalance=1.0)
    found = dataset.describe(options)
    colour = [image.pixels[image.mask > 0].mean(0) for image in dataset.read(found.ids)]
    by_group = {}
    for group, value in zip(found.groups, colour, strict=True):
        by_group.setdefault(group, []).append(value)
    within = np.mean([np.std(values, 0).mean() for values in by_group.values() if len(values) == 3])
    assert within < 0.6 * np.std(colour, 0).mean()


def test_names_do_not_tell_the_class():
    found = described(images=300, imbalance=1.0)
    first, second = Counter(found.labels[:150]), Counter(found.labels[150:])
    assert all(abs(first[name] - second[name]) < 40 for name in found.classes)


@pytest.mark.parametrize("change", [{"difficulty": 0.9}, {"domain": "clinic-b"}])
def test_difficulty_and_domain_change_images_but_not_how_many(change):
    before, after = described(), described(**change)
    assert before.labels == after.labels
    assert list(Counter(before.groups).values()) == list(Counter(after.groups).values())
    assert not np.array_equal(pixels(), pixels(**change))


def test_another_clinic_or_seed_has_other_patients():
    names = [set(described(**options).ids) for options in ({}, {"domain": "clinic-b"}, {"seed": 1})]
    assert not names[0] & names[1] and not names[0] & names[2]
    assert not np.array_equal(pixels(), pixels(seed=1))


def test_the_clinics_look_different():
    a, b = pixels(images=120).astype(float), pixels(images=120, domain="clinic-b").astype(float)
    red_to_blue = [images[..., 0].mean() / images[..., 2].mean() for images in (a, b)]
    assert red_to_blue[0] > red_to_blue[1] * 1.05


def test_fingerprints_follow_the_options():
    dataset, options = opened()
    before = dataset.fingerprint(options)
    assert list(before) == list(dataset.describe(options).ids) and len(set(before.values())) == 60
    dataset, options = opened(difficulty=0.4)
    assert not set(before.values()) & set(dataset.fingerprint(options).values())


@pytest.mark.parametrize(
    "options",
    [
        {"classes": ("mel",)},
        {"classes": ("mel", "mel")},
        {"classes": ("mel", "wart")},
        {"imbalance": {"mel": 1.0}},
        {"imbalance": 0.5},
        {"views": 4},
        {"images": 2},
        {"domain": "clinic-c"},
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ValidationError):
        SPEC.options(**options)


def test_presets_are_valid_and_specs_are_light():
    for spec in specs():
        for preset in spec.presets.values():
            spec.options(**preset)
    code = (
        "import sys; from derm_bench_plugins.datasets import specs; specs();"
        "assert not {'torch', 'numpy', 'PIL', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
