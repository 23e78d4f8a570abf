"""Options and spec of `hair-volume`, the networks of AA-GAN."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from derm_bench.specs import Betas, Budget, GeneratorOptions, GeneratorSpec, LearningRate

Layers = tuple[Annotated[int, Field(ge=0, le=6)], ...]


class HairVolumeOptions(GeneratorOptions):
    """The settings of paper 000 and, where it states none, of Hair-GAN, but smaller networks and maps."""

    budget: Budget = Field(
        default=Budget(updates=2000),
        description="how long to fit: updates, or thousands of pairs (kimg); there are no epochs",
    )
    side: Literal[128, 256, 512, 1024] = Field(
        256, description="side S of the maps; volumes are S/8 x S/8 x 3S/32; the paper has 1024"
    )
    width: float = Field(
        0.5,
        gt=0,
        le=2,
        description="channels of the hidden 2D and 3D convolutions, 1 being those of the paper",
    )
    init: Literal["normal", "he"] = Field(
        "normal",
        description="initial weights of G; normal: deviation 0.02 as in Hair-GAN, with which narrow networks learn "
        "slowly; he: He et al. 2015",
    )
    batch_size: int = Field(
        10,
        ge=2,
        le=1024,
        multiple_of=2,
        description="pairs per update: half of them for the step of D, the others for that of G; the paper has 5 each",
    )
    lr: LearningRate = Field(1e-4, description="learning rate of G's Adam")
    lr_d: LearningRate = Field(3e-4, description="learning rate of D's Adam (two time scales)")
    betas: Betas = Field((0.0, 0.9), description="betas of both Adams")
    schedule: Literal["none", "cosine"] = Field(
        "none",
        description="how the learning rates of G and D fall: not at all as in Hair-GAN, or along half a cosine to 0",
    )
    clip: float = Field(
        0.0,
        ge=0,
        description="largest norm of the gradient of G, which is scaled down to it; 0: any, as in the paper",
    )
    centred: bool = Field(
        False,
        description="G gets the two channels of direction from -1 to 1 and 0 without hair, instead of from 0 to 1",
    )
    start: Literal["zero", "mean"] = Field(
        "zero",
        description="initial biases of the last convolutions of the axes: 0, or the mean of the training volumes in "
        "each plane of depth",
    )
    penalty: float = Field(10.0, ge=0, description="weight of the gradient penalty (lambda of equation 1)")
    alpha: float = Field(1e-2, ge=0, description="weight of the content loss in equation 3")
    beta: float = Field(
        500.0, ge=0, description="the number that the paper prints for beta, read as `beta_is`"
    )
    beta_is: Literal["ratio", "weight"] = Field(
        "ratio",
        description="how `beta` is read: as beta/alpha, so that the style loss has the weight 5 as in Hair-GAN, or as "
        "the weight of the style loss itself, which is then 500",
    )
    content_layers: Layers = Field(
        (0, 3), description="layers of D whose outputs equation 4 compares; 0: the volume"
    )
    style_layers: Layers = Field((0, 1, 2, 3, 4), description="layers of D whose outputs equation 5 compares")
    adv_weight: float = Field(
        0.0,
        ge=0,
        description="weight of the adversarial loss (equation 2) beside equation 3; 0 as in Hair-GAN",
    )
    direction_weight: float = Field(
        0.0,
        ge=0,
        description="weight of 1 - cosine of the angle between the directions of G and the true ones, the mean over "
        "the voxels with hair, beside equation 3; not in the paper",
    )
    pretrain: float = Field(
        0.0,
        ge=0,
        le=1,
        description="fraction of the budget during which G is trained by equation 2 alone, before equation 3",
    )
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay of a moving average of G's weights, which volumes are made with; 0: the weights themselves, "
        "as in the paper",
    )
    pairs: int = Field(
        2100,
        ge=2,
        le=100_000,
        description="different pairs of maps and volume, of which two in a row are a hairstyle and its mirror image; "
        "the paper has 1,050 hairstyles",
    )
    combed: bool = Field(
        True,
        description="train on hair that is also parted, combed back, forward or aside, or tied; false: all hair falls "
        "away from the whorl",
    )
    exact: bool = Field(
        False,
        description="take the true directions of the strands as maps, instead of those found in a picture of them",
    )

    @model_validator(mode="after")
    def _makes_its_pairs(self) -> HairVolumeOptions:
        unused = [name for name in ("augment", "balance") if getattr(self, name)]
        if unused:
            raise ValueError(
                f"{unused[0]} has no effect: the networks are fitted to hairstyles that are made, not to the images "
                "of the data set; leave it out"
            )
        if self.budget.epochs is not None:
            raise ValueError(
                "the budget has no epochs, as pairs are made and not read: give updates or kimg (thousands of pairs)"
            )
        return self


# `small` is for two cores; its settings were chosen on validation hairstyles (benchmarks/hair).
PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"side": 128, "width": 0.0625, "batch_size": 2, "pairs": 4, "budget": {"updates": 3}},
    "smoke": {"side": 128, "width": 0.125, "batch_size": 4, "pairs": 40, "budget": {"updates": 20}},
    "small": {
        "side": 128,
        "width": 0.5,
        "init": "he",
        "lr": 6e-4,
        "schedule": "cosine",
        "clip": 1.0,
        "centred": True,
        "start": "mean",
        "ema": 0.9,
        "direction_weight": 5.0,
        "pairs": 2100,
        "budget": {"updates": 320},
    },
    "paper": {"side": 1024, "width": 1.0, "pairs": 2100, "budget": {"updates": 2000}},
}  # fmt: skip

SPEC = GeneratorSpec(
    name="hair-volume",
    summary="AA-GAN's networks: from maps of a photograph of hair to a volume of directions, fitted to made hairstyles",
    paper="paper 000, section III; Zhang and Zheng 2019",
    create="derm_bench_plugins.generators.hair_volume:HairVolume",
    options=HairVolumeOptions,
    cost="derm_bench_plugins.generators.gan_cost:volumes",
    parts=("generator", "discriminator"),
    presets=PRESETS,
)
