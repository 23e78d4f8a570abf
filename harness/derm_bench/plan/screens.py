"""Plans the memorization screen: whether samples are nearer to training images than to held-out ones."""

from __future__ import annotations

from collections.abc import Mapping

from derm_bench.fidelity.screened import SAMPLES, too_few
from derm_bench.matrix.model import Cell, Matrix, StrategyEntry
from derm_bench.plan import params as p
from derm_bench.plan.amounts import ALL
from derm_bench.plan.book import Entry, StageBook
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.fits import Fits
from derm_bench.plan.model import PlannedFidelity
from derm_bench.plan.provenance import images_there
from derm_bench.plan.scores import CONTROLS, Measured, Scores

TRAIN, RESERVE, FITTED_ON_ALL = "train", "reserve", "all"


class Screens:
    """Enters the stages of the screen, one per fit and class, and those of the controls."""

    def __init__(
        self, matrix: Matrix, book: StageBook, data: DataPlanner, fits: Fits, scores: Scores
    ) -> None:
        self.book, self.data, self.fits, self.scores = book, data, fits, scores
        self.plan = book.plan
        specs = [(use, book.plugins.get("metric", use.name)) for use in matrix.metrics]
        self._measured = Measured.of(book, [use for use, spec in specs if spec.screen])
        self._sheets: dict[str, dict[str, None]] = {}  # fit -> its stages
        self._few: dict[str, dict[str, None]] = {}  # what is not screened, and why -> names
        self._controls: dict[tuple[str, int], dict[str, None]] = {}  # (data set, split seed) -> classes

    def add(self, cell: Cell, strategy: StrategyEntry, fits: Mapping[str, str]) -> None:
        """Adds the screen of each class of a generator, at the end of its fit. A class with too few images has a
        warning instead."""
        use = strategy.generator
        assert use is not None
        if not self._measured.uses:
            return
        there = images_there(self.book.plugins, use, self.data.split(cell.dataset, cell.split_seed))
        for name, fit in fits.items():
            n = int(min(max(SAMPLES, self.scores.wanted(cell.dataset, cell.split_seed, name)), there[name]))
            fitted_on = str(self.plan.stages[fit].params.reads)
            why = self._why_not(cell, name, fitted_on, n)
            if why:
                self._few.setdefault(f"{cell.dataset} [{name}]: {why}", {})[strategy.name] = None
                continue
            sample = self.fits.sample(cell, use, fit, name, n, None)
            view = self.data.view(cell.dataset, cell.split_seed, cell.train_fraction)
            part = RESERVE if fitted_on == RESERVE else TRAIN
            key = self._enter(cell.dataset, cell.split_seed, name, view, sample, part)
            self._sheets.setdefault(fit, {})[key] = None
            place = (cell.dataset, cell.train_fraction, strategy.name, use.name, cell.split_seed)
            self.plan.fidelity.append(PlannedFidelity(*place, cell.generator_seed, name, None, key))
            self._controls.setdefault((cell.dataset, cell.split_seed), {})[name] = None

    def add_controls(self) -> None:
        """Adds the screen of held-out real images and of noise in place of samples, for every class that is
        screened; and the warnings about those that are not."""
        for (label, seed), names in self._controls.items():
            for name in names:
                for control in CONTROLS:
                    view = self.data.view(label, seed, 1.0)
                    key = self._enter(label, seed, name, view, control, TRAIN)
                    row = PlannedFidelity(label, 1.0, "control", control, seed, None, name, None, key)
                    self.plan.fidelity.append(row)
        for why, of in self._few.items():
            said = f"{why}, so that samples of {', '.join(of)} are not screened for copies"
            self.plan.warnings += [said] if said not in self.plan.warnings else []

    def add_sheets(self) -> None:
        """Adds the sheets of suspicious samples to the pictures of each fit."""
        for fit, keys in self._sheets.items():
            self.plan.pictures[fit] = [*self.plan.pictures.get(fit, ()), *keys]

    def _why_not(self, cell: Cell, name: str, fitted_on: str, n: int) -> str:
        """Why a class of a generator is not screened; an empty text if it is."""
        if fitted_on == FITTED_ON_ALL:
            return "the generator was fitted on the held-out images as well"
        split, classes = self.data.split(cell.dataset, cell.split_seed), None if name == ALL else [name]
        part = RESERVE if fitted_on == RESERVE else TRAIN
        fraction = cell.train_fraction if part == TRAIN else 1.0
        sides = (
            [split.groups[i] for i in split.indices(part, fraction=fraction, classes=classes)],
            [
                split.groups[i]
                for other in held_out_parts(part, split.select_on_test)
                for i in split.indices(other, classes=classes)
            ],
        )
        return too_few(*sides, n)

    def _enter(self, label: str, split_seed: int, name: str, view: p.View, source: str, part: str) -> str:
        """The stage that screens the images of `source`, a sample stage or a control."""
        control = source if source in CONTROLS else None
        what = control or self.plan.stages[source].title
        inputs = {"decode": self.data.decode(label)} | ({} if control else {"sample": source})
        if self._measured.uses_reference:
            inputs["reference"] = self.scores.reference(label, split_seed)
        params = p.Memorization(
            **p.as_dict(view),
            of_class=name,
            fitted_on=part,
            held_out=held_out_parts(part, view.select_on_test),
            metrics=self._measured.params,
            control=control,
            title=what.removeprefix("sample "),
            licence=self.data.licences[label],
        )
        entry = Entry(
            inputs=inputs,
            plugins=[("metric", use.name) for use in self._measured.uses],
            words={"what": what},
            local={"metrics": [self.book.hashed(use.options).paths for use in self._measured.uses]},
        )
        return self.book.enter("memorization", params, entry)


def held_out_parts(fitted_on: str, select_on_test: bool) -> tuple[str, ...]:
    """The parts of a split that a generator was not fitted on and that may be compared with: validation and reserve."""
    return tuple(part for part in ("test" if select_on_test else "val", RESERVE) if part != fitted_on)
