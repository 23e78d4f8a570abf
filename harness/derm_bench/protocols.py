"""What plugins are given and what they give: tasks, requests, and the protocols of data sets and networks.

Imports no torch: the planner describes data sets through it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from derm_bench.errors import UserError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from derm_bench.images import ImageSet, Samples
    from derm_bench.run import Run


@dataclass(frozen=True)
class Task:
    """What a plugin's `create(options, task)` is told.

    `classes` are the class names, in the order of labels; `size` is the side in pixels of the images it gets; `device`
    a torch device string; `inputs` what its spec `requires`, by name: for a `Ref` of kind `generator` or `classifier`
    the plugin's object with its state loaded, on the device; for `samples` an `ImageSet` of synthetic images at the
    stored size, labelled by the classes of the data set (-1 where the generator tells none apart).
    `input_tasks` are the tasks that those objects were made with (their `classes` and `size`), `input_parts` the names
    of the parts that were asked of them, both by the input's name. Inputs are not to be changed: deep-copy a network
    that is trained on. `whole`, for data sets alone: images are to be read at their own size, since preprocessing sees
    them before they are brought to `size`; without it a decoder may make them smaller as it reads.
    """

    classes: tuple[str, ...]
    size: int
    device: str = "cpu"
    inputs: Mapping[str, Any] = field(default_factory=dict)
    input_tasks: Mapping[str, Task] = field(default_factory=dict)
    input_parts: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False

    def part(self, name: str) -> nn.Module:
        """The network that was asked of the input `name`: by `part` of its `Ref`, or `from: {..., part: NAME}`.
        UserError where the input has no such part."""
        wanted, parts = self.input_parts.get(name, ""), self.inputs[name].parts()
        if wanted not in parts:
            raise UserError(
                f"{type(self.inputs[name]).__name__} has no part '{wanted}' to start from",
                hint=did_you_mean(wanted, parts),
            )
        network: nn.Module = parts[wanted]
        return network


@dataclass(frozen=True)
class SampleRequest:
    """One chunk of samples: `n` images of class index `label` (None: any, over pooled classes) under `seed`.

    `start` images of the same sample came in chunks before; `total` of them are kept in all (None: start + n).
    """

    label: int | None
    n: int
    seed: int
    start: int = 0
    total: int | None = None


# ------------------------------------------------------------------------------------- data sets


@dataclass(frozen=True)
class DatasetDescription:
    """A data set without its pixels: all that splitting needs. Lists run parallel to `ids`.

    `labels` are names out of `classes`. `masks`: images come with one each. `licence` and `citation` are shown.
    `groups` holds the lesion or patient of each image (None: no grouping is known). `given_split` holds
    `train | val | test | ""` where the source fixes one. `attributes` holds typed columns (age, sex, site, ...).
    `aux_labels` holds the labels of further tasks by the task's name, "" where an image has none; `ordinal`: the
    classes are grades in their order.
    """

    ids: Sequence[str]
    labels: Sequence[str]
    classes: Sequence[str]
    groups: Sequence[str] | None = None
    attributes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    given_split: Sequence[str] | None = None
    masks: bool = False
    licence: str = ""
    citation: str = ""
    aux_labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ordinal: bool = False


@dataclass(frozen=True)
class RawImage:
    """A decoded image: `pixels` uint8 [H,W,3] sRGB; `mask` uint8 [H,W] (0 or 255) or None."""

    pixels: np.ndarray
    mask: np.ndarray | None = None


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be decoded, and its `reason`; it is listed and set aside, never silently dropped."""

    reason: str


class Dataset(Protocol):
    """What a data set's `create(options, task)` returns. Its module imports no torch: the planner calls it too."""

    def describe(self, options: Any) -> DatasetDescription: ...

    def fingerprint(self, options: Any) -> Mapping[str, str]:
        """Content digest of every image (with its mask), by id; times and places never enter."""
        ...

    def read(self, ids: Sequence[str]) -> Iterator[RawImage | Unreadable]:
        """Decodes the images in the order of `ids`, at their own size where the task says `whole`; may be called from
        several threads at once."""
        ...


# ----------------------------------------------------------------------- generators, classifiers


class Generator(Protocol):
    """What a generator's `create(options, task)` returns.

    One that makes images of noise and a class alone may also have `prior(n, generator)`, the noise of n images
    [n,...] drawn from a torch.Generator, and `render(z, label)`, their images in [-1,1], as `NoiseGenerator` has. The
    run directory then shows rows that lead from one sample to another: along a great circle, or along a line where
    noise lies in [-1,1] as uniform noise does, unless it says itself by `between(a, b, share)` what noise lies between
    `a` and `b`, `share` in [0,1].
    """

    def fit(self, train: ImageSet, run: Run) -> None: ...

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """uint8 images [n,3,size,size]; equal for equal requests."""
        ...

    def parts(self) -> dict[str, nn.Module]: ...

    def state(self) -> dict[str, torch.Tensor]: ...

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None: ...


class Classifier(Protocol):
    """What a classifier's `create(options, task)` returns. `mean` and `std` (three floats each, of pixels in
    [0,1], default 0.5) may be given as attributes: the harness normalises with them. So may `weights_from`, a
    {name: string} of where its first weights came from (file or source, sha256), which the manifest repeats."""

    def fit(self, train: ImageSet, val: ImageSet, run: Run) -> None: ...

    def predict_proba(self, images: torch.Tensor) -> torch.Tensor:
        """float32 [N,K] rows that sum to 1, from normalised float32 images [N,3,size,size] on the task's device."""
        ...

    def parts(self) -> dict[str, nn.Module]: ...

    def state(self) -> dict[str, torch.Tensor]: ...

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None: ...
