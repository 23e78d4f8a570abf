"""How many subjects and views a phantom has, and what they are called. Independent of how they look."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.specs.phantom import Phantom


@dataclass(frozen=True)
class View:
    """One image: the `view`-th of the `number`-th subject (a lesion, a person) of a class."""

    name: str
    group: str
    label: str
    number: int
    view: int


def plan_views(options: Phantom, name: str, by_prevalence: Sequence[str]) -> list[View]:
    """Return the views of all subjects, with ids `<name>_<subject>_v<view>`; they do not depend on difficulty and
    domain. `by_prevalence` are all classes, most common first."""
    rng = np.random.default_rng([0, options.seed])
    drawn = []
    for label, images in _counts(options, by_prevalence).items():
        number = 0
        while images > 0:
            # Two trials: 1 to 3 views, with the requested mean.
            views = min(images, 1 + int(rng.binomial(2, (options.views - 1) / 2)))
            drawn.append((label, number, views))
            images, number = images - views, number + 1
    # Names must not reveal the class.
    order = rng.permutation(len(drawn))
    prefix = _prefix(options, name)
    return [
        View(f"{prefix}_{place:06d}_v{view}", f"{prefix}_{place:06d}", label, number, view)
        for place, (label, number, views) in enumerate(drawn[i] for i in order)
        for view in range(1, views + 1)
    ]


def _prefix(options: Phantom, name: str) -> str:
    """Return the prefix of ids. It depends on clinic and seed, so that such data sets can be combined."""
    clinic = "" if options.domain == "clinic-a" else "-b"
    return f"{name}{clinic}" + (f"-s{options.seed}" if options.seed else "")


def _counts(options: Phantom, by_prevalence: Sequence[str]) -> dict[str, int]:
    """Return the number of images of each class. They sum to `images`: at least one each, by largest remainder."""
    if isinstance(options.imbalance, dict):
        shares = [options.imbalance[name] for name in options.classes]
    else:
        rank = {name: i for i, name in enumerate(n for n in by_prevalence if n in options.classes)}
        last = len(options.classes) - 1
        shares = [options.imbalance ** -(rank[name] / last) for name in options.classes]
    spare = options.images - len(shares)
    exact = [spare * share / sum(shares) for share in shares]
    counts = [1 + int(value) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: (int(exact[i]) - exact[i], i))
    for i in by_remainder[: options.images - sum(counts)]:
        counts[i] += 1
    return dict(zip(options.classes, counts, strict=True))


def digests(options: Phantom, views: Sequence[View]) -> dict[str, str]:
    """Return a digest of options and id per image."""
    made_of = json.dumps(options.model_dump(mode="json"), sort_keys=True)
    return {view.name: hashlib.sha256(f"{made_of} {view.name}".encode()).hexdigest() for view in views}
