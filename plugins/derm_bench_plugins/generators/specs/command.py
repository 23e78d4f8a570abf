"""Options and spec of `command`, an external program that makes the images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from derm_bench.errors import did_you_mean
from derm_bench.specs import GeneratorOptions, GeneratorSpec, StatedFolder
from derm_bench_plugins.generators.command_line import NAMES, names_in


class CommandOptions(GeneratorOptions):
    """The program, the number of images that it must write, and its limits."""

    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        "per_class", description="per_class: one stage per class with a quota"
    )
    argv: tuple[str, ...] = Field(
        (),
        max_length=200,
        description="the program and its arguments, run without a shell. Placeholders: {train} and {out}, folders that "
        "contain one folder per class; {n}, samples_per_fit; {class}; {seed}; {size}; {program}, the option",
    )
    program: Annotated[Path | None, StatedFolder()] = Field(
        None,
        description="file or folder of the program's code, written as {program} in argv; its content is part of the "
        "key of the results",
    )
    samples_per_fit: int = Field(
        2000, ge=1, le=100_000, description="images per class that the program must write"
    )
    timeout: float = Field(3600.0, gt=0, description="seconds that the program may run")
    max_megabytes: int = Field(
        4000,
        ge=1,
        description="largest size of the program's files in MB, for all files together and for each file",
    )
    max_files: int = Field(100_000, ge=1, description="files and folders that the program may leave")

    @field_validator("argv")
    @classmethod
    def _placeholders_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            for name in names_in(word):
                if name not in NAMES:
                    raise ValueError(f"unknown placeholder '{{{name}}}': {did_you_mean(name, NAMES)}")
            if "\0" in word:
                raise ValueError("an argument contains a NUL character")
        return value

    @model_validator(mode="after")
    def _placeholders_fit(self) -> CommandOptions:
        used = {name for word in self.argv for name in names_in(word)}
        if self.argv and "out" not in used:
            raise ValueError(
                "argv lacks {out}, the folder to which samples are written, one folder per class"
            )
        if "class" in used and self.scope != "per_class":
            raise ValueError(
                "argv uses {class}, but this scope fits several classes at once; write scope: per_class"
            )
        if "program" in used and self.program is None:
            raise ValueError("argv uses {program}; set the option `program` to the file or folder")
        return self


SPEC = GeneratorSpec(
    name="command",
    summary="an external program that reads training images and writes samples",
    create="derm_bench_plugins.generators.command:Command",
    options=CommandOptions,
    parts=(),
    conditional=True,
    trains=False,
    presets={"tiny": {"samples_per_fit": 64, "timeout": 60}, "smoke": {"samples_per_fit": 64}},
    preflight="derm_bench_plugins.generators.command_planning:preflight",
    depends_on="derm_bench_plugins.generators.command_planning:digests",
    provenance="derm_bench_plugins.generators.command_planning:provenance",
    finite="derm_bench_plugins.generators.command_planning:count",
    commands="derm_bench_plugins.generators.command_planning:lines",
)
