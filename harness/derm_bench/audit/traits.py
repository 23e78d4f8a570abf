"""Traits of images that should not tell classes apart: of the file, of its name, of the picture as a whole, and the
attributes of the data set."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from derm_bench.audit.findings import Severity
from derm_bench.audit.images import AuditedImages

FEW_VALUES = 10
"""A column of numbers with at most this many different values counts as one of categories."""

OF_FILES, OF_PICTURES, OF_COLUMNS = 0.65, 0.8, 0.95
"""How well a trait must tell a class apart to be reported: the mean of the shares of the class and of the others that
are recognised, where 0.5 is chance. Pictures of classes differ to some degree because the skin does, and attributes
such as age are meant to say something about the diagnosis."""


@dataclass(frozen=True)
class Trait:
    """One trait, by which classes might be told apart: columns of numbers (float64 [N], NaN for missing) and of
    categories (texts). code, severity: of the finding. threshold: as above. words: the trait in a sentence."""

    name: str
    code: str
    words: str
    threshold: float
    numbers: Mapping[str, np.ndarray]
    categories: Mapping[str, Sequence[str]]
    severity: Severity = "warning"


def traits(images: AuditedImages, measured: Mapping[str, np.ndarray]) -> list[Trait]:
    """The traits of some images; those that are the same for all images are left out."""
    found = [*_of_files(images), *_of_names(images), *_of_pictures(measured), *_of_columns(images)]
    return [trait for trait in found if trait.numbers or trait.categories]


def _of_files(images: AuditedImages) -> Iterator[Trait]:
    width, height = (_numbers(images.files.get(name, ())) for name in ("width", "height"))
    if width is not None and height is not None:
        sides = {"width": width, "height": height, "aspect": width / np.maximum(height, 1)}
        size = [f"{w:.0f} x {h:.0f}" for w, h in zip(width, height, strict=True)]
        yield _trait(
            "image size", "label_from_image_size", "the size of the image in pixels", sides, {"size": size}
        )
        weight = _numbers(images.files.get("bytes", ()))
        if weight is not None:
            per_pixel = {"bytes": weight, "bytes per pixel": weight / np.maximum(width * height, 1)}
            yield _trait(
                "file size",
                "label_from_file_size",
                "the size of the file in bytes",
                per_pixel,
                {},
                OF_PICTURES,
            )
    codec = images.files.get("codec", ())
    if codec:
        quality = _numbers(images.files.get("quality", ()))
        yield _trait(
            "codec",
            "label_from_codec",
            "the codec of the file",
            {} if quality is None else {"quality": quality},
            {"codec": [str(value or "") for value in codec]},
        )


def _of_names(images: AuditedImages) -> Iterator[Trait]:
    stems = [name.rpartition("/")[2].rpartition(".")[0] or name.rpartition("/")[2] for name in images.ids]
    patterns = [re.sub(r"\d+", "#", stem.lower()) for stem in stems]
    yield _trait(
        "file name", "label_from_file_name", "the pattern of the file name", {}, {"pattern": patterns}
    )
    # Numbers that start again in each folder tell nothing but how many images it has.
    if len(set(stems)) == len(stems):
        found = [re.findall(r"\d+", stem) for stem in stems]
        numbers = np.array([float(runs[-1][:15]) if runs else math.nan for runs in found])
        yield _trait(
            "number in the file name",
            "label_from_file_number",
            "the number in the file name",
            {"number": numbers},
            {},
            severity="note",
        )


def _of_pictures(measured: Mapping[str, np.ndarray]) -> Iterator[Trait]:
    for name, code, words in (
        ("dark corners", "label_from_dark_corners", "how dark the corners of the image are"),
        ("ink", "label_from_ink", "how much blue or violet (ink) the image shows"),
        ("hair", "label_from_hair", "how much hair (thin, long, dark lines) the image shows"),
        ("ruler", "label_from_ruler", "whether a side of the image shows the regular ticks of a ruler"),
        (
            "detail",
            "label_from_resolution",
            "the resolution of the source (how fine the detail at the stored size is)",
        ),
    ):
        if name in measured:
            yield _trait(name, code, words, {name: measured[name]}, {}, OF_PICTURES)


def _of_columns(images: AuditedImages) -> Iterator[Trait]:
    for name, column in images.attributes.items():
        numbers = _numbers(column)
        many = numbers is not None and len(set(numbers[~np.isnan(numbers)].tolist())) > FEW_VALUES
        yield _trait(
            name,
            "proxy_column",
            f"the column '{name}'",
            {name: numbers} if many and numbers is not None else {},
            {} if many else {name: ["" if _is_missing(value) else str(value) for value in column]},
            OF_COLUMNS,
        )


def _trait(
    name: str,
    code: str,
    words: str,
    numbers: Mapping[str, np.ndarray],
    categories: Mapping[str, Sequence[str]],
    threshold: float = OF_FILES,
    severity: Severity = "warning",
) -> Trait:
    return Trait(
        name,
        code,
        words,
        threshold,
        {key: column for key, column in numbers.items() if _varies(column)},
        {key: column for key, column in categories.items() if len(set(column)) > 1},
        severity,
    )


def _varies(column: np.ndarray) -> bool:
    there = column[~np.isnan(column)]
    return len(there) > 0 and (len(there) < len(column) or bool((there != there[0]).any()))


def _numbers(column: Sequence[Any]) -> np.ndarray | None:
    """A column as float64 [N] with NaN for missing values; None if it holds anything but numbers, or nothing."""
    there = [value for value in column if not _is_missing(value)]
    if not there or not all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in there
    ):
        return None
    return np.array([math.nan if _is_missing(value) else float(value) for value in column])


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))
