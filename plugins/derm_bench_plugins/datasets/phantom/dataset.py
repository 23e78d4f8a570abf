"""phantom-dermoscopy: procedural dermoscopy with several views per lesion. It needs no download."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from derm_bench.specs import DatasetDescription, RawImage
from derm_bench_plugins.datasets.phantom.lesions import draw_lesion
from derm_bench_plugins.datasets.phantom.render import render

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.phantom import PhantomOptions

ATTRIBUTES = ("tone", "site", "age", "sex")
# Most common first, as in a clinic.
BY_PREVALENCE = ("nv", "bkl", "mel", "bcc", "akiec", "vasc", "df")


@dataclass(frozen=True)
class View:
    """One image: the `view`-th of the `number`-th lesion of a diagnosis."""

    name: str
    group: str
    diagnosis: str
    number: int
    view: int


class PhantomDermoscopy:
    """Ids are `phantom_<lesion>_v<view>`, and groups are the lesions. Every image has a mask.

    An image depends only on its lesion, its view and the options, not on the images read before.
    """

    def __init__(self, options: PhantomOptions, task: Task) -> None:
        self.options = options
        self._views = {view.name: view for view in plan_views(options)}

    def describe(self, options: PhantomOptions) -> DatasetDescription:
        """Return the description. Attributes: tone (Fitzpatrick type 1 to 6), site, age (years), sex."""
        views = plan_views(options)
        bearers = {view.group: (view.diagnosis, view.number) for view in views}
        lesions = {group: draw_lesion(options, *which) for group, which in bearers.items()}
        return DatasetDescription(
            ids=[view.name for view in views],
            labels=[view.diagnosis for view in views],
            classes=options.classes,
            groups=[view.group for view in views],
            attributes={name: [getattr(lesions[view.group], name) for view in views] for name in ATTRIBUTES},
            masks=True,
            licence="CC0 1.0",
            citation="Rendered by derm-bench; no patient was photographed.",
        )

    def fingerprint(self, options: PhantomOptions) -> Mapping[str, str]:
        """Return a digest of options and id per image. The renderer's code is covered by its source digest."""
        made_of = json.dumps(options.model_dump(mode="json"), sort_keys=True)
        return {
            view.name: hashlib.sha256(f"{made_of} {view.name}".encode()).hexdigest()
            for view in plan_views(options)
        }

    def read(self, ids: Sequence[str]) -> Iterator[RawImage]:
        for name in ids:
            view = self._views[name]
            lesion = draw_lesion(self.options, view.diagnosis, view.number)
            yield RawImage(*render(lesion, view.view, self.options.domain, self.options.side))


def plan_views(options: PhantomOptions) -> list[View]:
    """Return the views of all lesions; they do not depend on difficulty and domain."""
    rng = np.random.default_rng([0, options.seed])
    drawn = []
    for diagnosis, images in _counts(options).items():
        number = 0
        while images > 0:
            # Two trials: 1 to 3 views, with the requested mean.
            views = min(images, 1 + int(rng.binomial(2, (options.views - 1) / 2)))
            drawn.append((diagnosis, number, views))
            images, number = images - views, number + 1
    # Names must not reveal the class.
    order = rng.permutation(len(drawn))
    prefix = _prefix(options)
    return [
        View(f"{prefix}_{place:06d}_v{view}", f"{prefix}_{place:06d}", diagnosis, number, view)
        for place, (diagnosis, number, views) in enumerate(drawn[i] for i in order)
        for view in range(1, views + 1)
    ]


def _prefix(options: PhantomOptions) -> str:
    """Return the prefix of ids. It depends on clinic and seed, so that such data sets can be combined."""
    clinic = "" if options.domain == "clinic-a" else "-b"
    return f"phantom{clinic}" + (f"-s{options.seed}" if options.seed else "")


def _counts(options: PhantomOptions) -> dict[str, int]:
    """Return the number of images of each class. They sum to `images`: at least one each, by largest remainder."""
    if isinstance(options.imbalance, dict):
        shares = [options.imbalance[name] for name in options.classes]
    else:
        rank = {name: i for i, name in enumerate(n for n in BY_PREVALENCE if n in options.classes)}
        last = len(options.classes) - 1
        shares = [options.imbalance ** -(rank[name] / last) for name in options.classes]
    spare = options.images - len(shares)
    exact = [spare * share / sum(shares) for share in shares]
    counts = [1 + int(value) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: (int(exact[i]) - exact[i], i))
    for i in by_remainder[: options.images - sum(counts)]:
        counts[i] += 1
    return dict(zip(options.classes, counts, strict=True))
