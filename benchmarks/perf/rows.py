"""The rows of the performance table: workload, measures, targets, sizes, and how parity is checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import parity
from bench import Bench
from parity import Parity

Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Measure:
    """One figure that both sides print under `key`. `targets` are ratios by device type; above 1 is better."""

    key: str
    name: str
    targets: Mapping[str, float] = field(default_factory=dict)
    lower_is_better: bool = False


@dataclass(frozen=True)
class Row:
    """One row; its sides are `ours/row<number>.py` and `baselines/row<number>.py`.

    measures: the first one gives the ratio of the row. arguments: flags for both sides. check: parity check with
    separate runs. judge: parity check on the values of the last pair. needs: modules or executables of the baseline.
    itself: whether both sides do their work themselves, without further processes that import torch. bf16: whether
    `precision: auto` may train it in bf16.
    """

    number: int
    measures: tuple[Measure, ...]
    quick: Sizes
    full: Sizes
    arguments: Callable[[Bench, Sizes], dict[str, Any]]
    check: Callable[[Bench, Row], Parity] | None = None
    judge: Callable[[Bench, Row, Mapping[str, Any], Mapping[str, Any]], Parity] | None = None
    needs: tuple[str, ...] = ()
    on_gpu: bool = True
    itself: bool = True
    bf16: bool = True


def _rate(name: str, key: str, cpu: float, cuda: float) -> tuple[Measure, ...]:
    """Return the main rate, followed by the other one of `rate` (from the first byte on) and `steady`."""
    other = {"rate": "steady", "steady": "rate"}[key]
    names = {"rate": "from the first byte read", "steady": "steady rate"}
    return (
        Measure(key, f"{name}, {names[key]}", {"cpu": cpu, "cuda": cuda}),
        Measure(other, f"{name}, {names[other]}"),
    )


def _from_jpegs(bench: Bench, sizes: Sizes) -> dict[str, Any]:
    return {"folder": bench.material.jpegs(sizes["images"]), **_training(sizes)}


def _from_memory(bench: Bench, sizes: Sizes) -> dict[str, Any]:
    return {"images": bench.material.images(sizes["images"]), **_training(sizes)}


def _training(sizes: Sizes) -> dict[str, Any]:
    return {name: sizes[name] for name in ("batch", "updates", "warmup")}


def _stylegan2(bench: Bench, sizes: Sizes) -> dict[str, Any]:
    return _from_memory(bench, sizes) | {"base": sizes["base"]}


def _volumes(bench: Bench, sizes: Sizes) -> dict[str, Any]:
    maps, volumes = bench.material.hair_pairs(sizes["images"], sizes.get("side", 128))
    return {"maps": maps, "volumes": volumes, "base": sizes.get("base", 16), **_training(sizes)}


def _classifier(bench: Bench, sizes: Sizes) -> dict[str, Any]:
    model = "resnetv2_50" if bench.kind == "cuda" else "resnet18"
    return _from_jpegs(bench, sizes) | {"model": model}


def _features(bench: Bench, sizes: Sizes) -> dict[str, Any]:
    return {
        "images": bench.material.halves(sizes["images"]),
        "features": bench.material.features(sizes["features"]),
        "weights": bench.material.inception(),
    }


def _epoch(bench: Bench, sizes: Sizes) -> dict[str, Any]:
    count = sizes["images"]
    folder = bench.material.ham10000(bench.data, count) if bench.data else bench.material.jpegs(count)
    return {"folder": folder, "store": bench.folder / "row8-store"}


def _study(bench: Bench, sizes: Sizes) -> dict[str, Any]:
    plan = {
        "lrs": [2e-4, 1e-4, 4e-4][: sizes["generators"]],
        "models": ["resnet18", "resnet10t", "mobilenetv3_small_050"][: sizes["classifiers"]],
        "seeds": [0, 1][: sizes["seeds"]],
    }
    return {
        "folder": bench.material.split_jpegs(sizes["images"], sizes["images"] // 2),
        "weights": bench.material.inception(),
        "plan": json.dumps(plan),
        "gan-updates": sizes["updates"],
        **{name: sizes[name] for name in ("batch", "updates")},
    }


def _overhead(bench: Bench, sizes: Sizes) -> dict[str, Any]:
    return {"cells": sizes["cells"], "planned": sizes["planned"], "benchopt": bench.executable("benchopt")}


_GAN_QUICK = {"images": 512, "batch": 64, "updates": 20, "warmup": 4, "parity_batch": 16, "pairs": 5}
_GAN_FULL = {"images": 1600, "batch": 64, "updates": 100, "warmup": 10, "parity_batch": 64, "pairs": 5}

ROWS = {
    row.number: row
    for row in (
        Row(
            1,
            _rate("DCGAN-64 from JPEG files, img/s", "rate", 2.2, 15),
            quick=_GAN_QUICK,
            full=_GAN_FULL,
            arguments=_from_jpegs,
            check=parity.losses,
        ),
        Row(
            2,
            _rate("DCGAN-64 from memory, img/s", "steady", 2.0, 4),
            quick=_GAN_QUICK,
            full=_GAN_FULL,
            arguments=_from_memory,
            check=parity.losses,
        ),
        Row(
            3,
            _rate("WGAN-GP at 64 px, critic img/s", "steady", 1.8, 4),
            quick=_GAN_QUICK | {"updates": 16},
            full=_GAN_FULL,
            arguments=_from_memory,
            check=parity.losses,
        ),
        Row(
            4,
            tuple(
                Measure(f"s_per_kimg_{side}", f"StyleGAN2 at {side} px, s/kimg", {"cpu": 1.5, "cuda": cuda}, True)
                for side, cuda in ((64, 5), (128, 4), (256, 3))
            ),
            # The lazy penalties come every 4th and 16th update, so the updates after the warm-up are a multiple of 16.
            quick={
                "images": 64, "batch": 4, "updates": 20, "warmup": 4, "base": 1024, "parity_batch": 4,
                "parity_steps": 20, "pairs": 3,
            },
            full={
                "images": 256, "batch": 8, "updates": 36, "warmup": 4, "base": 2048, "parity_batch": 8,
                "parity_steps": 50, "pairs": 5,
            },
            arguments=_stylegan2,
            check=parity.losses,
            bf16=False,
        ),
        Row(
            5,
            _rate("AA-GAN's 3D conditional GAN, samples/s", "steady", 1.7, 3),
            quick={
                "images": 40, "side": 256, "base": 32, "batch": 4, "updates": 12, "warmup": 2, "parity_batch": 2,
                "parity_steps": 10, "pairs": 3,
            },
            full={
                "images": 200, "side": 256, "base": 128, "batch": 10, "updates": 24, "warmup": 3, "parity_batch": 4,
                "parity_steps": 20, "pairs": 5,
            },
            arguments=_volumes,
            check=parity.losses,
        ),
        Row(
            6,
            _rate("timm classifier at 64 px, img/s", "steady", 1.8, 4),
            quick=_GAN_QUICK | {"updates": 24},
            full=_GAN_FULL,
            arguments=_classifier,
            check=parity.losses,
            needs=("timm",),
        ),
        Row(
            7,
            (
                Measure("rate", "Inception features in fp32, img/s", {"cpu": 1.3, "cuda": 4}),
                Measure("bf16_rate", "Inception features in bf16, img/s"),
                Measure("statistics_seconds", "FID and KID of stored features, s", {"cpu": 3, "cuda": 10}, True),
            ),
            quick={"images": 128, "features": 3000, "pairs": 3},
            full={"images": 512, "features": 10_000, "pairs": 5},
            arguments=_features,
            judge=parity.features,
            needs=("torch_fidelity",),
        ),
        Row(
            8,
            (
                Measure("rate", "first epoch served from JPEG files, img/s", {"cpu": 2.5, "cuda": 2.5}),
                Measure("warm_seconds", "the epoch after a restart, s", {"cpu": 50, "cuda": 50}, True),
                Measure("first_processor_seconds", "the first epoch, s of the processors", {}, True),
                Measure("warm_processor_seconds", "the epoch after a restart, s of the processors", {}, True),
            ),
            quick={"images": 1000, "pairs": 5},
            full={"images": 10_000, "pairs": 5},
            arguments=_epoch,
            check=parity.pixels,
            itself=False,
        ),
        Row(
            9,
            (
                Measure("wall_seconds", "a whole matrix, s", {"cpu": 4, "cuda": 10}, True),
                Measure("sharing", "of which sharing stages (x)"),
                Measure("kernels", "of which quicker stages and warm processes (x)"),
            ),
            quick={
                "images": 100, "batch": 16, "updates": 6, "generators": 3, "classifiers": 3, "seeds": 1, "pairs": 1,
            },
            full={
                "images": 600, "batch": 64, "updates": 30, "generators": 3, "classifiers": 3, "seeds": 2, "pairs": 3,
            },
            arguments=_study,
            judge=parity.cells,
            needs=("torch_fidelity", "timm"),
            itself=False,
        ),
        Row(
            10,
            (
                Measure("cell_ms", "overhead of a no-op cell, ms", {"cpu": 1.2}, True),
                Measure("cached_ms", "of a cached cell, ms", {"cpu": 5}, True),
                Measure("help_seconds", "--help, s", {"cpu": 3}, True),
                Measure("plan_seconds", "plan of many cells, s", {}, True),
            ),
            # Equally many cells on both sides. With fewer, the start, the tables and the figures of a run would
            # dominate.
            quick={"cells": 1000, "planned": 10_000, "pairs": 2},
            full={"cells": 1000, "planned": 10_000, "pairs": 5},
            arguments=_overhead,
            needs=("benchopt",),
            on_gpu=False,
            itself=False,
        ),
    )
}  # fmt: skip
