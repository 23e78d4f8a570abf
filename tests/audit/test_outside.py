"""Images from elsewhere that show what a data set holds out."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tests.audit.conftest import phantoms

from derm_bench.audit.images import AuditedImages
from derm_bench.audit.outside import FITTED, TESTED, outside_findings


def audited(seed: int, prefix: str) -> AuditedImages:
    described, pixels = phantoms(seed, 60, 64)
    stack = np.stack([pixels[name] for name in described.ids])
    parts = [("train", "val", "test")[hash_of(group) % 3] for group in described.groups]
    digests = [hashlib.sha256(row.tobytes()).hexdigest() for row in stack]
    return AuditedImages(
        ids=[prefix + name for name in described.ids],
        labels=described.labels,
        groups=[prefix + group for group in described.groups],
        parts=parts,
        classes=described.classes,
        pixels=stack,
        rows=np.arange(len(stack)),
        pixel_digests=digests,
        file_digests=digests,
    )


def hash_of(text: str) -> int:
    return hashlib.sha256(text.encode()).digest()[0]


def version(pixels: np.ndarray, k: int) -> np.ndarray:
    """A mirrored, a darker, or a cropped version of an image."""
    if k % 3 == 0:
        return pixels[:, ::-1].copy()
    if k % 3 == 1:
        return (pixels * 0.85).astype(np.uint8)
    return np.asarray(Image.fromarray(pixels[2:62, 2:62]).resize((64, 64), Image.Resampling.BICUBIC))


@pytest.fixture
def own():
    return audited(0, "a")


@pytest.fixture
def others():
    return audited(7, "b")


def planted(own: AuditedImages, others: AuditedImages, parts: tuple[str, ...], n: int = 6) -> AuditedImages:
    """The other images, of which the first are versions of images of some parts of the data set."""
    pixels = others.pixels.copy()
    for k, i in enumerate([i for i, part in enumerate(own.parts) if part in parts][:n]):
        pixels[k] = version(own.pixels[i], k)
    digests = [hashlib.sha256(row.tobytes()).hexdigest() for row in pixels]
    return replace(others, pixels=pixels, pixel_digests=digests, file_digests=digests)


def test_images_that_have_nothing_in_common_give_no_finding(own, others):
    assert outside_findings(own, others, TESTED) == outside_findings(own, others, FITTED) == []


@pytest.mark.parametrize(("use", "parts"), [(TESTED, ("train",)), (FITTED, ("val",)), (FITTED, ("test",))])
def test_versions_of_images_of_a_part_that_must_be_avoided_are_found(own, others, use, parts):
    (found,) = outside_findings(own, planted(own, others, parts), use)
    assert (found.code, found.severity, found.parts) == ("near_duplicates_outside", "warning", parts)
    assert found.counts["images"] == 6
    assert {theirs for _, theirs in found.images} == set(others.ids[:6])
    assert all(own.parts[own.ids.index(mine)] in parts for mine, _ in found.images)


@pytest.mark.parametrize(("use", "parts"), [(TESTED, ("test",)), (FITTED, ("train",))])
def test_versions_of_images_of_other_parts_do_no_harm(own, others, use, parts):
    assert outside_findings(own, planted(own, others, parts), use) == []


def test_groups_of_the_same_name_are_found_but_not_numbers(own, others):
    k = own.parts.index("val")
    named = replace(own, groups=[f"HAM_{i:07}" if i == k else str(i) for i in range(len(own))])
    theirs = replace(others, groups=[f"HAM_{k:07}", *map(str, range(1, len(others)))])
    (found,) = outside_findings(named, theirs, FITTED)
    assert found.code == "shared_groups" and found.counts == {"groups": 1, "images": 1}
    assert found.images == ((own.ids[k], others.ids[0]),)
    assert "in val" in found.sentence


def test_images_of_another_size_are_a_note_not_silence(own, others):
    small = replace(others, pixels=others.pixels[:, ::2, ::2])
    (found,) = outside_findings(own, small, TESTED)
    assert (found.code, found.severity) == ("near_duplicates_not_checked", "note")
