"""Plans the filters of synthetic images: more samples than the quota, and the stage that keeps the best of them."""

from __future__ import annotations

from dataclasses import replace

from derm_bench.matrix.model import Cell, Matrix, StrategyEntry
from derm_bench.plan import params as p
from derm_bench.plan.book import Entry, StageBook
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.fits import Fits
from derm_bench.plan.needs import Need, Needs, below, needed_plugins
from derm_bench.plan.networks import Networks, Setting
from derm_bench.plan.provenance import images_there
from derm_bench.plan.quota import WINDOW, drawn_for, kept_of_window
from derm_bench.stage_names import CHOSEN, NEEDED, SAMPLES
from derm_bench.yamlio import KeyPath

GRADER = "grader"


class Filters:
    """Enters the stages that grade samples and keep the best."""

    def __init__(
        self, matrix: Matrix, book: StageBook, data: DataPlanner, fits: Fits, networks: Networks
    ) -> None:
        self.matrix, self.book, self.data, self.fits, self.networks = matrix, book, data, fits, networks

    def sample(
        self,
        cell: Cell,
        strategy: StrategyEntry,
        place: int,
        fit: str,
        label: str,
        n: int,
        chosen: str | None = None,
    ) -> str:
        """The stage with `n` images of class `label` from a fit: a sample, or the best of a larger one if the strategy
        (at `place` in the matrix) has a filter. `chosen` is the stage that chooses the snapshot, if one does."""
        use, synthetic = strategy.generator, strategy.synthetic
        assert use is not None and synthetic is not None
        stated, snapshot = synthetic.filter, synthetic.snapshot
        step = snapshot if isinstance(snapshot, int) else None
        if stated is None:
            return self.fits.sample(cell, use, fit, label, n, step, chosen)
        at: KeyPath = ("strategies", place, "synthetic", "filter")
        there = images_there(self.book.plugins, use, self.data.split(cell.dataset, cell.split_seed))[label]
        drawn = drawn_for(n, stated.keep, there)
        if drawn is None:
            message = (
                f"{use.label} has {there:.0f} images of '{label}': {stated.keep:g} of them are fewer than {n}"
            )
            raise self.matrix.error(message, (*at, "keep"), "keep a larger share, or request fewer images")
        sample = self.fits.sample(cell, use, fit, label, drawn, step, chosen)
        needs = Needs((self._grader(cell, strategy, fit, at),))
        params = p.Filter(
            classes=self.data.split(cell.dataset, cell.split_seed).classes,
            size=self.data.entries[cell.dataset].size,
            label=label,
            n=n,
            window=WINDOW,
            kept=kept_of_window(stated.keep),
            grade=stated.by,
            snapshot=step if stated.by == "discriminator" else None,
            requires=needs.params,
        )
        words = {
            "generator": use.name,
            "at": " at the best snapshot" if chosen else "" if step is None else f" at {step}",
            "seed_number": cell.generator_seed,
        }
        of_state = {CHOSEN: chosen} if chosen and stated.by == "discriminator" else {}
        entry = Entry({SAMPLES: sample, **needs.inputs, **of_state}, needs.plugins, words, needs.local)
        return self.book.enter("filter", params, entry)

    def _grader(self, cell: Cell, strategy: StrategyEntry, fit: str, at: KeyPath) -> Need:
        """The generator itself, or a classifier that is trained on the real training images under its seed."""
        assert strategy.synthetic is not None and strategy.synthetic.filter is not None
        kind, key, classifier = "generator", fit, strategy.synthetic.filter.classifier
        if classifier is not None:
            assert cell.generator_seed is not None
            seeded = replace(cell, classifier=strategy.name, classifier_seed=cell.generator_seed)
            kind = "classifier"
            key = self.networks.train(classifier, Setting(seeded, (*at, "classifier")))
        stage = self.book.plan.stages[key]
        restored = {name: other for name, other in stage.inputs.items() if name.startswith(NEEDED)}
        inputs = {f"{NEEDED}{GRADER}": key, **below(GRADER, restored)}
        return Need(GRADER, kind, None, "always", inputs, needed_plugins(self.book.used[key]), stage.local)
