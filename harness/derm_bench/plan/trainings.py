"""Plans the trainings of classifiers and their evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from derm_bench.matrix.model import Cell, ClassifierEntry, Matrix
from derm_bench.options import Budget, ClassifierUse, TransformUse
from derm_bench.plan import params as p
from derm_bench.plan.amounts import kept_of
from derm_bench.plan.book import Entry, StageBook
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.needs import Needs, needed_plugins
from derm_bench.plan.primary import PrimaryMetric
from derm_bench.plan.test_sets import TEST_PART, Tested
from derm_bench.seeds import derive_seed
from derm_bench.stage_names import SYNTHETIC


@dataclass(frozen=True)
class TrainingSet:
    """The data of a training: real images, images of sample stages, and augmentation. The default is real training
    images alone. `title` is its name in the titles of stages; without `needs_auxiliary`, auxiliary tasks that the data
    set lacks are left out."""

    title: str = "real images"
    augment: tuple[TransformUse, ...] = ()
    balance: Literal["oversample", "class-weights"] | None = None
    replace_real: bool = False
    holdout: float = 0.0
    val: str = "real"
    samples: Mapping[str, str] = field(default_factory=dict)
    reads: str = "train"
    needs_auxiliary: bool = True


PLAIN = TrainingSet()

# The parameters of a training that its evaluation uses as well.
INHERITED = (*p.names_of(p.View), "classifier", "options")


class Trainings:
    """Enters the stages that train and evaluate classifiers."""

    def __init__(self, matrix: Matrix, book: StageBook, data: DataPlanner) -> None:
        self.matrix, self.book, self.data = matrix, book, data
        self.primary = PrimaryMetric(matrix, book)
        self._needs: dict[str, Needs] = {}
        self._metrics = [
            use for use in matrix.metrics if book.plugins.get("metric", use.name).level == "predictions"
        ]
        self._metric_paths = [book.hashed(use.options).paths for use in self._metrics]
        self._scored_by = [book.metric(use.name, use.options) for use in self._metrics]

    def train(
        self,
        use: ClassifierEntry | ClassifierUse,
        cell: Cell,
        on: TrainingSet,
        needs: Needs,
        init: str | None = None,
        budget: Budget | None = None,
        auxiliary: Mapping[str, Any] | None = None,
    ) -> str:
        """The stage that trains a classifier on a training set; `init` is the training that initialises its network,
        `auxiliary` are the auxiliary tasks."""
        hashed, local, _ = self.book.hashed(use.options)
        budget = budget or self.matrix.budget
        primary = self.primary.among(self.data.split(cell.dataset, cell.split_seed).classes)
        params = p.Train(
            **self.data.viewed(cell),
            classifier=use.name,
            options=hashed,
            augment=self.book.transforms(on.augment),
            balance=on.balance,
            replace_real=on.replace_real,
            holdout=on.holdout,
            val=on.val,
            updates=budget.in_updates(max(1, self._images(cell, on)), use.options.batch_size),
            primary=primary.params,
            seed=derive_seed("train", cell.classifier_seed),
            reads=on.reads,
            auxiliary=dict(auxiliary or {}),
            requires=needs.params,
            depends_on=self.book.depends_on("classifier", use.name, use.options),
        )
        entry = Entry(
            inputs={"decode": self.data.decode(cell.dataset)}
            | {f"{SYNTHETIC}{name}": key for name, key in on.samples.items()}
            | self.data.derived(cell.dataset, "classifier", use, on.samples)
            | needs.inputs
            | ({"init": init} if init else {}),
            plugins=[
                ("classifier", use.name),
                *needs.plugins,
                *(("transform", transform.name) for transform in on.augment),
                *primary.plugins,
            ],
            words={
                "label": use.label or use.name,
                "strategy": on.title,
                "seed_number": cell.classifier_seed,
            },
            local={
                "paths": local,
                "transforms": self.book.transform_paths(on.augment),
                "primary": primary.local,
                **needs.local,
            },
            code=primary.code,
        )
        key = self.book.enter("train", params, entry)
        self._needs[key] = needs.lasting()
        return key

    def _images(self, cell: Cell, on: TrainingSet) -> int:
        """The planned number of real and synthetic images of a training."""
        split = self.data.split(cell.dataset, cell.split_seed)
        counts = self.data.counts(cell) if on.reads == "train" else split.counts(on.reads)
        real = 0 if on.replace_real else sum(counts.values())
        return real + kept_of(
            [self.book.plan.stages[key].params.n for key in on.samples.values()], on.holdout
        )

    def evaluate(self, cell: Cell, train: str, tested: Tested = TEST_PART) -> str:
        """The stage that predicts the classes of validation and test images and scores the predictions."""
        trained, needs = self.book.plan.stages[train], self._needs[train]
        inherited = {name: getattr(trained.params, name) for name in INHERITED}
        params = p.Evaluate(**inherited, requires=needs.params, metrics=self._scored_by, test=tested.params)
        entry = Entry(
            inputs={"train": train, "decode": trained.inputs["decode"], **needs.inputs, **tested.inputs},
            plugins=[
                ("classifier", trained.params.classifier),
                *needed_plugins(needs.plugins),
                *(("metric", use.name) for use in self._metrics),
            ],
            words={
                "label": cell.classifier,
                "strategy": cell.strategy,
                "seed_number": cell.classifier_seed,
                "on": tested.title,
            },
            local={
                "paths": trained.local.get("paths", {}),
                "metrics": self._metric_paths,
                **needs.local,
            },
        )
        return self.book.enter("evaluate", params, entry)
