"""Stage `neighbours`: the real training images that are nearest to the samples of a generator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from derm_bench.images import ImageSet, load_images
from derm_bench.report.samples import Row, row_sheet
from derm_bench.rundir.sheet_index import SheetIndex
from derm_bench.stage_names import SAMPLE
from derm_bench.stages.decoded import images_of
from derm_bench.stages.required import class_folders
from derm_bench.stages.training_features import reference_network

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

SHOWN = 8
RANKS = ("nearest", "2nd", "3rd")
# The number of training images, evenly chosen, from whose nearest neighbours the usual distance is computed.
USUAL_OF = 64
CHUNK = 512  # number of images that are compared at once


def neighbours(context: StageContext) -> dict[str, Any]:
    """Writes one sheet per class, index.json and neighbours.json.

    A sheet shows samples, and below each sample the nearest training images among the classes and the fraction of the
    fit. neighbours.json contains `distance` (a description of the distance), `usual` (the median distance of a training
    image to its nearest training image) and `classes` (ids and distances of each sample's neighbours).

    Distances are Euclidean in features of the reference network. If no metric of the matrix uses that network, they are
    root mean square differences of pixels (0..255).
    """
    params: p.Neighbours = context.params
    real = images_of(context, "train", fraction=params.fraction, classes=params.fit_classes)
    space = _Features(context, real) if "features" in context.inputs else _Pixels(real)
    usual = usual_distance(space.known) * space.scale
    found: dict[str, list[dict[str, Any]]] = {}
    sheets = SheetIndex(context.out)
    for label, folder in class_folders(context, SAMPLE):
        images = load_images(folder / "images.npy", slice(SHOWN))
        where, lengths = nearest(space.of(images), space.known, len(RANKS))
        lengths = lengths * space.scale
        found[label] = [
            {"ids": [real.ids[i] for i in row], "distances": [round(value, 6) for value in values]}
            for row, values in zip(where.tolist(), lengths.tolist(), strict=True)
        ]
        rows = [Row(list(images.numpy()), "sample"), *_real_rows(real, where, lengths, label)]
        row_sheet(
            rows,
            f"class {label}",
            f"{params.title}: samples, and below each sample its nearest real training images",
            sheets.add(label, "neighbours", real=True, licence=params.licence),
            note=f"Distance in {space.words}; median distance of a training image to its nearest one: {usual:.2f}. "
            f"Real images: {params.licence or 'licence not stated'}.",
        )
    sheets.write()
    measured = {"distance": space.words, "usual": round(usual, 6), "classes": found}
    (context.out / "neighbours.json").write_text(json.dumps(measured, indent=1))
    return {"classes": sorted(found), "images": len(real)}


def nearest(points: torch.Tensor, known: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices, int64, and distances, float64 [M,k], of the `k` nearest of `known` [N,...] to each of `points` [M,...],
    nearest first; [M,N] if N < k. Exact for integers: equal images have distance 0."""
    lengths, where = distances(points, known).sort(dim=1, stable=True)
    return where[:, :k], lengths[:, :k]


def distances(points: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Euclidean distances, float64 [M,N], between [M,...] and [N,...], computed in chunks."""
    x = points.double().flatten(1)
    squares = []
    for part in known.split(CHUNK):
        y = part.double().flatten(1)
        squares.append(x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T)
    return torch.cat(squares, dim=1).clamp_(min=0).sqrt_()


def usual_distance(known: torch.Tensor) -> float:
    """Median distance of an image of `known` [N,...] to its nearest other image, over at most `USUAL_OF` evenly chosen
    images; 0 if N < 2."""
    if len(known) < 2:
        return 0.0
    chosen = torch.linspace(0, len(known) - 1, min(len(known), USUAL_OF)).round().long()
    table = distances(known[chosen], known)
    table[torch.arange(len(chosen)), chosen] = torch.inf
    return float(table.amin(dim=1).median())


class _Features:
    """Distances in features of the reference network. Other stages compute the network and the features of training
    images."""

    words, scale = "features of the reference network", 1.0

    def __init__(self, context: StageContext, real: ImageSet) -> None:
        folder = context.inputs["features"]
        row = {name: i for i, name in enumerate(json.loads((folder / "ids.json").read_text()))}
        features = np.load(folder / "features.npy", mmap_mode="r", allow_pickle=False)
        self.known = torch.from_numpy(features[[row[name] for name in real.ids]])
        self.reference = reference_network(context)

    def of(self, images: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.reference.features(images))


class _Pixels:
    """Distances between pixels."""

    words = "pixels (0 to 255, root mean square)"

    def __init__(self, real: ImageSet) -> None:
        self.known = real.images
        self.scale = real.images[0].numel() ** -0.5 if len(real) else 1.0

    def of(self, images: torch.Tensor) -> torch.Tensor:
        return images


def _real_rows(real: ImageSet, where: torch.Tensor, lengths: torch.Tensor, label: str) -> list[Row]:
    """One row per rank: the images with their distance, and with their class if it differs from that of the samples."""
    rows = []
    for rank, places, values in zip(RANKS, where.T.tolist(), lengths.T.tolist(), strict=False):
        names = [real.classes[int(real.labels[i])] for i in places]
        captions = [
            f"{value:.2f}" if label in (name, "all") else f"{value:.2f} {name}"
            for value, name in zip(values, names, strict=True)
        ]
        rows.append(Row(list(real.images[places].numpy()), rank, captions))
    return rows
