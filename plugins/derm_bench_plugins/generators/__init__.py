"""Generators: specs and options. Each network is in the module that `create` names."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import GeneratorOptions, GeneratorSpec
from derm_bench_plugins.generators.adapters import CommandOptions, FolderOptions


class DcganOptions(GeneratorOptions):
    """What the paper leaves open follows Radford et al. 2016; `base` 128 gives their widths."""

    z_dim: int = Field(100, ge=1, le=4096, description="length of the noise vector z")
    prior: Literal["uniform", "normal"] = Field("uniform", description="z ~ U(-1,1) or N(0,1)")
    base: int = Field(
        128, ge=2, le=1024, multiple_of=2, description="channels of G's last hidden layer; D starts at half"
    )
    head: Literal["flatten", "gap"] = Field(
        "flatten", description="how D reduces its last 4x4 map to a logit"
    )
    batch_size: int = Field(64, ge=2, le=65536, description="real images an update of D")
    lr: float = Field(2e-4, gt=0, description="learning rate of Adam, of G and of D")
    betas: tuple[float, float] = Field((0.5, 0.999), description="of Adam")


def specs() -> list[GeneratorSpec]:
    return [
        GeneratorSpec(
            name="dcgan",
            summary="DCGAN: strided transposed convolutions, BCE, one network a class",
            paper="Radford et al. 2016, as used for melanoma at 64 px in paper 002",
            create="derm_bench_plugins.generators.dcgan:Dcgan",
            options=DcganOptions,
            presets={
                "tiny": {"base": 8, "z_dim": 8, "batch_size": 8, "budget": {"updates": 4}},
                "smoke": {"base": 16, "batch_size": 16, "budget": {"updates": 20}},
            },
        ),
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
