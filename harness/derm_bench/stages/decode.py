"""Stage `decode`: reads every image once, resizes it to the stored size, preprocesses it and stores it as uint8.

Images are stored in the layout in which they are used, [N,S,S,3].
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch

from derm_bench.dataset_parts import create_dataset
from derm_bench.errors import UserError
from derm_bench.image_list import read_list
from derm_bench.imageio import damage_is_an_error
from derm_bench.protocols import RawImage, Task, Unreadable
from derm_bench.stages.unchanged import Unchanged, refuse_absent
from derm_bench.training.resize import Resize, fit_mask, fit_squares

if TYPE_CHECKING:
    from derm_bench.image_header import ImageHeader
    from derm_bench.plan import params as p
    from derm_bench.protocols import Dataset
    from derm_bench.stages.context import StageContext

CHUNK = 64
"""The largest number of images that are decoded together."""
CHUNK_BYTES = 2**23
"""The largest number of bytes of the stored images of a chunk, unless one image has more."""
READ_BYTES = 2**23
"""The largest number of bytes of images that a thread reads before it resizes them, unless one image has more. Small
images are decoded faster in a row than in turn with resizing."""
NAMED = 4
"""The number of images that a note names."""
Step = Callable[[np.ndarray], np.ndarray]
Raw = RawImage | Unreadable
T = TypeVar("T")
R = TypeVar("R")


class Item(NamedTuple):
    """A decoded image: `pixels` [S,S,3], `mask` [S,S,1] or None, the digest of the pixels, what was done besides
    decoding, and the header of the file."""

    pixels: np.ndarray
    mask: np.ndarray | None
    digest: str
    notes: tuple[str, ...] = ()
    header: ImageHeader | None = None


class Chunk(NamedTuple):
    """Images that were decoded together. For each readable one: its position in the list, its row of `pixels`
    [n,S,S,3], the SHA-256 of the pixels, the sharpness, the header of its file, and its notes. `masks` [m,S,S,1] are
    those that there are. `unreadable` are the positions and the reasons of the others."""

    positions: list[int]
    pixels: np.ndarray
    masks: np.ndarray
    digests: list[str]
    sharpness: list[float]
    headers: list[ImageHeader | None]
    notes: list[tuple[str, ...]]
    unreadable: list[tuple[int, str]]

    @classmethod
    def of(cls, start: int, size: int, read: Iterable[Item | Unreadable]) -> Chunk:
        """The images from position `start`, at the stored `size`."""
        found = list(enumerate(read, start))
        items = [item for _, item in found if isinstance(item, Item)]
        pixels = _rows([item.pixels for item in items], (size, size, 3))
        return cls(
            positions=[position for position, item in found if isinstance(item, Item)],
            pixels=pixels,
            masks=_rows([item.mask for item in items if item.mask is not None], (size, size, 1)),
            digests=[item.digest for item in items],
            sharpness=sharpness(pixels).tolist(),
            headers=[item.header for item in items],
            notes=[item.notes for item in items],
            unreadable=[(position, item.reason) for position, item in found if isinstance(item, Unreadable)],
        )


class Kept:
    """Records of the readable images: the position of each in the list, the SHA-256 of its pixels, its sharpness, and
    the header of its file; the positions of the images with each note."""

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.digests: list[str] = []
        self.sharpness: list[float] = []
        self.headers: list[ImageHeader | None] = []
        self.noted: dict[str, list[int]] = defaultdict(list)

    def add(self, chunk: Chunk) -> None:
        self.positions += chunk.positions
        self.digests += chunk.digests
        self.sharpness += chunk.sharpness
        self.headers += chunk.headers
        for position, notes in zip(chunk.positions, chunk.notes, strict=True):
            for note in notes:
                self.noted[note].append(position)

    def notes(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The notes, sorted, with the number of images and the ids of the first ones."""
        return [
            {"text": note, "count": len(found), "names": [ids[i] for i in found[:NAMED]]}
            for note, found in sorted(self.noted.items())
        ]


class Steps(NamedTuple):
    """Preprocess transforms in their order: `before` runs at the original size of the image, up to the last transform
    with `before_resize`, and `after` runs at the stored size."""

    before: Sequence[Step]
    after: Sequence[Step]

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Steps:
        cut = max((k for k, step in enumerate(steps, start=1) if _before_resize(step)), default=0)
        return cls(steps[:cut], steps[cut:])


def decode(context: StageContext) -> dict[str, Any]:
    """Writes images.npy, masks.npy if every image has a mask, index.json, and files.json with what only audits and
    cleaning read."""
    params: p.Decode = context.params
    listed = read_list(context.planned(params.images))
    ids = [image.id for image in listed]
    dataset, steps = opened(context)
    options = context.options("dataset", params.dataset)
    description = dataset.describe(options)
    refuse_absent(ids, description.ids)
    row = {name: i for i, name in enumerate(description.ids)}
    where = [row[name] for name in ids]
    unchanged = Unchanged(dataset, {image.id: image.digest for image in listed})
    kept = Kept()
    unreadable: list[tuple[str, str]] = []
    with RowFile(context.out / "images.npy") as images, RowFile(context.out / "masks.npy") as masks:
        for chunk in _read(context, unchanged, steps, ids):
            images.add(chunk.pixels)
            masks.add(chunk.masks)
            kept.add(chunk)
            unreadable += [(ids[position], reason) for position, reason in chunk.unreadable]
    unchanged.finish(lambda: dataset.fingerprint(options))
    _refuse_too_many(unreadable, len(ids), params.unreadable)
    _refuse_emptied([image.label for image in listed], kept.positions, unreadable)
    has_masks = masks.count == images.count
    if not has_masks:
        (context.out / "masks.npy").unlink()
    index = {
        "ids": [ids[i] for i in kept.positions],
        "masks": has_masks,
        "attributes": {
            name: [_plain(column[where[i]]) for i in kept.positions]
            for name, column in description.attributes.items()
        },
        "aux_labels": {
            task: _codes([column[where[i]] for i in kept.positions])
            for task, column in description.aux_labels.items()
        },
        "ordinal": description.ordinal,
        "unreadable": [{"id": name, "reason": why} for name, why in unreadable],
        "notes": kept.notes(ids),
    }
    files = {
        "digests": kept.digests,
        "contents": [listed[i].digest for i in kept.positions],
        "sharpness": kept.sharpness,
        "headers": _columns(kept.headers),
    }
    (context.out / "index.json").write_text(json.dumps(index))
    (context.out / "files.json").write_text(json.dumps(files))
    result = {"images": images.count, "unreadable": len(unreadable), "masks": has_masks}
    return result | {"notes": index["notes"]}


def opened(context: StageContext) -> tuple[Dataset, Steps]:
    """The reader of the stage's data set, and the steps of preprocessing. If a step runs before resizing, images are
    read at full size, because the reduced sizes that a decoder can produce depend on the file format."""
    params = context.params
    steps = Steps.of(context.transforms(params.preprocess, Task((), params.size), "preprocess"))
    spec = context.plugins.get("dataset", params.dataset)
    options = context.options("dataset", params.dataset)
    task = Task(tuple(params.classes), params.size, whole=bool(steps.before))
    return create_dataset(spec, options, task, context.plugins), steps


class RowFile:
    """An .npy file of uint8 rows of one shape. Rows are written as they come, so not all images are in memory at
    once."""

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0
        self._shape: tuple[int, ...] = (0, 0, 3)

    def __enter__(self) -> RowFile:
        self._file = self.path.open("wb")
        return self

    def add(self, rows: np.ndarray) -> None:
        """Append rows uint8 [n,...]."""
        if not len(rows):
            return
        if not self.count:
            self._shape = rows.shape[1:]
            self._header()
        self._file.write(np.ascontiguousarray(rows).data)
        self.count += len(rows)

    def __exit__(self, *_: object) -> None:
        with self._file:
            self._file.seek(0)
            self._header()

    def _header(self) -> None:
        """Writes the header for the rows so far. Its length is constant, since numpy reserves room for the first
        axis."""
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, header)


def sharpness(images: np.ndarray) -> np.ndarray:
    """Variance of the Laplacian of the grey image (0..255): float64 [N] from uint8 [N,S,S,3]. Low for blurred
    images."""
    wide = images.astype(np.int16)
    three = wide[..., 0] + wide[..., 1]  # three times the grey
    three += wide[..., 2]
    laplacian = three[:, :-2, 1:-1] + three[:, 2:, 1:-1]
    laplacian += three[:, 1:-1, :-2]
    laplacian += three[:, 1:-1, 2:]
    laplacian -= 4 * three[:, 1:-1, 1:-1]
    values = laplacian.reshape(len(images), -1).astype(np.float64)
    squares = np.vecdot(values, values) / max(1, values.shape[1])
    variances: np.ndarray = (squares - values.mean(axis=1) ** 2) / 9
    return variances


def _rows(images: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Images of this shape as rows uint8 [n,*shape]."""
    return np.stack(images) if images else np.empty((0, *shape), np.uint8)


def _before_resize(step: Step) -> bool:
    return getattr(step, "before_resize", False)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _columns(headers: Sequence[ImageHeader | None]) -> dict[str, list[Any]]:
    """The headers of files as columns, with None for an image that is not a file; empty if no image is."""
    first = next((header for header in headers if header is not None), None)
    names = () if first is None else first._fields
    return {name: [header and getattr(header, name) for header in headers] for name in names}


def _codes(labels: Sequence[str]) -> list[int]:
    """Labels of a task as indices into its sorted names; -1 for a missing label."""
    names = {name: k for k, name in enumerate(sorted({label for label in labels if label}))}
    return [names.get(label, -1) for label in labels]


def _read(context: StageContext, images: Unchanged, steps: Steps, ids: Sequence[str]) -> Iterator[Chunk]:
    """All images in order, decoded on all threads of the worker."""
    params = context.params
    size = max(1, min(CHUNK, CHUNK_BYTES // (3 * params.size**2)))

    def work(start: int) -> Chunk:
        raws = images.read(ids[start : start + size])
        return Chunk.of(start, params.size, _fitted(raws, params.size, params.resize, steps))

    threads = context.machine.threads
    with damage_is_an_error(), _one_thread_each(threads), ThreadPoolExecutor(threads) as pool:
        for done, chunk in enumerate(_in_order(pool, work, range(0, len(ids), size), 2 * threads), start=1):
            context.report({"done": min(done * size, len(ids)), "total": len(ids)})
            yield chunk


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[T], R], tasks: Iterable[T], ahead: int
) -> Iterator[R]:
    """The results of `work` in the order of the tasks. At most `ahead` of them are made or waited for at a time, so
    that results do not pile up in memory if they are made faster than they are taken."""
    waiting: deque[Future[R]] = deque()
    for task in tasks:
        waiting.append(pool.submit(work, task))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextlib.contextmanager
def _one_thread_each(threads: int) -> Iterator[None]:
    """Limits torch to one thread while images are resized in parallel, so that threads do not compete."""
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _fitted(raws: Iterable[Raw], size: int, how: Resize, steps: Steps) -> Iterator[Item | Unreadable]:
    """The images at the stored size, in their order."""
    for some in _together(_prepared(raws, steps.before)):
        yield from _fit(some, size, how, steps.after)


def _prepared(raws: Iterable[Raw], before: Sequence[Step]) -> Iterator[Raw]:
    """The images after the steps that run at their original size."""
    for raw in raws:
        if before and isinstance(raw, RawImage):
            yield replace(raw, pixels=_apply(before, raw.pixels))
        else:
            yield raw


def _together(raws: Iterable[Raw]) -> Iterator[list[Raw]]:
    """Lists of images that have `READ_BYTES` at most, unless one image has more. They are resized together."""
    some: list[Raw] = []
    used = 0
    for raw in raws:
        size = 0 if isinstance(raw, Unreadable) else raw.pixels.nbytes
        if some and used + size > READ_BYTES:
            yield some
            some, used = [], 0
        some.append(raw)
        used += size
    yield some


def _fit(raws: Sequence[Raw], size: int, how: Resize, after: Sequence[Step]) -> Iterator[Item | Unreadable]:
    squares = iter(fit_squares([raw.pixels for raw in raws if isinstance(raw, RawImage)], size, how))
    for raw in raws:
        if isinstance(raw, Unreadable):
            yield raw
            continue
        pixels = np.ascontiguousarray(_apply(after, next(squares)))
        mask = None if raw.mask is None else fit_mask(raw.mask, size, how)[..., None]
        yield Item(pixels, mask, hashlib.sha256(pixels.data).hexdigest(), raw.notes, raw.header)


def _apply(steps: Sequence[Step], pixels: np.ndarray) -> np.ndarray:
    for step in steps:
        out = step(pixels)
        _refuse_misshapen(step, pixels, out)
        pixels = out
    return pixels


def _refuse_misshapen(step: Step, given: np.ndarray, made: Any) -> None:
    """Raises UserError unless a step keeps the size of the image, or enlarges it before resizing. The mask is not
    transformed, so the field of view must stay the same."""
    if isinstance(made, np.ndarray) and made.dtype == np.uint8 and made.ndim == 3 and made.shape[2] == 3:
        height, width = made.shape[:2]
        enlarged = abs(height * given.shape[1] / max(1, width) - given.shape[0]) <= 1
        if made.shape == given.shape or (_before_resize(step) and enlarged):
            return
    shape = list(made.shape) if isinstance(made, np.ndarray) else type(made).__name__
    raise UserError(
        f"the preprocess transform {type(step).__name__} made {shape} of {list(given.shape)}",
        hint="return uint8 [H,W,3] of the same size; with before_resize = True both sides may be enlarged equally",
    )


def _refuse_too_many(unreadable: Sequence[tuple[str, str]], total: int, allowance: float) -> None:
    if len(unreadable) > allowance * total:
        named = "; ".join(f"{name}: {why}" for name, why in unreadable[:5])
        more = f"; and {len(unreadable) - 5} more" if len(unreadable) > 5 else ""
        raise UserError(
            f"{len(unreadable)} of {total} images cannot be read ({named}{more})",
            hint=f"repair or remove them, or allow a share with clean.unreadable (now {allowance:g})",
        )


def _refuse_emptied(
    labels: Sequence[str], readable: Sequence[int], unreadable: Sequence[tuple[str, str]]
) -> None:
    """Raises UserError if no image of a class can be read, whatever share of all images may be unreadable. `labels` are
    those of all images, `readable` positions among them."""
    left = {labels[position] for position in readable}
    emptied = sorted(set(labels) - left)
    if emptied:
        name, why = unreadable[0]
        raise UserError(
            f"no image of {', '.join(repr(label) for label in emptied)} can be read (for example {name}: {why})",
            hint="repair the images, or leave the class out with `classes`",
        )
