"""Protocols of data sets, generators and classifiers, and the records that they take and return.

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

    from derm_bench.image_header import ImageHeader
    from derm_bench.images import ImageSet, Samples
    from derm_bench.run import Run


@dataclass(frozen=True)
class Task:
    """The second argument of a plugin's `create(options, task)`.

    `classes` are the class names, in the order of labels; `size` is the side of the images in pixels; `device` is a
    torch device string. `inputs` are the requirements of the spec, by name. For a `Ref` of kind `generator` or
    `classifier` an input is the plugin's object on the device, with its state loaded. For `samples` it is an `ImageSet`
    of synthetic images at the stored size, labelled by the classes of the data set (-1 if the generator does not
    distinguish classes). `input_tasks` are the tasks that the objects were created with, and `input_parts` the names of
    the parts that are asked for, both by the name of the input. Inputs must not be changed: deep-copy a network before
    training it further. `whole` is for data sets only: it asks for images at their own size, because preprocessing
    gets them before they are resized to `size`. Otherwise a decoder may reduce them while it reads.
    """

    classes: tuple[str, ...]
    size: int
    device: str = "cpu"
    inputs: Mapping[str, Any] = field(default_factory=dict)
    input_tasks: Mapping[str, Task] = field(default_factory=dict)
    input_parts: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False

    def part(self, name: str) -> nn.Module:
        """The network of the input `name` that is asked for by `part` of its `Ref`, or by `from: {..., part: NAME}`.
        Raises UserError if the input has no such part."""
        wanted, parts = self.input_parts.get(name, ""), self.inputs[name].parts()
        if wanted not in parts:
            raise UserError(
                f"{type(self.inputs[name]).__name__} has no part '{wanted}' to start from",
                hint=did_you_mean(wanted, parts),
            )
        network: nn.Module = parts[wanted]
        return network

    def logits(self, name: str, images: torch.Tensor) -> torch.Tensor:
        """Logits float32 [N,K] of the classifier that is the input `name`, for images float32 [N,3,H,W] in [0,1]. They
        can be differentiated with respect to the images, so that a generator can be guided by the classifier.

        Raises UserError if there is no such input, or if it has no method `logits` (see `Classifier`).
        """
        if name not in self.inputs:
            raise UserError(f"there is no requirement '{name}'", hint=did_you_mean(name, self.inputs))
        function = getattr(self.inputs[name], "logits", None)
        if function is None:
            raise UserError(
                f"the requirement '{name}' cannot guide: {type(self.inputs[name]).__name__} has no method "
                "logits(images)",
                hint="require a classifier that has it: all built-in ones and every ModuleClassifier do",
            )
        logits: torch.Tensor = function(images)
        return logits


@dataclass(frozen=True)
class SampleRequest:
    """One chunk of a sample: `n` images of the class index `label` (None for pooled classes), drawn with `seed`.

    `start` is the number of images in earlier chunks of the same sample, `total` the number in all chunks (None means
    start + n). Images after the first `total` are dropped. A generator that makes one image after the other may leave
    them out (`needed`), if the images before them are the same without them.
    """

    label: int | None
    n: int
    seed: int
    start: int = 0
    total: int | None = None

    @property
    def needed(self) -> int:
        """The number of images that are kept: `n`, or fewer if the sample ends before."""
        return self.n if not self.total else min(self.n, max(0, self.total - self.start))


# ------------------------------------------------------------------------------------- data sets


@dataclass(frozen=True)
class Note:
    """Something that a data set did with what it found, such as setting files aside. `text` is a sentence or the start
    of one, without a full stop; `names` are the images, files or rows that it is about. `warns` makes it a warning:
    what was found makes results doubtful."""

    text: str
    names: Sequence[str] = ()
    warns: bool = False

    def sentence(self, most: int = 3, count: int | None = None) -> str:
        """The text with the number of names and the first few of them: `set aside: hidden files (5): a, b, c, ...`.
        `count` is the number, if `names` are not all."""
        if not self.names:
            return self.text
        count = len(self.names) if count is None else count
        listed = ", ".join(self.names[:most]) + (", ..." if count > most else "")
        return f"{self.text} ({count:,}): {listed}"


@dataclass(frozen=True)
class DatasetDescription:
    """A data set without its pixels: all that is needed to split it. All lists are parallel to `ids`.

    `labels` are names in `classes`. `masks` states that every image has a mask. `licence` and `citation` are shown in
    the report. `groups` are the lesion or patient of each image (None if no grouping is known). `given_split` is
    `train`, `val`, `test` or `""` for each image, if the data set defines a split. `attributes` are typed columns (age,
    sex, site, ...). `aux_labels` are the labels of further tasks by the name of the task, `""` for an image without
    one. `ordinal` states that the classes are ordered grades. `notes` say what was set aside and what looks wrong;
    `plan` and the report show them.
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
    notes: Sequence[Note] = ()


@dataclass(frozen=True)
class RawImage:
    """A decoded image: `pixels` uint8 [H,W,3] sRGB; `mask` uint8 [H,W] (0 or 255) or None.

    `digest` is the content digest, as `fingerprint` makes it, of the bytes that were decoded. The harness compares it
    with the digest from planning; if it is None, `fingerprint` is called again after the images are read. `notes` are
    sentences about what was done to the pixels besides decoding, the same for all images of a kind ("a colour profile
    was converted to sRGB"), without a full stop. They are counted and shown in the report. `header`
    is what the file says about itself (codec, size); the audit looks whether it tells classes apart.
    """

    pixels: np.ndarray
    mask: np.ndarray | None = None
    digest: str | None = None
    notes: tuple[str, ...] = ()
    header: ImageHeader | None = None


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be decoded, with the `reason`. It is left out and listed. `digest` is as in
    `RawImage`."""

    reason: str
    digest: str | None = None


@dataclass(frozen=True)
class Recognised:
    """What the function `recognise` of a data set says of a folder that it can read.

    `reason` is a sentence about what was found, without a full stop. `confidence` is in (0,1]: 0.9 for names and
    columns that only this data set has, about 0.5 for a layout that others may have too, 0.2 for a guess. `options` are
    those with which a matrix reads the folder, `root` being the folder itself unless they have another one.
    """

    reason: str
    confidence: float
    options: Mapping[str, Any] = field(default_factory=dict)


class Dataset(Protocol):
    """The object that `create(options, task)` of a data set returns. Its module imports no torch, since the planner
    uses it.

    It may also have `paths(options)`, which returns the path of the file of each image by id. `derm-bench data inspect`
    reads sizes and codecs from their headers, without decoding. A data set that needs labels from a person may have
    `template(options)`, which returns the text of a table to fill in; `derm-bench data inspect --template` writes it.
    """

    def describe(self, options: Any) -> DatasetDescription:
        """The description of the data set; no pixels are read."""
        ...

    def fingerprint(self, options: Any) -> Mapping[str, str]:
        """Content digest of every image with its mask, by id. Times and paths of files must not change it."""
        ...

    def read(self, ids: Sequence[str]) -> Iterator[RawImage | Unreadable]:
        """Decodes the images in the order of `ids`, at their own size if the task has `whole`. It may be called from
        several threads at once."""
        ...


# ----------------------------------------------------------------------- generators, classifiers


class Generator(Protocol):
    """The object that `create(options, task)` of a generator returns.

    A generator whose images depend only on noise and class may also have `prior(n, generator)`, which draws the noise
    of n images [n,...] from a torch.Generator, and `render(z, label)`, which returns their images in [-1,1], as
    `NoiseGenerator` does. The run directory then shows interpolations from one sample to another: along a great circle,
    or along a straight line if the noise is in [-1,1], as uniform noise is. `between(a, b, share)`, if defined, returns
    the noise at `share` (in [0,1]) of the way from `a` to `b` instead.

    A generator whose spec has `realness=True` also has `realness(images, label)`: how real its discriminator finds
    images float32 [n,3,size,size] in [-1,1], on the device, of the class index `label` (None for pooled classes). It
    returns floats [n], such as logits; higher is more real. It does not change the generator.
    """

    def fit(self, train: ImageSet, run: Run) -> None:
        """Fits the generator to the images of `train`."""
        ...

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """uint8 images [n,3,size,size]. Equal requests give equal images."""
        ...

    def parts(self) -> Mapping[str, nn.Module]: ...

    def state(self) -> dict[str, torch.Tensor]: ...

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None: ...


class Classifier(Protocol):
    """The object that `create(options, task)` of a classifier returns. It may have the attributes `mean` and `std`,
    three floats each for pixels in [0,1] (default 0.5), with which the harness normalises images. It may also have
    `weights_from`, a {name: string} that states where its initial weights came from (file or source, sha256); the
    manifest contains it.

    For guidance it may also have `logits(images)`. It takes float32 images [N,3,H,W] in [0,1], of any side, on the
    device, resizes and normalises them itself, and returns logits float32 [N,K] that can be differentiated with respect
    to the images. Their softmax are the probabilities of `predict_proba`. It does not change the classifier.
    `Task.logits` calls it.
    """

    def fit(self, train: ImageSet, val: ImageSet, run: Run) -> None:
        """Trains the classifier on `train`. `val` is only for the evaluations that `run.evaluate` makes."""
        ...

    def predict_proba(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities float32 [N,K] whose rows sum to 1, for normalised float32 images [N,3,size,size] on the
        device."""
        ...

    def parts(self) -> Mapping[str, nn.Module]: ...

    def state(self) -> dict[str, torch.Tensor]: ...

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None: ...
