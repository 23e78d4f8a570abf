"""Fit our GANs and the textbook's to the same images under several seeds, and measure the samples of both.

    python benchmarks/quality/data.py HAM10000_ROOT reals.npz
    python benchmarks/quality/compare.py reals.npz OUT [--seeds 5] [--updates 1000] [--device cuda:0] [--jobs 8]

OUT receives `results.jsonl` (one line per fit and class, written as soon as it is measured; lines that are there are
not computed again), `table.md`, and one grid of 8x8 samples per fit and class.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
import measures
import rounded
import textbook

CLASSES = ("bkl", "nv")
PRECISIONS = ("fp32", "bf16", "bf16-rounded")
SAMPLES = 300
# What is compared: the name of a side -> the method and the options of ours (None: the textbook's).
WIDE = {"base": 32, "z_dim": 100, "batch_size": 64}
MIRZA = WIDE | {"preset": "mirza"}
SIDES: dict[str, tuple[str, dict[str, Any] | None]] = {
    "textbook dcgan": ("dcgan", None),
    "dcgan": ("dcgan", WIDE | {"ema": 0.0}),
    "dcgan ema .99": ("dcgan", WIDE | {"ema": 0.99}),
    "dcgan d_base 16": ("dcgan", WIDE | {"ema": 0.0, "d_base": 16}),
    "textbook cgan": ("cgan", None),
    "cgan mirza": ("cgan", MIRZA),
    "cgan mirza ema .99": ("cgan", MIRZA | {"ema": 0.99}),
    "cgan d_steps 1": ("cgan", WIDE | {"d_steps": 1}),
}
# The other generators, for fp32 beside bf16 and with an average beside none.
OTHERS: dict[str, dict[str, Any]] = {
    "acgan": WIDE,
    "semi-gan": WIDE,
    "tedgan": WIDE,
    "vanilla-gan": {"base": 128},
    "dermagan": {"base": 32},
    "dcgan-mutepfe": {"base": 32, "batch_size": 64},
    "efgan": WIDE,
    "iagan": {"base": 32},
    "lapgan": {"base": 32, "batch_size": 64},
    "spggan": {"base": 32, "widest": 128, "lr": 1e-3, "lr_d": 4e-3},
}
CONDITIONAL = ("cgan", "acgan", "semi-gan", "tedgan")
for _name, _options in OTHERS.items():
    SIDES[_name] = (_name, _options)
    if _name != "spggan":  # has an average of its own
        SIDES[f"{_name} ema .99"] = (_name, _options | {"ema": 0.99})
# (class index, number) -> samples uint8 [n,3,S,S]
Draw = Callable[[int, int], torch.Tensor]
MEASURES = ("sharpness", "nn_accuracy", "coverage", "distance")


def main() -> None:
    given = _parse()
    given.out.mkdir(parents=True, exist_ok=True)
    _networks(given, _reals(given))
    known = {(line["side"], line["seed"], line["precision"], line["of"]) for line in _read(given.out)}
    todo = [one for one in fits(given) if one not in known]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.jobs, mp_context=context) as pool:
        running = {pool.submit(fit_and_measure, given, *one): one for one in todo}
        for future in as_completed(running):
            if future.exception() is not None:
                print(running[future], repr(future.exception()), file=sys.stderr, flush=True)
            (given.out / "table.md").write_text(table(_read(given.out)))
    print((given.out / "table.md").read_text())


def fits(given: argparse.Namespace) -> Iterator[tuple[str, int, str, str]]:
    """Yield (side, seed, precision, classes); a conditional GAN is fitted to both classes at once."""
    for seed in range(given.seeds):
        for side in given.sides or [
            name for name, (method, _) in SIDES.items() if method in ("dcgan", "cgan")
        ]:
            for precision in given.precision:
                for of in ("+".join(CLASSES),) if SIDES[side][0] in CONDITIONAL else given.classes:
                    yield side, seed, precision, of


class Fit(NamedTuple):
    """One fit: images uint8 [N,3,S,S] of the classes `names`, and how they are fitted."""

    method: str
    images: torch.Tensor
    labels: torch.Tensor
    names: tuple[str, ...]
    seed: int
    precision: str
    updates: int
    device: str


def fit_and_measure(given: argparse.Namespace, side: str, seed: int, precision: str, of: str) -> None:
    """Fit one GAN, draw samples of each class, measure them and append the lines."""
    torch.set_num_threads(given.threads)
    if given.device.startswith("cuda"):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    reals = _reals(given)
    networks = _networks(given, reals)
    names = tuple(of.split("+"))
    images = torch.cat([reals[f"{name}_train"] for name in names])
    labels = torch.cat([torch.full((len(reals[f"{name}_train"]),), k) for k, name in enumerate(names)])
    method, options = SIDES[side]
    # A conditional GAN sees each class as often as a GAN of one class does.
    fit = Fit(method, images, labels, names, seed, precision, given.updates * len(names), given.device)
    began = time.perf_counter()
    draw = _textbook(fit) if options is None else _ours(fit, options)
    seconds = time.perf_counter() - began
    for k, name in enumerate(names):
        fakes = draw(k, SAMPLES)
        values = measures.measure(networks, reals[f"{name}_held"], fakes, given.device)
        line = {"side": side, "seed": seed, "precision": precision, "of": of, "class": name}
        line |= {"updates": fit.updates, "seconds": round(seconds, 1), **values}
        with (given.out / "results.jsonl").open("a") as handle:
            handle.write(json.dumps(line) + "\n")
        _grid(fakes[:64], given.out / f"{side} {precision} {name} {seed}.jpg".replace(" ", "_"))


def _textbook(fit: Fit) -> Draw:
    g = textbook.fit(
        fit.images,
        fit.labels,
        classes=len(fit.names) if fit.method == "cgan" else 0,
        updates=fit.updates,
        seed=fit.seed,
        device=fit.device,
        autocast=lambda: _forward(fit.device, fit.precision),
    )
    return lambda label, n: textbook.sample(g, n, label, fit.seed, fit.device)


def _forward(device: str, precision: str) -> AbstractContextManager[object]:
    """The context of a forward pass."""
    if precision == "bf16-rounded":
        return rounded.Rounded()
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")


def _ours(fit: Fit, options: Mapping[str, Any]) -> Draw:
    from derm_bench.images import ImageSet
    from derm_bench.lazy import create
    from derm_bench.plugins import Plugins
    from derm_bench.specs import SampleRequest, Task
    from derm_bench.training.stage_run import StageRun, seed_everything

    spec = Plugins().get("generator", fit.method)
    chosen = {**spec.presets.get(options.get("preset", ""), {}), **options}
    chosen.pop("preset", None)
    seed_everything(fit.seed)
    gan = create(
        spec, spec.options.model_validate(chosen), Task(fit.names, fit.images.shape[-1], device=fit.device)
    )
    ids = tuple(map(str, range(len(fit.images))))
    train = ImageSet(fit.images, fit.labels, fit.names, ids, ids)
    run = StageRun(seed=fit.seed, budget=fit.updates, device=fit.device, precision=fit.precision)
    with mock.patch("derm_bench.training.engine.autocast", _forward):
        gan.fit(train, run)
    return lambda label, n: gan.sample(SampleRequest(label, n, fit.seed), train).images


def _reals(given: argparse.Namespace) -> dict[str, torch.Tensor]:
    """The images by class and part, uint8 [N,3,S,S]; a side under 64 is a mean over squares of pixels."""
    reals = {name: torch.from_numpy(array) for name, array in np.load(given.reals).items()}
    if given.size == 64:
        return reals
    means = {name: torch.nn.functional.avg_pool2d(x.float(), 64 // given.size) for name, x in reals.items()}
    return {name: mean.round().byte() for name, mean in means.items()}


def _networks(given: argparse.Namespace, reals: Mapping[str, torch.Tensor]) -> list[measures.Network]:
    """The networks of the measures, fitted once per folder."""
    kept = given.out / "networks.pt"
    if kept.exists():
        networks = [measures.Network(len(CLASSES)).to(given.device).eval() for _ in range(measures.NETWORKS)]
        for network, state in zip(networks, torch.load(kept, weights_only=True), strict=True):
            network.load_state_dict(state)
        return networks
    held = [reals[f"{name}_held"] for name in CLASSES]
    labels = torch.cat([torch.full((len(part),), k) for k, part in enumerate(held)])
    networks = measures.fit_networks(torch.cat(held), labels, given.device)
    partial = kept.with_suffix(f".{time.monotonic_ns()}")
    torch.save([{k: v.cpu() for k, v in network.state_dict().items()} for network in networks], partial)
    partial.replace(kept)
    return networks


def _grid(images: torch.Tensor, path: Path) -> None:
    from PIL import Image

    rows = [torch.cat(list(row), 2) for row in images.split(8)]
    Image.fromarray(torch.cat(rows, 1).permute(1, 2, 0).numpy()).save(path, quality=92)


def _read(out: Path) -> list[dict[str, Any]]:
    path = out / "results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(lines: list[dict[str, Any]]) -> str:
    """One row per side, precision and class: the mean over seeds, and the range."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for line in lines:
        groups.setdefault((line["class"], line["side"], line["precision"]), []).append(line)
    head = f"| class | side | precision | seeds | {' | '.join(MEASURES)} | s |"
    rows = [head, "|" + "---|" * (len(MEASURES) + 5)]
    for (name, side, precision), group in sorted(groups.items()):
        cells = []
        for measure in MEASURES:
            values = [line[measure] for line in group]
            cells.append(f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        seconds = statistics.mean(line["seconds"] for line in group)
        rows.append(f"| {name} | {side} | {precision} | {len(group)} | {' | '.join(cells)} | {seconds:.0f} |")
    return "\n".join(rows) + "\n"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("reals", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=1000, help="updates per class")
    parser.add_argument("--size", type=int, default=64, choices=[16, 32, 64], help="side of the images")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16"], choices=PRECISIONS)
    parser.add_argument("--sides", nargs="+", choices=list(SIDES))
    parser.add_argument("--jobs", type=int, default=1, help="fits at the same time")
    parser.add_argument("--threads", type=int, default=2, help="threads of each fit")
    parser.add_argument("--classes", nargs="+", default=list(CLASSES), choices=CLASSES)
    return parser.parse_args()


if __name__ == "__main__":
    main()
