"""Stage `memorization`: whether samples are nearer to the training images of their generator than to held-out ones."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from derm_bench.fidelity import memorization as measures
from derm_bench.fidelity.copies import pixel_distances
from derm_bench.fidelity.halves import chosen, split_halves
from derm_bench.fidelity.screened import FEATURES, PIXELS, SAMPLES, too_few
from derm_bench.images import ImageSet, load_images
from derm_bench.report.samples import Row, row_sheet
from derm_bench.rundir.sheet_index import SheetIndex
from derm_bench.seeds import derive_seed
from derm_bench.stages.decoded import decoded_of
from derm_bench.stages.fidelity import scorer_of

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

SHOWN = 8


@dataclass(frozen=True)
class Sides:
    """Images uint8 [Q,3,S,S] that are screened, the training images of the generator, and real images that it was not
    fitted on."""

    samples: torch.Tensor
    train: ImageSet
    held_out: ImageSet


@dataclass(frozen=True)
class Space:
    """Distances of samples to training images [Q,N] and to held-out images [Q,M] in one space."""

    to_train: torch.Tensor
    to_held_out: torch.Tensor

    def tested(self, sides: Sides) -> measures.Screen:
        return measures.screen(self.to_train, self.to_held_out, sides.train.groups, sides.held_out.groups)

    def members(self, sides: Sides) -> measures.Screen | None:
        """The same with half of the training images in place of the held-out ones: the generator knows both sides, so
        that a difference between them would be a fault of the test."""
        one, other = split_halves(sides.train.ids, sides.train.groups, limit=len(sides.train))
        if not other:
            return None
        groups = sides.train.groups
        return measures.screen(
            self.to_train[:, one],
            self.to_train[:, other],
            [groups[i] for i in one],
            [groups[i] for i in other],
        )

    def suspicious(self) -> list[int]:
        """The samples that are nearest to a training image, relative to the nearest held-out image."""
        near, far = self.to_train.amin(1), self.to_held_out.amin(1)
        ratio = near / far.clamp(min=1e-9)
        return sorted(range(len(ratio)), key=lambda i: (float(ratio[i]), float(near[i])))[:SHOWN]


def memorization(context: StageContext) -> dict[str, Any]:
    """Writes values.json, rows as those of a fidelity stage; memorization.json, the most suspicious samples with their
    nearest training and held-out images; and, unless a control is screened, a sheet of them with index.json.

    The result has the tests by space, `features` and `pixels`, each with `closer`, `expected` and `p_value`, and the
    same under `members`, where half of the training images stand for the held-out ones; or the `reason` why
    there are none.
    """
    params: p.Memorization = context.params
    sides = _sides(context)
    reason = too_few(sides.train.groups, sides.held_out.groups, len(sides.samples))
    counts = {"train": len(sides.train), "held_out": len(sides.held_out), "samples": len(sides.samples)}
    if reason:
        rows = [_unknown(use["name"], sides) for use in params.metrics]
        _write(context.out / "values.json", _placed(rows, context))
        return {"images": len(sides.train), "screen": {"reason": reason, **counts}}
    scorer = scorer_of(context)
    features = [
        scorer.features(images) for images in (sides.samples, sides.train.images, sides.held_out.images)
    ]
    spaces = {
        FEATURES: Space(*(measures.apart(features[0][0], side[0]) for side in features[1:])),
        PIXELS: Space(
            *(pixel_distances(sides.samples, side.images) for side in (sides.train, sides.held_out))
        ),
    }
    samples, train, held_out = features
    rows = scorer.screened(samples, train, held_out, sides.held_out.groups) + _pixel_rows(
        spaces[PIXELS], sides
    )
    _write(context.out / "values.json", _placed(rows, context))
    _write(context.out / "memorization.json", {name: _named(s, sides) for name, s in spaces.items()})
    if params.control is None:
        _draw(context, sides, spaces)
    tests = {name: space.tested(sides)._asdict() for name, space in spaces.items()}
    members = {name: found._asdict() for name, s in spaces.items() if (found := s.members(sides))}
    screen = {"reason": "", **counts, "tests": tests, "members": members}
    return {"images": len(sides.train), "screen": screen}


def _sides(context: StageContext) -> Sides:
    """The images of the class. The control `real-holdout` is half of the held-out images, by group, and is compared
    with the other half."""
    params: p.Memorization = context.params
    train = _of_class(context, (params.fitted_on,))
    held_out = _of_class(context, tuple(params.held_out))
    if params.control is None:
        return Sides(load_images(context.inputs["sample"] / "images.npy"), train, held_out)
    if params.control == "real-holdout":
        one, other = split_halves(held_out.ids, held_out.groups)
        return Sides(held_out.images[one], train, held_out.subset(other))
    generator = torch.Generator().manual_seed(derive_seed("noise"))
    noise = torch.randint(0, 256, held_out.images.shape, dtype=torch.uint8, generator=generator)
    return Sides(noise, train, held_out)


def _of_class(context: StageContext, parts: tuple[str, ...]) -> ImageSet:
    params: p.Memorization = context.params
    classes = None if params.of_class == "all" else (params.of_class,)
    return decoded_of(context).image_set(parts, params.fraction, classes, {})


def _pixel_rows(space: Space, sides: Sides) -> list[dict[str, Any]]:
    """The rows of the distances in pixels."""
    held_out = sides.held_out
    rows = chosen(held_out.ids, SAMPLES)
    some = held_out.images[rows]
    found = {
        "nn_ratio_pixels": measures.nn_ratio(
            space.to_train,
            space.to_held_out,
            pixel_distances(some, sides.train.images),
            pixel_distances(some, held_out.images),
            held_out.groups,
            rows,
        ),
        "nn_closer_pixels": measures.nn_closer(space.to_train, space.to_held_out),
    }
    shared = {"extractor": PIXELS, "n_real": len(sides.train), "n_synthetic": len(sides.samples)}
    return [
        {"metric": name, "value": value, "ci_low": low, "ci_high": high} | shared
        for name, (value, low, high) in found.items()
    ]


def _unknown(name: str, sides: Sides) -> dict[str, Any]:
    counts = {"n_real": len(sides.train), "n_synthetic": len(sides.samples)}
    return {
        "metric": name,
        "value": math.nan,
        "ci_low": math.nan,
        "ci_high": math.nan,
        "extractor": "",
    } | counts


def _placed(rows: list[dict[str, Any]], context: StageContext) -> list[dict[str, Any]]:
    params: p.Memorization = context.params
    against = f"{params.fitted_on} and {' + '.join(params.held_out)}"
    reference = f"{against} [{params.of_class}], split {params.split[:12]}"
    return [row | {"reference": reference} for row in rows]


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1))


def _named(space: Space, sides: Sides) -> list[dict[str, Any]]:
    """The most suspicious samples, by number, with the id and distance of their nearest real images of both sides."""
    found = []
    for i in space.suspicious():
        row: dict[str, Any] = {"sample": i}
        for name, table, images in (
            ("train", space.to_train, sides.train),
            ("held_out", space.to_held_out, sides.held_out),
        ):
            place = int(table[i].argmin())
            row[name] = {"id": images.ids[place], "distance": round(float(table[i, place]), 6)}
        found.append(row)
    return found


def _draw(context: StageContext, sides: Sides, spaces: dict[str, Space]) -> None:
    params: p.Memorization = context.params
    sheets = SheetIndex(context.out)
    rows = []
    for name, space in spaces.items():
        shown = space.suspicious()
        rows.append(Row(list(sides.samples[shown].numpy()), f"{name}: sample"))
        for label, table, images in (
            ("training", space.to_train, sides.train),
            ("held out", space.to_held_out, sides.held_out),
        ):
            lengths, places = table[shown].min(1)
            captions = [f"{value:.2f}" for value in lengths.tolist()]
            rows.append(Row(list(images.images[places].numpy()), label, captions))
    row_sheet(
        rows,
        f"class {params.of_class}",
        f"{params.title}: the samples that look most like copies",
        sheets.add(params.of_class, "copies", real=True, licence=params.licence),
        note="Below each sample its nearest training image and its nearest held-out image, with their distances. In "
        "pixels, samples may be mirrored or moved a little. Copies are near to the training image alone. "
        f"Real images: {params.licence or 'licence not stated'}.",
    )
    sheets.write()
