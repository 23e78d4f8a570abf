"""Options and spec of `phantom-dermoscopy`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from derm_bench.specs import DatasetSpec, Options
from derm_bench_plugins.datasets.phantom.diagnoses import PHANTOM_CLASSES


class PhantomOptions(Options):
    """Procedural dermoscopy. Equal options give equal images."""

    images: int = Field(
        900, ge=2, le=100_000, description="total number of images, counting each view of a lesion"
    )
    classes: tuple[str, ...] = Field(
        ("mel", "nv", "bkl"), description="2 to 7 classes of " + ", ".join(PHANTOM_CLASSES)
    )
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
        unknown = [name for name in classes if name not in PHANTOM_CLASSES]
        if unknown or len(set(classes)) != len(classes) or len(classes) < 2:
            raise ValueError("give 2 to 7 different classes of " + ", ".join(PHANTOM_CLASSES))
        return classes

    @model_validator(mode="after")
    def _shares(self) -> PhantomOptions:
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


SPEC = DatasetSpec(
    name="phantom-dermoscopy",
    summary="procedural dermoscopy of up to seven diagnoses: no download, any number of images",
    create="derm_bench_plugins.datasets.phantom.dataset:PhantomDermoscopy",
    options=PhantomOptions,
    presets={"tiny": {"images": 48, "side": 32}, "smoke": {"images": 150, "side": 64}},
)
