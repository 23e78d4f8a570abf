"""phantom-face-acne: the grade decides how many lesions there are, the person all the rest."""

from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError

from derm_bench.specs import Task, create
from derm_bench_plugins.datasets import specs
from derm_bench_plugins.datasets.phantom_face.acne import INFLAMED, KINDS, draw_acne
from derm_bench_plugins.datasets.phantom_face.anatomy import EYE, EYE_HEIGHT, MOUTH, bare, depth
from derm_bench_plugins.datasets.phantom_face.grades import FACE_CLASSES
from derm_bench_plugins.datasets.phantom_face.people import draw_person

SPEC = {spec.name: spec for spec in specs()}["phantom-face-acne"]
HAYASHI = {"healthy": (0, 0), "mild": (1, 5), "moderate": (6, 20), "severe": (21, 50)}


def opened(**options):
    options = SPEC.options(**{"images": 60, "side": 32, "imbalance": 1.0, **options})
    return create(SPEC, options, Task(options.classes, options.side)), options


def described(**options):
    dataset, options = opened(**options)
    return dataset.describe(options)


def people(grade, n=40, **options):
    options = opened(**options)[1]
    return [draw_person(options, grade, number) for number in range(n)]


def images(**options):
    dataset, options = opened(**options)
    found = dataset.describe(options)
    return found, list(dataset.read(found.ids))


def test_grades_are_ordered_classes_with_hayashis_numbers_of_lesions():
    found = described()
    assert found.ordinal and found.classes == FACE_CLASSES
    for grade, (least, most) in HAYASHI.items():
        counts = [draw_acne(person).inflamed for person in people(grade)]
        assert least <= min(counts) and max(counts) <= most
        assert len(set(counts)) > min(3, most - least)


def test_a_healthy_face_has_one_comedone_at_most_and_severe_acne_every_kind():
    kinds = {grade: [draw_acne(person).kind for person in people(grade)] for grade in FACE_CLASSES}
    assert {len(kind) for kind in kinds["healthy"]} == {0, 1}
    assert all(KINDS[k] in ("blackhead", "whitehead") for kind in kinds["healthy"] for k in kind)
    assert set(np.concatenate(kinds["severe"])) == set(range(len(KINDS)))
    assert not any(KINDS.index("nodule") in kind for kind in kinds["mild"])


def test_lesions_lie_on_the_face_and_never_on_eyes_brows_lips_or_hair():
    for person in people("severe", 20):
        p, q = draw_acne(person).place.T
        assert bare(person.shape, p, q).all() and (depth(person.shape, p, q) < 0.9).all()
    shape = people("mild", 1)[0].shape
    covered = np.array([(EYE, EYE_HEIGHT), (-EYE, EYE_HEIGHT), (0, MOUTH), (0, -1.0), (0.9, 0.0)])
    assert not bare(shape, covered[:, 0], covered[:, 1]).any()
    assert bare(shape, np.array([0.4, -0.4, 0.0]), np.array([0.34, 0.34, 0.84])).all()


def test_lesions_of_severe_acne_are_larger_and_closer_to_each_other():
    radius, gap = {}, {}
    for grade in ("moderate", "severe"):
        drawn = [draw_acne(person) for person in people(grade)]
        radius[grade] = np.mean([acne.radius[acne.kind < len(INFLAMED)].mean() for acne in drawn])
        gaps = [
            np.hypot(*(acne.place[:, None] - acne.place).T) + 9 * np.eye(len(acne.kind)) for acne in drawn
        ]
        gap[grade] = np.mean([each.min(0).mean() for each in gaps])
    assert radius["severe"] > 1.1 * radius["moderate"] and gap["severe"] < 0.8 * gap["moderate"]


def test_the_mask_lies_on_the_lesions_and_grows_with_the_grade():
    found, read = images(images=80, side=64)
    share = {grade: [] for grade in FACE_CLASSES}
    for label, image in zip(found.labels, read, strict=True):
        assert image.pixels.shape == (64, 64, 3) and image.pixels.dtype == np.uint8
        assert image.mask.shape == (64, 64) and set(np.unique(image.mask)) <= {0, 255}
        share[label].append((image.mask > 0).mean())
    means = [np.mean(share[grade]) for grade in FACE_CLASSES]
    assert means == sorted(means) and means[0] < 0.001 and 0.02 < means[-1] < 0.25


def ring(mask):
    """The pixels within three of the mask, which are not in it."""
    wide = mask.copy()
    for _ in range(3):
        wide[1:] |= wide[:-1].copy()
        wide[:-1] |= wide[1:].copy()
        wide[:, 1:] |= wide[:, :-1].copy()
        wide[:, :-1] |= wide[:, 1:].copy()
    return wide & ~mask


def test_lesions_are_redder_on_light_skin_and_darker_on_dark_skin():
    found, read = images(images=60, side=96, classes=("moderate", "severe"), difficulty=0.2)
    change = {"light": [], "dark": []}
    for image, tone in zip(read, found.attributes["tone"], strict=True):
        if tone in (3, 4):
            continue
        lesion = image.mask > 0
        skin = np.log(np.median(image.pixels[ring(lesion)] + 1.0, 0))
        change["light" if tone < 3 else "dark"].append(np.log(image.pixels[lesion] + 1.0).mean(0) - skin)
    light, dark = (np.mean(change[name], 0) for name in ("light", "dark"))
    assert light[0] - light[1] > 0.1  # red loses less than green
    assert dark[0] < light[0] - 0.05 and dark[0] < -0.1


def test_skin_gets_darker_with_the_type():
    found, read = images(images=160, side=32, classes=("healthy", "mild"))
    middle = {tone: [] for tone in range(1, 7)}
    for image, tone in zip(read, found.attributes["tone"], strict=True):
        middle[tone].append(image.pixels[14:24, 11:21].mean())
    means = [np.mean(values) for values in middle.values()]
    assert all(means[k] > means[k + 2] for k in range(4)) and means[0] > 1.6 * means[-1]


def test_photographs_of_a_person_share_all_but_pose_and_light():
    found, read = images(images=90, views=3.0, side=32)
    sizes = Counter(found.groups)
    assert max(sizes.values()) == 3
    for column in (found.labels, *found.attributes.values()):
        assert len(set(zip(found.groups, column, strict=True))) == len(sizes)
    assert len({image.pixels.tobytes() for image in read}) == len(read)
    colour = [image.pixels[14:24, 11:21].mean((0, 1)) for image in read]
    by_group = {}
    for group, value in zip(found.groups, colour, strict=True):
        by_group.setdefault(group, []).append(value)
    within = np.mean([np.std(values, 0).mean() for values in by_group.values() if len(values) == 3])
    assert within < 0.6 * np.std(colour, 0).mean()


def test_nothing_but_the_acne_depends_on_the_grade():
    tones, ages = (
        [np.mean([getattr(person, name) for person in people(grade, 400)]) for grade in FACE_CLASSES]
        for name in ("tone", "age")
    )
    assert max(tones) - min(tones) < 0.4 and max(ages) - min(ages) < 2.5


def test_images_do_not_depend_on_what_is_read_before():
    dataset, options = opened(images=24)
    ids = dataset.describe(options).ids
    forward = dict(zip(ids, dataset.read(ids), strict=True))
    backward = dict(zip(ids[::-1], opened(images=24)[0].read(ids[::-1]), strict=True))
    for name in ids:
        assert np.array_equal(forward[name].pixels, backward[name].pixels)
        assert np.array_equal(forward[name].mask, backward[name].mask)


@pytest.mark.parametrize("change", [{"difficulty": 0.9}, {"domain": "clinic-b"}, {"seed": 1}])
def test_difficulty_domain_and_seed_change_images_but_not_how_many(change):
    before, after = images(images=16), images(images=16, **change)
    assert Counter(before[0].labels) == Counter(after[0].labels)
    pairs = zip(before[1], after[1], strict=True)
    same = [np.array_equal(one.pixels, other.pixels) for one, other in pairs]
    assert sum(same) < len(same) / 4  # a face without lesions and moles may stay as it is


def test_lesions_are_fainter_with_more_difficulty():
    def contrast(difficulty):
        _, read = images(images=16, side=64, classes=("moderate", "severe"), difficulty=difficulty)
        green = [image.pixels[..., 1].astype(float) for image in read]
        lesions = [image.mask > 0 for image in read]
        return np.mean([g[ring(m)].mean() - g[m].mean() for g, m in zip(green, lesions, strict=True)])

    assert contrast(0.0) > 1.5 * contrast(1.0) > 0


@pytest.mark.parametrize("side", [16, 48, 200])
def test_any_side_can_be_rendered(side):
    _, read = images(images=4, side=side)
    assert all(image.pixels.shape == (side, side, 3) for image in read)


def test_another_clinic_or_seed_has_other_people():
    names = [set(described(**options).ids) for options in ({}, {"domain": "clinic-b"}, {"seed": 1})]
    assert not names[0] & names[1] and not names[0] & names[2]


@pytest.mark.parametrize(
    "options", [{"classes": ("severe", "mild")}, {"classes": ("mild", "mel")}, {"classes": ("mild",)}]
)
def test_wrong_grades_are_refused(options):
    with pytest.raises(ValidationError):
        SPEC.options(**options)
