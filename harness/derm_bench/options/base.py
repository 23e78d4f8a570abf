"""The base of every options model, and training budgets."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


class Options(BaseModel):
    """Base class of every options model. Unknown keys are refused, and instances are frozen.

    A field of type `pathlib.Path` is a file or folder of the user, also inside of models, lists, maps and unions. A
    relative path starts from the folder of the YAML file, and a stage's key covers the content and not the path: of a
    folder, the names and content of all its files. (The folders of a data set are covered by its `fingerprint`.) A text
    of type `str | Path` is a path if it begins with `/`, `./`, `../` or `~`, or if there is such a file or folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


LearningRate = Annotated[float, Field(gt=0, le=10)]
"""A learning rate. Ten is above any that an optimizer of the harness can train with."""


def _decay_rates(betas: tuple[float, float]) -> tuple[float, float]:
    if not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"betas must be at least 0 and below 1, got {list(betas)}")
    return betas


Betas = Annotated[tuple[float, float], AfterValidator(_decay_rates)]
"""The decay rates of the moving averages of Adam."""


class Budget(Options):
    """A training budget: exactly one of updates, epochs and kimg.

    An update is one batch of training images, whatever the plugin does with it: one step of an optimizer, one of each
    player of a GAN, several of its discriminator. Epochs and kimg are converted into updates with the batch size of the
    plugin, when the matrix is planned.
    """

    updates: int | None = Field(default=None, ge=1, le=100_000_000, description="batches of training images")
    epochs: float | None = Field(
        default=None, gt=0, le=1_000_000, description="passes over the training images"
    )
    kimg: float | None = Field(
        default=None, gt=0, le=1_000_000, description="thousands of training images shown"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Budget:
        if sum(value is not None for value in (self.updates, self.epochs, self.kimg)) != 1:
            raise ValueError("give exactly one of updates, epochs, kimg")
        return self

    def in_updates(self, images: int, batch_size: int) -> int:
        """The budget in updates, at least 1. One epoch over `images` images is ceil(images / batch_size) updates."""
        if self.updates is not None:
            return self.updates
        if self.epochs is not None:
            return max(1, round(self.epochs * -(-images // batch_size)))
        assert self.kimg is not None
        return max(1, round(self.kimg * 1000 / batch_size))
