"""Options and specs of `stylegan2` and `stylegan2-ada`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from derm_bench.specs import Betas, Budget, GeneratorOptions, GeneratorSpec, LearningRate, Ref, TrainedOn


class Stylegan2Options(TrainedOn, GeneratorOptions):
    """The authors' configuration `auto` on one GPU below 512 px."""

    budget: Budget = Field(default=Budget(kimg=200), description="how long to fit")
    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        default="per_class",
        description="one fit per class (per_class), one conditional fit for all classes (pooled) or for each listed "
        "group of classes",
    )
    z_dim: int = Field(512, ge=1, le=4096, description="length of the noise vector z")
    w_dim: int = Field(512, ge=1, le=4096, description="length of the style vector w")
    mapping_layers: int = Field(2, ge=1, le=16, description="layers from z to w")
    base: int = Field(
        16384,
        ge=16,
        le=131072,
        description="channels are base / side, at most `widest`; config-f has 32768",
    )
    widest: int = Field(512, ge=1, le=4096, description="largest number of channels")
    noise: Literal["all", "half", "none"] = Field(
        "all", description="which layers of G add noise; half: not those that enlarge"
    )
    discriminator: Literal["resnet", "orig"] = Field("resnet", description="architecture of D")
    deviation_group: int = Field(
        4, ge=1, le=65536, description="images that share a deviation over the minibatch"
    )
    batch_size: int = Field(32, ge=2, le=65536, description="real images per update")
    lr: LearningRate = Field(0.0025, description="learning rate of Adam, for G and, unless `lr_d` is set, D")
    lr_d: LearningRate | None = Field(None, description="learning rate of D's Adam; default: that of G")
    betas: Betas = Field((0.0, 0.99), description="betas of Adam")
    gamma: float | None = Field(
        None,
        ge=0,
        description="weight of R1; default 2e-4 side^2 / batch_size. Small sets need more: try 2 to 10 times as much",
    )
    r1_every: int = Field(16, ge=1, le=1000, description="updates from one R1 penalty to the next")
    path_weight: float = Field(2.0, ge=0, description="weight of the path length; 0: none, as for 32 px")
    path_every: int = Field(4, ge=1, le=1000, description="updates from one path length to the next")
    mixing: float = Field(0.9, ge=0, le=1, description="probability of style mixing")
    ema_kimg: float = Field(
        10.0,
        gt=0,
        le=1e6,
        description="half-life of the moving average of G's weights, from which samples are drawn, in thousands of "
        "images",
    )
    ema_ramp: float = Field(
        0.05,
        ge=0,
        le=1,
        description="the half-life is at most this fraction of the images shown so far; 0: no such limit",
    )
    truncation: float = Field(
        1.0,
        ge=0,
        le=1,
        description="psi: samples draw w to its average; 1 is none, and below 1 images are better and less varied",
    )
    start: dict[str, Any] | None = Field(
        None,
        description="another StyleGAN2 to start from: its name and options, as in a strategy's `generator`. It is "
        "fitted to all classes at once, unless it names `classes`, and shared with equal fits of the matrix",
    )
    weights: Path | None = Field(
        None,
        description="a .safetensors file to start from: the state of a fit of derm-bench, or an export of a network of "
        "the authors' code (docs/stylegan2.md)",
    )
    freeze_d: int = Field(
        0,
        ge=0,
        le=64,
        description="layers of D that are not trained, counted from the image (Mo et al. 2020); 10 or 13 of a network "
        "for 256 px are common",
    )
    g_layers: Literal["all", "last"] = Field(
        "all", description="the layers of G that are trained; last: the RGB layer at full resolution alone"
    )
    ada: bool = Field(False, description="adaptive augmentation of all images that D sees")
    ada_target: float = Field(0.6, ge=-1, le=1, description="E[sign D(x)] over reals, above which p rises")
    ada_kimg: float = Field(
        500.0, gt=0, le=1e6, description="thousands of images in which p can rise from 0 to 1"
    )
    ada_every: int = Field(4, ge=1, le=1000, description="updates from one change of p to the next")
    ada_hue: float = Field(18.0, ge=0, le=180, description="largest turn of the hue, in degrees")
    ada_luma_flip: bool = Field(False, description="also invert lightness, which no photograph of skin does")

    @model_validator(mode="after")
    def _starts_once(self) -> Stylegan2Options:
        if self.start is not None and self.weights is not None:
            raise ValueError("a network starts either from `start` or from `weights`: leave one of them out")
        if self.start is not None and not isinstance(self.start.get("name"), str):
            raise ValueError("start needs the name of a generator, such as start: {name: stylegan2}")
        if self.g_layers == "last" and self.start is None and self.weights is None:
            raise ValueError(
                "g_layers: last trains one layer of a network that must come from `start` or `weights`"
            )
        return self


def requires(options: Stylegan2Options) -> Mapping[str, Ref]:
    """Return the generator to start from, which is needed while fitting alone."""
    if options.start is None:
        return {}
    given = {name: value for name, value in options.start.items() if name != "name"}
    return {"start": Ref("generator", options.start["name"], given, needed="fit")}


class Stylegan2AdaOptions(Stylegan2Options):
    """`stylegan2` with adaptive augmentation."""

    ada: bool = Field(True, description="adaptive augmentation of all images that D sees")


class SlOptions(Stylegan2Options):
    """`stylegan2` with noise in half of its layers and no path length, which StyleGAN did not have."""

    noise: Literal["all", "half", "none"] = Field("half", description="which layers of G add noise")
    mapping_layers: int = Field(8, ge=1, le=16, description="layers from z to w")
    path_weight: float = Field(0.0, ge=0, description="weight of the path length; 0: none")
    lr: LearningRate = Field(0.001, description="learning rate of Adam, for G and, unless `lr_d` is set, D")


class SlaOptions(SlOptions):
    """`sl-stylegan` with the learning rate of the newer paper."""

    lr: LearningRate = Field(0.002, description="learning rate of Adam, for G and, unless `lr_d` is set, D")


class UnlabelledOptions(Stylegan2Options):
    """`stylegan2` without classes."""

    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        default="pooled",
        description="one fit for all classes (pooled), per class or per listed group of classes",
    )


_SMALL: dict[str, dict[str, Any]] = {
    "tiny": {
        "base": 64, "widest": 8, "z_dim": 8, "w_dim": 8, "batch_size": 4, "budget": {"updates": 4},
    },
    "smoke": {
        "base": 256, "widest": 16, "z_dim": 16, "w_dim": 16, "batch_size": 8, "budget": {"updates": 20},
    },
    # For two cores, at 32 to 64 px. Weights have a variance of 1, so that updates of Adam are small beside them: a fit
    # that is a thousand times as short as the authors' needs a higher rate, and many small batches. The strength of the
    # noise would overshoot: samples are grainy.
    "small": {
        "noise": "none", "base": 2048, "widest": 64, "z_dim": 64, "w_dim": 64, "batch_size": 8, "lr": 0.01,
        "path_weight": 0.0, "ada_kimg": 50.0, "budget": {"kimg": 14},
    },
}  # fmt: skip
_CONFIG_F: dict[str, Any] = {
    "base": 32768, "mapping_layers": 8, "lr": 0.002, "gamma": 10.0, "ema_kimg": 10.0, "ema_ramp": 0.0,
    "batch_size": 32, "deviation_group": 4, "budget": {"kimg": 25000},
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    **_SMALL,
    "auto": {"budget": {"kimg": 25000}},
    "config-f": _CONFIG_F,
    "paper256": {
        "base": 16384, "mapping_layers": 8, "lr": 0.0025, "gamma": 1.0, "ema_kimg": 20.0, "ema_ramp": 0.0,
        "batch_size": 64, "deviation_group": 8, "budget": {"kimg": 25000},
    },
    "paper512": {
        "base": 32768, "mapping_layers": 8, "lr": 0.0025, "gamma": 0.5, "ema_kimg": 20.0, "ema_ramp": 0.0,
        "batch_size": 64, "deviation_group": 8, "budget": {"kimg": 25000},
    },
    "paper1024": {
        "base": 32768, "mapping_layers": 8, "lr": 0.002, "gamma": 2.0, "ema_kimg": 10.0, "ema_ramp": 0.0,
        "batch_size": 32, "deviation_group": 4, "budget": {"kimg": 25000},
    },
    "cifar": {
        "base": 32768, "gamma": 0.01, "ema_kimg": 500.0, "ema_ramp": 0.05, "batch_size": 64, "deviation_group": 32,
        "path_weight": 0.0, "mixing": 0.0, "discriminator": "orig", "budget": {"kimg": 100000},
    },
    # Table 1 of paper 001: the defaults of the authors' first code, with mirrored images, for 280 thousand images.
    "acne": {**_CONFIG_F, "augment": ["hflip"], "budget": {"kimg": 280}},
}  # fmt: skip


# Which layers add noise is what these are about.
SL_PRESETS = {
    name: {key: value for key, value in preset.items() if key != "noise"} for name, preset in PRESETS.items()
}


def _spec(
    name: str, summary: str, paper: str, options: type[Stylegan2Options], create: str = "Stylegan2"
) -> GeneratorSpec:
    return GeneratorSpec(
        name=name,
        summary=summary,
        paper=paper,
        create=f"derm_bench_plugins.generators.stylegan2:{create}",
        options=options,
        cost="derm_bench_plugins.generators.gan_cost:style_based",
        parts=("generator", "discriminator"),
        discriminator_outputs=("d_real", "d_fake"),
        realness=True,
        screen=True,
        preflight="derm_bench_plugins.generators.stylegan2_planning:preflight",
        requires=requires,
        conditional=create == "Stylegan2",
        presets=SL_PRESETS if issubclass(options, SlOptions) else PRESETS,
    )


SPEC = _spec(
    "stylegan2",
    "StyleGAN2: style-based generator with modulated convolutions, R1 and path lengths",
    "Karras et al. 2020 (CVPR); used by paper 001",
    Stylegan2Options,
)
_ADA = _spec(
    "stylegan2-ada",
    "StyleGAN2-ADA: StyleGAN2 with adaptive augmentation of D's images, for small sets",
    "Karras et al. 2020 (NeurIPS); used by Limeros et al., cited by paper 002",
    Stylegan2AdaOptions,
)
_UNLABELLED = _spec(
    "stylegan2-unlabelled",
    "StyleGAN2 that does not know the classes of its images, to start others from",
    "Karras et al. 2020 (CVPR); the networks of paper 001",
    UnlabelledOptions,
    "Unlabelled",
)
_SL = _spec(
    "sl-stylegan",
    "SL-StyleGAN: a style-based GAN with noise in half of the layers",
    "Qin et al. 2020; nearest, as the changes to style and noise are not printed; cited by papers 000, 003 and 004",
    SlOptions,
)
_SLA = _spec(
    "sla-stylegan",
    "SLA-StyleGAN: as sl-stylegan, with a residual discriminator; its classifier is timm with the loss `sla`",
    "Zhao et al. 2021; nearest, as the changes to style and noise are not printed; cited by paper 003",
    SlaOptions,
)
MORE = [_ADA, _UNLABELLED, _SL, _SLA]
