"""Plans the scores of generators, for each class at the end of the fit and at each snapshot, and of the controls."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from derm_bench.fidelity.halves import ENOUGH, MAX_IMAGES, Compared, compared_with, split_halves
from derm_bench.matrix.model import Cell, Matrix, MetricUse, StrategyEntry
from derm_bench.plan import params as p
from derm_bench.plan.amounts import ALL
from derm_bench.plan.book import Entry, StageBook
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.fits import Fits
from derm_bench.plan.keys import PROTOCOL_VERSION
from derm_bench.plan.model import PlannedFidelity
from derm_bench.plan.provenance import images_there
from derm_bench.stage_names import SAMPLE, SCORE

CONTROLS = ("real-holdout", "noise")

CHOOSES = "mmd_domain"
"""The metric by which `snapshot: best_fd` chooses."""


class Measured(NamedTuple):
    """Image metrics, as parameters of a stage, whether one of them needs the reference network, and the import paths of
    the extractors that their options choose."""

    uses: Sequence[MetricUse]
    params: Sequence[Mapping[str, Any]]
    uses_reference: bool
    extractors: tuple[str, ...]

    @classmethod
    def of(cls, book: StageBook, uses: Sequence[MetricUse]) -> Measured:
        specs = [(book.plugins.get("metric", use.name), use) for use in uses]
        domain = any(spec.extractor == "domain" for spec, _ in specs)
        chosen = dict.fromkeys(spec.extractor_of(use.options) for spec, use in specs if spec.extractors)
        params = [
            book.metric(use.name, use.options) | ({} if use.label in ("", use.name) else {"label": use.label})
            for use in uses
        ]
        return cls(uses, params, domain, tuple(chosen))


class Scores:
    """Enters the stages that compare samples with real images."""

    def __init__(self, matrix: Matrix, book: StageBook, data: DataPlanner, fits: Fits) -> None:
        self.book, self.data, self.fits = book, data, fits
        self.plan = book.plan
        # fit -> (class, update or None) -> the sample that is scored and drawn
        self.samples: dict[str, dict[tuple[str, int | None], str]] = {}
        self._sides: dict[tuple[str, int, str], tuple[Compared, int]] = {}
        specs = [(use, book.plugins.get("metric", use.name)) for use in matrix.metrics]
        self.metrics = [use for use, spec in specs if spec.level == "images" and not spec.screen]
        self._measured = Measured.of(book, self.metrics)
        self.uses_reference = self._measured.uses_reference

    def add(self, cell: Cell, strategy: StrategyEntry, fits: Mapping[str, str]) -> None:
        """Adds the samples and scores of each class of a generator, at the end of the fit and at each snapshot. A class
        with too few images is drawn but not scored."""
        use = strategy.generator
        assert use is not None
        there = images_there(self.book.plugins, use, self.data.split(cell.dataset, cell.split_seed))
        for name, fit in fits.items():
            _, wanted = self._side(cell.dataset, cell.split_seed, name)
            n = int(min(wanted, there[name]))
            if n < wanted and self.metrics:
                few = f"{strategy.name}: {n} images of '{name}' are too few to be scored, {wanted} are needed"
                self.plan.warnings += [few] if few not in self.plan.warnings else []
            if not n:
                continue
            for step in (*self.fits.snapshots[fit], None):
                sample = self.fits.sample(cell, use, fit, name, n, step)
                self.samples.setdefault(fit, {})[name, step] = sample
                if self.metrics and n == wanted:
                    key = self._compare(cell.dataset, cell.split_seed, name, sample)
                    self.plan.fidelity.append(
                        PlannedFidelity(
                            cell.dataset,
                            cell.train_fraction,
                            strategy.name,
                            use.name,
                            cell.split_seed,
                            cell.generator_seed,
                            name,
                            step,
                            key,
                        )
                    )

    def choice(self, cell: Cell, strategy: StrategyEntry, fit: str, names: Sequence[str]) -> str:
        """The stage that chooses the snapshot of a fit whose samples of the classes `names` have the lowest distance
        `mmd_domain` to validation images, or to half of train where val has few. The distance is measured whatever the
        metrics of the matrix are, so that another metric chooses no other snapshot."""
        use = strategy.generator
        assert use is not None
        spec = self.book.plugins.get("metric", CHOOSES)
        by = Measured.of(self.book, [MetricUse(name=CHOOSES, options=spec.options())])
        steps = (*self.fits.snapshots[fit], None)
        inputs = {}
        for name, step in itertools.product(names, steps):
            _, n = self._side(cell.dataset, cell.split_seed, name)
            sample = self.fits.sample(cell, use, fit, name, n, step)
            place = f"{SCORE}{'last' if step is None else step}/{name}"
            inputs[place] = self._compare(cell.dataset, cell.split_seed, name, sample, by)
        params = p.Choose(
            metric=CHOOSES, higher_is_better=spec.higher_is_better, steps=steps, classes=tuple(names)
        )
        what = self.plan.stages[fit].title.removeprefix("fit ")
        return self.book.enter("choose", params, Entry(inputs=inputs, words={"what": what}))

    def add_controls(self) -> None:
        """Adds the controls for every split with a scored generator: held-out real images, and noise. Warns of classes
        that are compared with images of training."""
        if not self.metrics:
            return
        for label, seed in dict.fromkeys((row.dataset, row.split_seed) for row in self.plan.fidelity):
            names = list(self.data.split(label, seed).classes)
            if any(row.class_name == ALL and row.dataset == label for row in self.plan.fidelity):
                names.append(ALL)
            seen: list[str] = []
            for name in names:
                if self._side(label, seed, name)[0] == "half":
                    seen.append(name)
                for control in CONTROLS:
                    key = self._compare(label, seed, name, control)
                    self.plan.fidelity.append(
                        PlannedFidelity(label, 1.0, "control", control, seed, None, name, None, key)
                    )
            self._warn_of_copies(label, seen)

    def _warn_of_copies(self, label: str, seen: Sequence[str]) -> None:
        if not seen:
            return
        few = (
            f"{label}: samples of {', '.join(seen)} are compared with images of train, as val has fewer than {ENOUGH}: "
            f"copies of training images get the best values"
        )
        self.plan.warnings += [few] if few not in self.plan.warnings else []

    def reference(self, label: str, split_seed: int) -> str:
        """The fit of the reference networks of `_domain` metrics: one per split, on all of train for every fraction."""
        params = p.Reference(**p.as_dict(self.data.view(label, split_seed, 1.0)), reference=PROTOCOL_VERSION)
        entry = Entry(inputs={"decode": self.data.decode(label)}, words={"label": label})
        return self.book.enter("reference", params, entry)

    def wanted(self, label: str, split_seed: int, name: str) -> int:
        """The number of samples of a class that are scored."""
        return self._side(label, split_seed, name)[1]

    def _side(self, label: str, split_seed: int, name: str) -> tuple[Compared, int]:
        """The real images that samples of a class are compared with, and the number of images on each side."""
        place = (label, split_seed, name)
        if place not in self._sides:
            split, classes = self.data.split(label, split_seed), None if name == ALL else [name]
            n_val = 0 if split.select_on_test else len(split.indices("val", classes=classes))
            where = split.indices("train", classes=classes)
            side = compared_with(min(n_val, len(where)))
            if side == "half":
                half, _ = split_halves([split.ids[i] for i in where], [split.groups[i] for i in where])
            n = min(n_val, len(where)) if side == "val" else len(half)
            self._sides[place] = side, max(2, min(n, MAX_IMAGES))
        return self._sides[place]

    def _compare(
        self, label: str, split_seed: int, name: str, source: str, by: Measured | None = None
    ) -> str:
        """The stage that compares the images of `source`, a sample stage or a control, with real images of a class, by
        the metrics of the matrix or those of `by`."""
        control = source if source in CONTROLS else None
        what = control or self.plan.stages[source].title
        inputs, words = {} if control else {"sample": source}, {"label": label, "what": what}
        real = self._measure("real-features", p.RealFeatures, (label, split_seed, name), by, {}, words, {})
        more = {"control": control}
        given = {"real": real} | inputs
        return self._measure("fidelity", p.Fidelity, (label, split_seed, name), by, given, words, more)

    def _measure(
        self,
        kind: str,
        record: type[Any],
        of: tuple[str, int, str],
        by: Measured | None,
        inputs: Mapping[str, str],
        words: Mapping[str, Any],
        more: Mapping[str, Any],
    ) -> str:
        """A stage that applies image metrics, or their extractors, to the class of a split, `of` (data set, seed,
        class)."""
        (label, split_seed, name), by = of, by or self._measured
        given = {"decode": self.data.decode(label)} | dict(inputs)
        if by.uses_reference:
            given["reference"] = self.reference(label, split_seed)
        view = p.as_dict(self.data.view(label, split_seed, 1.0))
        side, _ = self._side(label, split_seed, name)
        params = record(**view, of_class=name, compared=side, metrics=by.params, **more)
        entry = Entry(
            inputs=given,
            plugins=[("metric", use.name) for use in by.uses],
            words=words,
            local={"metrics": [self.book.hashed(use.options).paths for use in by.uses]},
            code=by.extractors,
        )
        return self.book.enter(kind, params, entry)


def drawn_as(name: str, step: int | None) -> str:
    """The name of the input with the samples of a class at update `step` (None: the end of the fit)."""
    return f"{SAMPLE}{'last' if step is None else step}/{name}"
