"""The statement of what a model was trained on that derm-bench did not train: images, or the weights of a start."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from pydantic import BaseModel, Field, model_validator

from derm_bench.errors import UserError
from derm_bench.options.base import Options
from derm_bench.options.paths import takes_paths
from derm_bench.regular_files import read_regular

WEIGHTS = ("weights", "checkpoint", "pretrained")
"""The names of options that, as paths, say that a generator starts from weights of elsewhere."""

MAX_IDS_BYTES = 64 * 2**20

_PARTS = frozenset({"train", "training", "val", "validation", "test", "all"})
_FILLING = frozenset({"and", "the", "of", "on", "set", "split", "data", "images", "part"})


class TrainedOn(Options):
    """A statement of the data that a model was trained on. Generators with an option of `WEIGHTS` take it."""

    trained_on: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="your statement of the data on which the weights were trained: train (the training part of "
        "`split`); a description of other data; or all, test or val, which need the permit generator_sees_test",
    )
    split: str | None = Field(
        None,
        pattern="^[0-9a-f]{8,64}$",
        description="with trained_on: train, the digest of that split, or at least its first 8 digits; "
        "`derm-bench plan MATRIX --json` prints it under `splits`",
    )

    training_ids: Path | None = Field(
        None,
        description="a file with the ids of the images that the model was trained on: one per line, or the split of a "
        "run directory (splits/*.csv), of which the rows with the split train count; validation and test images among "
        "them need the permit generator_sees_test",
    )

    @property
    def stated_parts(self) -> frozenset[str]:
        """The parts of the benchmark's data set that `trained_on` names; empty if it describes other data."""
        words = set(re.findall(r"[a-z]+", (self.trained_on or "").lower()))
        return frozenset(words & _PARTS) if words <= _PARTS | _FILLING else frozenset()

    @property
    def sees_test(self) -> bool:
        """Whether validation or test images are stated to be among the data."""
        return bool(self.stated_parts - {"train", "training"})

    @model_validator(mode="after")
    def _is_complete(self) -> TrainedOn:
        only_train = bool(self.stated_parts) and not self.sees_test
        if only_train and self.split is None:
            raise ValueError(
                "trained_on: train needs `split`, the digest of the split whose training part was used "
                "(`derm-bench plan MATRIX --json` prints it under `splits`)"
            )
        if self.split is not None and not only_train:
            raise ValueError("split may be set only with trained_on: train")
        return self


def ids_in(file: Path) -> frozenset[str]:
    """The ids in a file of `training_ids`. Raises UserError if it cannot be read or is too large."""
    place = file.expanduser().absolute()
    try:
        text = read_regular(place, MAX_IDS_BYTES).decode()
    except (OSError, ValueError) as error:
        raise UserError(f"the file of training ids cannot be read: {error}", file=place) from error
    first = text.partition("\n")[0].strip().split(",")
    if "image_id" in first and "split" in first:
        rows = csv.DictReader(io.StringIO(text, newline=""))
        return frozenset(row["image_id"] for row in rows if row["split"] == "train")
    return frozenset(filter(None, (line.strip() for line in text.splitlines())))


def weights_options(model: type[BaseModel]) -> list[str]:
    """The options of a model that name weights to start from."""
    fields = model.model_fields
    return [name for name in WEIGHTS if name in fields and takes_paths(fields[name].annotation)]
