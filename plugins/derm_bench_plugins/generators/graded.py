"""Samples of a generator that knows no classes, sorted into classes: by a classifier trained on real images, or by a
person. Stage 3 of the hierarchy of paper 001 ("sort them into mild, moderate and severe"; how is not said).

By a classifier, `draws` samples are graded. A sample of class y is kept if y is its most probable class with a
probability of at least `confidence`. If these are fewer than `min_per_class`, the samples that no class has kept and
that are most probably of y fill up to it, if that is more probable than `least`. If there are still fewer, the fit
fails and names the class.

By hand, the first run writes the samples into a folder and waits; the names of the files in the folders of the classes
are the labels. Each file is one of the samples, by its number, so that what is kept has been drawn by the generator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.images import Samples
from derm_bench.specs import SampleRequest
from derm_bench.training.module_plugin import ModulePlugin
from derm_bench_plugins.generators.sorted_folder import SortedFolder

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Run
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.graded import GradedOptions

CHUNK = 128


class Graded(ModulePlugin):
    """Keeps of each class the images, uint8 [n,3,S,S], their numbers among the samples and their confidence (1 if
    sorted by hand), most confident first. Samples of a class are these in order, and again from the first."""

    def __init__(self, options: GradedOptions, task: Task) -> None:
        self.options, self.task = options, task
        self.kept: dict[str, torch.Tensor] = {}

    def fit(self, train: ImageSet, run: Run) -> None:
        """Draw and sort samples. Nothing is trained.

        Raises UserError if a class gets too few, and Waiting if a person has to sort.
        """
        drawn = torch.cat(list(self._drawn(run.seed)))
        if self.options.sorted is not None:
            chosen = SortedFolder(self.options.sorted, self.task.classes).places(drawn)
            grades = {name: (places, torch.ones(len(places))) for name, places in chosen.items()}
        else:
            grades = self._by_classifier(drawn)
        for k, name in enumerate(self.task.classes):
            places, confidence = grades[name]
            self._refuse_few(name, len(places), len(drawn))
            self.kept |= {f"images.{k}": drawn[places], f"places.{k}": places, f"confidence.{k}": confidence}
        run.log(1, **{f"kept_{k}": float(len(grades[name][0])) for k, name in enumerate(self.task.classes)})

    def _drawn(self, seed: int) -> Iterator[torch.Tensor]:
        """The samples to sort, in chunks uint8 [n,3,S,S]."""
        total = self.options.draws
        for start in range(0, total, CHUNK):
            n = min(CHUNK, total - start)
            request = SampleRequest(None, n, (seed + start // CHUNK) % 2**31, start, total)
            yield self.task.inputs["source"].sample(request).images

    def _by_classifier(self, images: torch.Tensor) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """The numbers of the samples to keep of each class, and their confidence, most confident first."""
        known = self.task.input_tasks["grader"].classes
        with torch.inference_mode():
            chunks = [
                self.task.logits("grader", chunk.to(self.task.device) / 255).softmax(1).cpu()
                for chunk in images.split(CHUNK)
            ]
        probabilities = torch.cat(chunks)[:, [known.index(name) for name in self.task.classes]]
        kept = sort_by_confidence(probabilities, torch.cat(chunks).max(1)[0], self.options)
        return {
            name: (places, probabilities[places, k])
            for k, (name, places) in enumerate(zip(self.task.classes, kept, strict=True))
        }

    def _refuse_few(self, name: str, kept: int, drawn: int) -> None:
        least = self.options.min_per_class
        if kept < least:
            raise UserError(
                f"{kept} of {drawn} samples were sorted into '{name}', fewer than min_per_class ({least})",
                hint="draw more samples (draws), or train the generator or the grader longer",
            )

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """Return the kept images from `request.start` on. Their number among the samples of the source and their
        confidence are attributes."""
        k = request.label or 0
        images = self.kept[f"images.{k}"]
        rows = torch.arange(request.start, request.start + request.n) % len(images)
        places, confidence = self.kept[f"places.{k}"][rows], self.kept[f"confidence.{k}"][rows]
        return Samples(
            images[rows], attributes={"number": places.tolist(), "confidence": confidence.tolist()}
        )

    def parts(self) -> dict[str, nn.Module]:
        return {}

    def state(self) -> dict[str, torch.Tensor]:
        return dict(self.kept)

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.kept = dict(state)


def sort_by_confidence(
    probabilities: torch.Tensor, highest: torch.Tensor, options: GradedOptions
) -> list[torch.Tensor]:
    """Return the rows to keep of each class, most confident first, each row once.

    probabilities: [N,K] of the classes to sort into; highest: [N], the largest probability of any class, others
    included.
    """
    order = probabilities.argsort(dim=0, descending=True, stable=True)
    best = (probabilities == highest[:, None]) & (probabilities >= options.confidence)
    kept = [rows[best[rows, k]][: options.keep] for k, rows in enumerate(order.T)]
    free = torch.ones(len(probabilities), dtype=torch.bool)
    free[torch.cat(kept)] = False
    for k, rows in enumerate(order.T):
        missing = options.min_per_class - len(kept[k])
        if missing > 0:
            filling = rows[free[rows] & (probabilities[rows, k] >= options.least)][:missing]
            free[filling] = False
            kept[k] = torch.cat([kept[k], filling])
    return kept
