"""Images for our side: a folder of JPEGs through the decode stage, or an existing array."""

from __future__ import annotations

import gc
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import torch

from derm_bench.image_list import write_list
from derm_bench.images import ImageSet, load_images
from derm_bench.plan import params as p
from derm_bench.plugins import Plugins
from derm_bench.specs import Task
from derm_bench.stages.context import Device, StageContext
from derm_bench.stages.decode import decode
from derm_bench.worker.lookup import Lookup
from derm_bench_plugins.datasets.image_folder import ImageFolder
from derm_bench_plugins.datasets.specs.image_folder import ImageFolderOptions


def decoded(root: Path, store: Path, size: int, threads: int) -> ImageSet:
    """Return the images of a folder at `size`, listed and fingerprinted as in a plan, and decoded unless `store` has
    them."""
    gc.freeze()  # as the workers do, and as the command does that plans
    gc.set_threshold(50_000, 100, 100)
    os.environ["DERM_BENCH_CACHE"] = str(store / "fingerprints")  # a new store has no file digests
    options = ImageFolderOptions(root=root)
    dataset = ImageFolder(options, Task((), size))
    description = dataset.describe(options)
    digests = dataset.fingerprint(options)
    contents = [digests[name] for name in description.ids]
    listed = write_list(zip(description.ids, description.ids, description.labels, contents, strict=True))
    digest = hashlib.sha256(listed).hexdigest()
    out = store / digest
    if not (out / "index.json").exists():
        out.mkdir(parents=True)
        (out / digest).write_bytes(listed)
        decode(_context(root, out, digest, tuple(description.classes), size, threads))
    classes = tuple(description.classes)
    code = {name: k for k, name in enumerate(classes)}
    label_of = dict(zip(description.ids, map(code.__getitem__, description.labels), strict=True))
    ids = tuple(json.loads((out / "index.json").read_text())["ids"])
    images = load_images(out / "images.npy", range(len(ids)))  # gathered once, as in a stage
    return ImageSet(images, torch.tensor([label_of[name] for name in ids]), classes, ids, ids)


def in_memory(path: Path) -> ImageSet:
    """Return the uint8 images [N,3,S,S] of a .npy file as one class."""
    images = torch.from_numpy(np.load(path, allow_pickle=False))
    names = tuple(map(str, range(len(images))))
    return ImageSet(images, torch.zeros(len(images), dtype=torch.int64), ("all",), names, names)


def _context(
    root: Path, out: Path, images: str, classes: tuple[str, ...], size: int, threads: int
) -> StageContext:
    params = p.Decode(
        dataset="image-folder",
        options={},
        images=images,
        classes=classes,
        size=size,
        resize="center-crop",
        preprocess=[],
        unreadable=0.0,
    )
    return StageContext(
        params=params,
        local={"paths": {"root": str(root)}},
        inputs={},
        out=out,
        data=out,
        machine=Device("cpu", "fp32", threads),
        plugins=Lookup(Plugins(builtins_only=True)),
    )
