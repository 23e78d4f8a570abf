"""The base of every options model, and training budgets."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Options(BaseModel):
    """Base of every options model: unknown keys are refused, values do not change after validation.

    A field of type `pathlib.Path` names a file or folder of the user: it is resolved beside the YAML file and
    enters a stage's identity by content, not by place.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Budget(Options):
    """How long to train: exactly one of updates (optimizer steps), epochs, kimg (thousands of images)."""

    updates: int | None = Field(None, ge=1, le=100_000_000, description="optimizer steps")
    epochs: float | None = Field(None, gt=0, le=1_000_000, description="passes over the training images")
    kimg: float | None = Field(None, gt=0, le=1_000_000, description="thousands of images seen")

    @model_validator(mode="after")
    def _exactly_one(self) -> Budget:
        if sum(value is not None for value in (self.updates, self.epochs, self.kimg)) != 1:
            raise ValueError("give exactly one of updates, epochs, kimg")
        return self

    def in_updates(self, images: int, batch_size: int) -> int:
        """Optimizer steps over a set of `images` images; an epoch is ceil(images / batch_size) steps, at least 1."""
        if self.updates is not None:
            return self.updates
        if self.epochs is not None:
            return max(1, round(self.epochs * -(-images // batch_size)))
        assert self.kimg is not None
        return max(1, round(self.kimg * 1000 / batch_size))
