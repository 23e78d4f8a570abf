"""Plans the pictures of a run: samples of generators, their nearest real neighbours, interpolations between samples,
and images after each step of preprocessing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from derm_bench.plan import params as p
from derm_bench.plan.book import Entry, StageBook
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.fits import Fits
from derm_bench.plan.model import PlannedFit
from derm_bench.plan.scores import Scores, drawn_as
from derm_bench.seeds import derive_seed
from derm_bench.stage_names import DATA, FITTED_ON, SAMPLE

SHOWN = 4  # number of images per class in pictures of preprocessing


class Pictures:
    """Enters the stages that draw pictures."""

    def __init__(self, book: StageBook, data: DataPlanner, fits: Fits, scores: Scores) -> None:
        self.book, self.data, self.fits, self.scores = book, data, fits, scores
        self.plan = book.plan

    def add(self) -> None:
        """Adds all pictures of the plan's fits and data sets."""
        runs = {planned.key: planned for planned in reversed(self.plan.fits)}
        for fit, samples in self.scores.samples.items():
            self.plan.pictures[fit] = self._of_fit(runs[fit], samples)
        self._add_preprocessing()

    def _of_fit(self, run: PlannedFit, samples: Mapping[tuple[str, int | None], str]) -> list[str]:
        """The stages that draw the samples of a fit: labelled grids for each snapshot and of the samples that networks
        below it were fitted on, samples with their nearest real neighbours, and, for generators that sample from noise,
        interpolations between samples."""
        last = {name: key for (name, step), key in samples.items() if step is None}
        title = self.plan.stages[run.key].title.removeprefix("fit ")
        inputs = {drawn_as(name, step): key for (name, step), key in samples.items()}
        inputs |= {f"{SAMPLE}{FITTED_ON}/{name}": key for name, key in self._fitted_on(run.key).items()}
        found = [
            self.book.enter("grids", p.Grids(title=title), Entry(inputs=inputs)),
            self._neighbours(run, title, last),
        ]
        spec = self.book.plugins.get("generator", run.generator)
        if spec.conditions_on == "none" and not spec.finite and not spec.commands:
            seed = derive_seed("interpolate", run.generator_seed)
            more = {"title": title, "labels": tuple(last), "seed": seed}
            found.append(self.fits.from_fit("interpolation", p.Interpolation, run.key, more, {}))
        return found

    def _fitted_on(self, fit: str) -> dict[str, str]:
        """The stages, by class, that draw the samples that a fit, or one that it is made of, was fitted on."""
        inputs = [self.plan.stages[key].inputs for key in (*self.plan.upstream(fit), fit)]
        return {
            name.removeprefix(DATA): key
            for each in inputs
            for name, key in each.items()
            if name.startswith(DATA)
        }

    def _neighbours(self, run: PlannedFit, title: str, samples: Mapping[str, str]) -> str:
        """The stage that draws the nearest real neighbours of a fit's `samples`: in features of the reference network
        if a metric of the matrix uses it, otherwise in pixels."""
        view = self.data.view(run.dataset, run.split_seed, run.train_fraction)
        inputs = {"decode": self.data.decode(run.dataset)}
        if self.scores.uses_reference:
            inputs["reference"] = self.scores.reference(run.dataset, run.split_seed)
            whole = self.data.view(run.dataset, run.split_seed, 1.0)
            entry = Entry(inputs=dict(inputs), words={"label": run.dataset})
            inputs["features"] = self.book.enter(
                "training-features", p.TrainingFeatures(**p.as_dict(whole)), entry
            )
        params = p.Neighbours(
            **p.as_dict(view),
            title=title,
            fit_classes=self.plan.stages[run.key].params.fit_classes,
            licence=self.data.licences[run.dataset],
        )
        drawn = {f"{SAMPLE}{name}": key for name, key in samples.items()}
        return self.book.enter("neighbours", params, Entry(inputs=inputs | drawn))

    def _add_preprocessing(self) -> None:
        """Adds one stage per preprocessed data set of the matrix, which draws a few training images of each class after
        each step."""
        for label, seed in self.plan.cell_splits():
            if not self.data.entries[label].preprocess or label in self.plan.sheets:
                continue
            split, digests = self.data.split(label, seed), self.data.fingerprints[label]
            shown = {
                name: [
                    (split.ids[i], digests[split.ids[i]])
                    for i in _evenly(split.indices("train", classes=[name]))
                ]
                for name in split.classes
            }
            params = p.Preprocessing(
                **self.data.reading(label), shown=shown, title=label, licence=self.data.licences[label]
            )
            self.plan.sheets[label] = self.book.enter("preprocessing", params, self.data.reader(label))


def _evenly(places: Sequence[int]) -> list[int]:
    """At most `SHOWN` of the places, at even distances."""
    n = min(SHOWN, len(places))
    return [places[k * len(places) // n] for k in range(n)]
