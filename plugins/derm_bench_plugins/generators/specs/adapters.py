"""`folder` and `command`, generators that train nothing here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from derm_bench.errors import did_you_mean
from derm_bench.specs import Budget, GeneratorOptions, GeneratorSpec

PLACEHOLDERS = ("train", "out", "n", "class", "seed", "size", "program")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_PARTS = frozenset({"train", "training", "val", "validation", "test", "all"})
_FILLING = frozenset({"and", "the", "of", "on", "set", "split", "data", "images", "part"})


class AdapterOptions(GeneratorOptions):
    """What both share: any budget is taken, so that presets fit, and none is spent."""

    budget: Budget = Field(Budget(updates=1), description="without effect: nothing is trained here")
    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        "per_class", description="per_class: a stage for each class that has a quota"
    )

    @field_validator("budget")
    @classmethod
    def _none_is_spent(cls, value: Budget) -> Budget:
        return Budget(updates=1)

    @model_validator(mode="after")
    def _nothing_is_augmented(self) -> AdapterOptions:
        if self.augment:
            raise ValueError("augment has no effect: nothing is trained here; leave it out")
        return self


class FolderOptions(AdapterOptions):
    """Images that somebody has made already."""

    root: Path = Field(description="holds a folder of images for each class, named as the class")
    trained_on: str = Field(
        min_length=1,
        max_length=500,
        description="what the maker of these images was trained on, a statement: train (of the split that `split` "
        "names), words for other data, or all, test, val, which need the permit generator_sees_test",
    )
    split: str | None = Field(
        None,
        pattern="^[0-9a-f]{8,64}$",
        description="with trained_on: train, the digest of that split or its first 8 digits or more; "
        "`derm-bench plan MATRIX --json` prints it under `splits`",
    )

    @property
    def parts(self) -> frozenset[str]:
        """The parts of this very data set that the statement names; none where it tells of other data."""
        words = set(re.findall(r"[a-z]+", self.trained_on.lower()))
        return frozenset(words & _PARTS) if words <= _PARTS | _FILLING else frozenset()

    @model_validator(mode="after")
    def _is_complete(self) -> FolderOptions:
        only_train = bool(self.parts) and self.parts <= {"train", "training"}
        if only_train and self.split is None:
            raise ValueError(
                "trained_on: train needs `split`, the digest of the split whose training part it was "
                "(`derm-bench plan MATRIX --json` prints it under `splits`)"
            )
        if self.split is not None and not only_train:
            raise ValueError("split goes with trained_on: train, and with nothing else")
        if self.fit_on != "train":
            raise ValueError("fit_on has no effect on images that are there; say it with trained_on: all")
        return self


class CommandOptions(AdapterOptions):
    """A program that is given training images and leaves samples."""

    argv: tuple[str, ...] = Field(
        (),
        max_length=200,
        description="the program and its arguments, no shell; {train} and {out} stand for folders that hold a folder "
        "a class, {n} for samples_per_fit, {class}, {seed}, {size}, and {program} for the option",
    )
    program: Path | None = Field(
        None,
        description="file or folder of the program's own code: {program}, part of what results are known by",
    )
    samples_per_fit: int = Field(2000, ge=1, le=100_000, description="images of each class it must leave")
    timeout: float = Field(3600.0, gt=0, description="seconds it may take")
    max_megabytes: int = Field(
        4000, ge=1, description="MB that all it leaves may take, and any one file of it"
    )
    max_files: int = Field(100_000, ge=1, description="files and folders it may leave")

    @field_validator("argv")
    @classmethod
    def _placeholders_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            for name in _PLACEHOLDER.findall(word):
                if name not in PLACEHOLDERS:
                    raise ValueError(f"'{{{name}}}' stands for nothing: {did_you_mean(name, PLACEHOLDERS)}")
            if "\0" in word:
                raise ValueError("an argument holds a NUL character")
        return value

    @model_validator(mode="after")
    def _placeholders_fit(self) -> CommandOptions:
        used = {name for word in self.argv for name in _PLACEHOLDER.findall(word)}
        if self.argv and "out" not in used:
            raise ValueError("argv never says {out}, the folder to put samples in, one folder a class")
        if "class" in used and self.scope != "per_class":
            raise ValueError("argv says {class}, but this scope fits several at once: write scope: per_class")
        if "program" in used and self.program is None:
            raise ValueError("argv says {program}: name the file or folder with `program`")
        return self


def filled(argv: tuple[str, ...], values: dict[str, object]) -> list[str]:
    """argv with placeholders replaced, once each, where `values` has them."""
    return [_PLACEHOLDER.sub(lambda m: str(values.get(m[1], m[0])), word) for word in argv]


def specs() -> list[GeneratorSpec]:
    return [
        GeneratorSpec(
            name="folder",
            summary="images that somebody has made already, one folder a class",
            create="derm_bench_plugins.generators.folder:Folder",
            options=FolderOptions,
            conditional=True,
            presets={"tiny": {}, "smoke": {}},
            preflight="derm_bench_plugins.generators.planned:folder_preflight",
            depends_on="derm_bench_plugins.generators.planned:folder_digests",
            provenance="derm_bench_plugins.generators.planned:folder_provenance",
            finite="derm_bench_plugins.generators.planned:folder_counts",
        ),
        GeneratorSpec(
            name="command",
            summary="an external program that is handed training images and leaves samples",
            create="derm_bench_plugins.generators.command:Command",
            options=CommandOptions,
            conditional=True,
            presets={"tiny": {"samples_per_fit": 64, "timeout": 60}, "smoke": {"samples_per_fit": 64}},
            preflight="derm_bench_plugins.generators.planned:command_preflight",
            depends_on="derm_bench_plugins.generators.planned:command_digests",
            provenance="derm_bench_plugins.generators.planned:command_provenance",
            finite="derm_bench_plugins.generators.planned:command_counts",
            commands="derm_bench_plugins.generators.planned:command_lines",
        ),
    ]
