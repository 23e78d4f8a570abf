"""Toy plugins and a `load` that writes a matrix to a file and reads it back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field, field_validator

from derm_bench.errors import UserError, did_you_mean
from derm_bench.matrix.load import load_matrix
from derm_bench.matrix.model import Matrix
from derm_bench.specs import (
    Budget,
    ClassifierSpec,
    DatasetSpec,
    ExecutorSpec,
    GeneratorOptions,
    GeneratorSpec,
    MetricSpec,
    Options,
    PluginSpec,
    Ref,
    TransformSpec,
    TransformUse,
)


class FolderOptions(Options):
    root: Path
    columns: dict[str, str] = Field(default_factory=dict)


class PhantomOptions(Options):
    n: int = Field(100, ge=1)
    classes: tuple[str, ...] = ("mel", "nv")


class DcganOptions(Options):
    base: int = Field(128, ge=4)
    z_dim: int = 100

    @field_validator("base")
    @classmethod
    def _even(cls, base: int) -> int:
        if base % 2:
            raise ValueError("base is even")
        return base


class CganOptions(GeneratorOptions):
    budget: Budget = Budget(updates=500)
    augment: tuple[TransformUse, ...] = (TransformUse(name="hflip"),)
    critic: Path | None = None


class TimmOptions(Options):
    model: str
    lr: float = 0.01


class HeadOptions(Options):
    mode: Literal["finetune", "frozen"] = "frozen"


class RotateOptions(Options):
    degrees: float = 15.0


class BilateralOptions(Options):
    d: int = 5
    sigma_color: float = 50
    sigma_space: float = 50


class GammaOptions(Options):
    gamma: float = 1.0


def toy_specs() -> dict[str, list[PluginSpec]]:
    def about(name: str) -> dict[str, Any]:
        return {"name": name, "summary": "a toy", "create": "toys:Toy"}

    def transform(name: str, phase: Any, options: Any = Options, scalar: str | None = None) -> TransformSpec:
        return TransformSpec(**about(name), phase=phase, options=options, scalar=scalar)

    presets = {"tiny": {"base": 8, "budget": {"updates": 2}}}
    return {
        "executor": [ExecutorSpec(**about("local")), ExecutorSpec(**about("inline"))],
        "dataset": [
            DatasetSpec(**about("ham10000"), options=FolderOptions),
            DatasetSpec(**about("isic-2019"), options=FolderOptions),
            DatasetSpec(**about("phantom"), options=PhantomOptions),
        ],
        "generator": [
            GeneratorSpec(**about("dcgan"), options=DcganOptions, presets=presets),
            GeneratorSpec(**about("dcgan-mutepfe")),
            GeneratorSpec(**about("stylegan2-hierarchy"), conditional=True),
            GeneratorSpec(**about("acgan"), conditional=True),
            GeneratorSpec(**about("cgan"), options=CganOptions, conditional=True),
        ],
        "classifier": [
            ClassifierSpec(**about("dermagan-cnn")),
            ClassifierSpec(**about("timm"), options=TimmOptions, label_option="model"),
            ClassifierSpec(
                **about("dcgan-discriminator"),
                options=HeadOptions,
                requires=lambda options: {"from": Ref("generator", "dcgan-mutepfe", part="head")},
            ),
        ],
        "metric": [
            MetricSpec(**about(name), level="images", higher_is_better=False, extractor="domain")
            for name in (
                *("fid", "kid", "fd_domain", "kid_domain", "density_domain", "coverage_domain"),
                *("mmd_domain", "nn_accuracy_domain", "sharpness"),
            )
        ],
        "transform": [
            transform("hflip", "image"),
            transform("vflip", "image"),
            transform("rotate", "image", RotateOptions, "degrees"),
            transform("mixup", "batch"),
            transform("advchain", "regulariser"),
            transform("bilateral", "preprocess", BilateralOptions),
            transform("gamma", "preprocess", GammaOptions, "gamma"),
        ],
    }


class ToyPlugins:
    def __init__(self) -> None:
        self._specs = {(kind, s.name): s for kind, specs in toy_specs().items() for s in specs}

    def get(self, kind: str, name: str) -> PluginSpec:
        if (kind, name) not in self._specs:
            raise UserError(f"no {kind} is named '{name}'", hint=did_you_mean(name, self.names(kind)))
        return self._specs[kind, name]

    def names(self, kind: str) -> list[str]:
        return sorted(name for of, name in self._specs if of == kind)

    def specs(self, kind: str) -> list[PluginSpec]:
        return [self._specs[kind, name] for name in self.names(kind)]


@pytest.fixture(scope="session")
def plugins() -> ToyPlugins:
    return ToyPlugins()


@pytest.fixture
def load(tmp_path: Path, plugins: ToyPlugins):
    def load(text: str, *sets: str, presets: Sequence[str] = ()) -> Matrix:
        file = tmp_path / "matrix.yaml"
        file.write_text(text, encoding="utf-8")
        return load_matrix(file, plugins, sets=sets, presets=presets)

    return load


@pytest.fixture
def refused(load):
    """The message with which a matrix is refused."""

    def refused(text: str, *sets: str, presets: Sequence[str] = ()) -> str:
        with pytest.raises(UserError) as caught:
            load(text, *sets, presets=presets)
        return str(caught.value)

    return refused
