"""Options and spec of `command`, an external program that makes the images."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from derm_bench.errors import did_you_mean
from derm_bench.specs import GeneratorOptions, GeneratorSpec
from derm_bench_plugins.generators.command_line import NAMES, names_in


class CommandOptions(GeneratorOptions):
    """The program, what it must write, and its limits."""

    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        "per_class", description="per_class: a stage for each class that has a quota"
    )
    argv: tuple[str, ...] = Field(
        (),
        max_length=200,
        description="the program and its arguments, without a shell; {train} and {out} stand for folders that hold "
        "one folder per class, {n} for samples_per_fit, {class}, {seed}, {size}, and {program} for the option",
    )
    program: Path | None = Field(
        None,
        description="file or folder of the program's own code, written {program} in argv; its content is part of the "
        "key of the results",
    )
    samples_per_fit: int = Field(2000, ge=1, le=100_000, description="images of each class it must write")
    timeout: float = Field(3600.0, gt=0, description="seconds it may take")
    max_megabytes: int = Field(
        4000, ge=1, description="MB that all its files together, and any one of them, may take"
    )
    max_files: int = Field(100_000, ge=1, description="files and folders it may leave")

    @field_validator("argv")
    @classmethod
    def _placeholders_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            for name in names_in(word):
                if name not in NAMES:
                    raise ValueError(f"'{{{name}}}' stands for nothing: {did_you_mean(name, NAMES)}")
            if "\0" in word:
                raise ValueError("an argument holds a NUL character")
        return value

    @model_validator(mode="after")
    def _placeholders_fit(self) -> CommandOptions:
        used = {name for word in self.argv for name in names_in(word)}
        if self.argv and "out" not in used:
            raise ValueError("argv has no {out}, the folder to write samples to, one folder per class")
        if "class" in used and self.scope != "per_class":
            raise ValueError(
                "argv has {class}, but this scope fits several classes at once: write scope: per_class"
            )
        if "program" in used and self.program is None:
            raise ValueError("argv has {program}: name the file or folder with `program`")
        return self


SPEC = GeneratorSpec(
    name="command",
    summary="an external program that gets training images and writes samples",
    create="derm_bench_plugins.generators.command:Command",
    options=CommandOptions,
    conditional=True,
    trains=False,
    presets={"tiny": {"samples_per_fit": 64, "timeout": 60}, "smoke": {"samples_per_fit": 64}},
    preflight="derm_bench_plugins.generators.command_planning:preflight",
    depends_on="derm_bench_plugins.generators.command_planning:digests",
    provenance="derm_bench_plugins.generators.command_planning:provenance",
    finite="derm_bench_plugins.generators.command_planning:count",
    commands="derm_bench_plugins.generators.command_planning:lines",
)
