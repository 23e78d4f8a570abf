"""phantom-scalp: the severity decides how much of the scalp is bald, the person all the rest."""

from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError

from derm_bench.specs import Task, create
from derm_bench_plugins.datasets import specs
from derm_bench_plugins.datasets.phantom_scalp.people import draw_person, seen_scalp
from derm_bench_plugins.datasets.phantom_scalp.severities import SCALP_CLASSES
from derm_bench_plugins.hair.patches import SEVERITIES
from derm_bench_plugins.hair.styles import KINDS

SPEC = {spec.name: spec for spec in specs()}["phantom-scalp"]
SALT = {"healthy": (0, 0), "mild": (0.01, 0.25), "moderate": (0.25, 0.5), "severe": (0.5, 1)}


def opened(**options):
    options = SPEC.options(**{"images": 60, "side": 32, "imbalance": 1.0, **options})
    return create(SPEC, options, Task(options.classes, options.side)), options


def images(**options):
    dataset, options = opened(**options)
    found = dataset.describe(options)
    return found, list(dataset.read(found.ids))


def people(severity, n=40, **options):
    options = opened(**options)[1]
    return [draw_person(options, severity, number) for number in range(n)]


@pytest.fixture(scope="module")
def small():
    return images(images=48, side=48, views=2.5)


def test_severities_are_ordered_classes_with_the_areas_of_salt():
    found = opened()[0].describe(opened()[1])
    assert found.ordinal and found.classes == SCALP_CLASSES == SEVERITIES
    for severity, (least, most) in SALT.items():
        for person in people(severity, 20, difficulty=1.0):
            assert least <= person.area <= most
            assert person.patches.bald(seen_scalp(person.head)).mean() == pytest.approx(person.area)


def test_the_type_of_hair_is_an_attribute_and_an_auxiliary_label(small):
    found, _ = small
    assert set(found.attributes) == {"tone", "age", "sex", "hair"}
    assert list(found.aux_labels["hair"]) == list(found.attributes["hair"])
    assert {person.hair for person in people("mild")} == set(KINDS)
    assert set(found.attributes["tone"]) <= set(range(1, 7))


def test_the_mask_is_the_hair_and_shrinks_with_the_severity(small):
    found, read = small
    share = {severity: [] for severity in SCALP_CLASSES}
    for label, image in zip(found.labels, read, strict=True):
        assert image.pixels.shape == (48, 48, 3) and image.pixels.dtype == np.uint8
        assert image.mask.shape == (48, 48) and set(np.unique(image.mask)) <= {0, 255}
        share[label].append((image.mask > 0).mean())
    means = [np.mean(share[severity]) for severity in SCALP_CLASSES]
    assert means == sorted(means, reverse=True) and means[0] > 0.3 and means[-1] < 0.6 * means[0]


def test_photographs_of_a_person_share_all_but_pose_and_light(small):
    found, read = small
    sizes = Counter(found.groups)
    assert max(sizes.values()) == 3
    for column in (found.labels, *found.attributes.values()):
        assert len(set(zip(found.groups, column, strict=True))) == len(sizes)
    assert len({image.pixels.tobytes() for image in read}) == len(read)


def test_nothing_but_the_patches_depends_on_the_severity():
    tones, lengths = (
        [np.mean([value(person) for person in people(severity, 150)]) for severity in SCALP_CLASSES]
        for value in (lambda person: person.tone, lambda person: person.style.length)
    )
    assert max(tones) - min(tones) < 0.7 and max(lengths) / min(lengths) < 1.35


def test_bald_skin_is_lighter_with_less_pigment():
    _, read = images(images=60, side=32, classes=("moderate", "severe"))
    dataset, options = opened(images=60, side=32, classes=("moderate", "severe"))
    tones = dataset.describe(options).attributes["tone"]
    middle = {"light": [], "dark": []}
    for image, tone in zip(read, tones, strict=True):
        skin = image.pixels[10:22, 10:22][image.mask[10:22, 10:22] == 0]
        if len(skin) > 5 and tone not in (3, 4):
            middle["light" if tone < 3 else "dark"].append(skin.mean())
    assert np.mean(middle["light"]) > 1.3 * np.mean(middle["dark"])


def test_images_do_not_depend_on_what_is_read_before():
    dataset, options = opened(images=10)
    ids = dataset.describe(options).ids
    forward = dict(zip(ids, dataset.read(ids), strict=True))
    backward = dict(zip(ids[::-1], opened(images=10)[0].read(ids[::-1]), strict=True))
    for name in ids:
        assert np.array_equal(forward[name].pixels, backward[name].pixels)
        assert np.array_equal(forward[name].mask, backward[name].mask)


@pytest.mark.parametrize("change", [{"difficulty": 0.9}, {"domain": "clinic-b"}, {"seed": 1}])
def test_difficulty_domain_and_seed_change_images_but_not_how_many(change):
    before, after = images(images=8), images(images=8, **change)
    assert Counter(before[0].labels) == Counter(after[0].labels)
    pairs = zip(before[1], after[1], strict=True)
    assert not any(np.array_equal(one.pixels, other.pixels) for one, other in pairs)


@pytest.mark.parametrize("side", [16, 40, 130])
def test_any_side_can_be_rendered(side):
    _, read = images(images=4, side=side)
    assert all(image.pixels.shape == (side, side, 3) for image in read)


@pytest.mark.parametrize("options", [{"classes": ("severe", "mild")}, {"classes": ("mild", "mel")}])
def test_wrong_severities_are_refused(options):
    with pytest.raises(ValidationError):
        SPEC.options(**options)
