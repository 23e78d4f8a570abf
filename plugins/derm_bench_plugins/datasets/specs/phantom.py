"""Options and specs of `phantom-dermoscopy`, `phantom-face-acne` and `phantom-scalp`."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from derm_bench.specs import DatasetSpec, Options
from derm_bench_plugins.datasets.phantom.diagnoses import PHANTOM_CLASSES
from derm_bench_plugins.datasets.phantom_face.grades import FACE_CLASSES
from derm_bench_plugins.datasets.phantom_scalp.severities import SCALP_CLASSES


class Phantom(Options):
    """Options of all procedural data sets. Equal options give equal images."""

    known: ClassVar[tuple[str, ...]]

    images: int = Field(
        900, ge=2, le=100_000, description="total number of images, counting each view of a lesion"
    )
    classes: tuple[str, ...] = Field((), description="classes")
    imbalance: float | dict[str, float] = Field(
        3.0,
        description="ratio of the number of images of the most common and the rarest class, or a share per class",
    )
    views: float = Field(1.5, ge=1, le=3, description="mean number of images per lesion")
    difficulty: float = Field(0.5, ge=0, le=1, description="overlap of the classes")
    domain: Literal["clinic-a", "clinic-b"] = Field(
        "clinic-a",
        description="clinic whose patients and camera are simulated: skin tones, hair, colours, vignetting, scale",
    )
    side: int = Field(96, ge=16, le=512, description="rendered side in pixels")
    seed: int = Field(
        0,
        ge=0,
        description="seed of the lesions; another seed gives other lesions from the same distributions",
    )

    @field_validator("classes")
    @classmethod
    def _known(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in classes if name not in cls.known]
        if unknown or len(set(classes)) != len(classes) or len(classes) < 2:
            raise ValueError(f"give 2 to {len(cls.known)} different classes of " + ", ".join(cls.known))
        return classes

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if isinstance(self.imbalance, dict):
            if set(self.imbalance) != set(self.classes) or min(self.imbalance.values()) <= 0:
                raise ValueError("imbalance needs a share above 0 for each of " + ", ".join(self.classes))
            if max(self.imbalance.values()) / min(self.imbalance.values()) > 1000:
                raise ValueError("imbalance must have shares that differ by a factor of at most 1000")
        elif not 1 <= self.imbalance <= 1000:
            raise ValueError("imbalance must be a factor from 1 to 1000")
        if self.images < len(self.classes):
            raise ValueError("fewer images than classes")
        return self


class PhantomOptions(Phantom):
    """Procedural dermoscopy. Equal options give equal images."""

    known = PHANTOM_CLASSES

    classes: tuple[str, ...] = Field(
        ("mel", "nv", "bkl"), description="2 to 7 classes of " + ", ".join(PHANTOM_CLASSES)
    )


class Graded(Phantom):
    """Options of procedural photographs of people, whose classes are ordered."""

    views: float = Field(1.5, ge=1, le=3, description="mean number of photographs per person")
    images: int = Field(
        900, ge=2, le=100_000, description="total number of images, counting each photograph of a person"
    )
    domain: Literal["clinic-a", "clinic-b"] = Field(
        "clinic-a",
        description="clinic whose patients and camera are simulated: skin tones, colours, vignetting, grain",
    )
    seed: int = Field(
        0,
        ge=0,
        description="seed of the people; another seed gives other people from the same distributions",
    )

    @field_validator("classes")
    @classmethod
    def _ordered(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        in_order = [name for name in cls.known if name in classes]
        if list(classes) != in_order:
            raise ValueError("the grades are ordered: write " + ", ".join(in_order))
        return classes


class FaceOptions(Graded):
    """Procedural faces. Equal options give equal images."""

    known = FACE_CLASSES

    classes: tuple[str, ...] = Field(
        FACE_CLASSES, description="2 to 4 grades of " + ", ".join(FACE_CLASSES) + ", lowest first"
    )
    difficulty: float = Field(
        0.5, ge=0, le=1, description="how faint lesions are, and how many moles and freckles there are"
    )


class ScalpOptions(Graded):
    """Procedural scalps. Equal options give equal images."""

    known = SCALP_CLASSES

    classes: tuple[str, ...] = Field(
        SCALP_CLASSES, description="2 to 4 severities of " + ", ".join(SCALP_CLASSES) + ", lowest first"
    )
    difficulty: float = Field(
        0.5,
        ge=0,
        le=1,
        description="how close areas come to the limits of a severity, how thin all hair is, and how much grows again",
    )


SPEC = DatasetSpec(
    name="phantom-dermoscopy",
    summary="procedural dermoscopy of up to seven diagnoses: no download, any number of images",
    create="derm_bench_plugins.datasets.phantom.dataset:PhantomDermoscopy",
    options=PhantomOptions,
    presets={"tiny": {"images": 48, "side": 32}, "smoke": {"images": 150, "side": 64}},
)
FACE = DatasetSpec(
    name="phantom-face-acne",
    summary="procedural faces of all skin tones in four ordered grades of acne: no download, any number of images",
    create="derm_bench_plugins.datasets.phantom_face.dataset:PhantomFaceAcne",
    options=FaceOptions,
    presets={"tiny": {"images": 48, "side": 32}, "smoke": {"images": 160, "side": 64}},
)
SCALP = DatasetSpec(
    name="phantom-scalp",
    summary="procedural scalps in four ordered severities of alopecia areata: no download, any number of images",
    create="derm_bench_plugins.datasets.phantom_scalp.dataset:PhantomScalp",
    options=ScalpOptions,
    presets={"tiny": {"images": 48, "side": 32}, "smoke": {"images": 160, "side": 64}},
)
