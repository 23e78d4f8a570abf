"""Plans classifiers: trainings and evaluations, of cells and of what others are built on."""

from __future__ import annotations

from dataclasses import replace

from derm_bench.matrix.model import Cell, ClassifierEntry, Init, Matrix
from derm_bench.plan import costs
from derm_bench.plan.book import StageBook, transform_paths, transforms
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.keys import derive_seed
from derm_bench.plan.requires import NEEDED, PLAIN, Requirements, Setting, TrainingSet, needed_plugins
from derm_bench.specs import Budget, ClassifierUse
from derm_bench.yamlio import KeyPath


class ClassifierPlanner:
    """Enters the stages that train and evaluate classifiers."""

    def __init__(self, matrix: Matrix, book: StageBook, data: DataPlanner, requires: Requirements) -> None:
        self.matrix, self.book, self.data, self.requires = matrix, book, data, requires
        self._metrics = [
            use for use in matrix.metrics if book.plugins.get("metric", use.name).level == "predictions"
        ]

    def train(
        self, use: ClassifierEntry | ClassifierUse, setting: Setting, budget: Budget | None = None
    ) -> str:
        """The stage that trains a classifier in a setting."""
        cell, on = setting.cell, setting.on or PLAIN
        budget = budget or self.matrix.budget
        hashed, local = self.book.hashed(use.options)
        needs = self.requires.of("classifier", use, replace(setting, on=on))
        params = self.data.view(cell.dataset, cell.split_seed, cell.train_fraction) | {
            "classifier": use.name,
            "options": hashed,
            "augment": transforms(on.augment),
            "balance": on.balance,
            "replace_real": on.replace_real,
            "holdout": on.holdout,
            "val": on.val,
            "budget": budget.model_dump(exclude_none=True),
            "primary": self.matrix.analysis.primary,
            "seed": derive_seed("train", cell.classifier_seed),
        }
        if on.reads != "train":
            params["reads"] = on.reads
        return self.book.enter(
            "train",
            "derm_bench.stages.train:train",
            f"train {use.label or use.name} on {on.title} seed {cell.classifier_seed}",
            params | self.book.depends_on("classifier", use.name, use.options) | needs.params,
            {"decode": self.data.decode(cell.dataset)}
            | {f"synthetic/{name}": key for name, key in on.samples.items()}
            | needs.inputs
            | self._init(use, setting),
            [
                ("classifier", use.name),
                *needs.plugins,
                *(("transform", transform.name) for transform in on.augment),
            ],
            local={"paths": local, "transforms": transform_paths(on.augment), **needs.local},
            cost=costs.train(budget, use.options, self.data.images(cell)),
        )

    def _init(self, use: ClassifierEntry | ClassifierUse, setting: Setting) -> dict[str, str]:
        """The training on real images of another data set whose network starts this one."""
        init: Init | None = use.init
        if init is None:
            return {}
        like = self.data.entries[setting.cell.dataset]
        at: KeyPath = (*setting.at, "init", "dataset")
        label = self.data.other(init.dataset, like, at)
        split = init.dataset.split
        cell = replace(
            setting.cell,
            dataset=label,
            train_fraction=1.0,
            split_seed=0 if split.method == "kfold" else split.seed,
        )
        first = use.model_copy(update={"init": None})
        where = Setting(cell, (*setting.at, "init"), TrainingSet(f"{label} for init"))
        return {"init": self.train(first, where, init.budget)}

    def evaluate(self, cell: Cell, classifier: ClassifierEntry, train: str) -> str:
        """The stage that predicts val and test and scores the predictions."""
        trained = self.book.plan.stages[train]
        inherited = (
            "classifier",
            "options",
            "split",
            "classes",
            "size",
            "fraction",
            "clean",
            "select_on_test",
        )
        params = {name: trained.params[name] for name in inherited}
        params |= {name: trained.params[name] for name in ("requires",) if name in trained.params}
        params["metrics"] = [self.book.metric(use.name, use.options) for use in self._metrics]
        needed = {name: key for name, key in trained.inputs.items() if name.startswith(NEEDED)}
        return self.book.enter(
            "evaluate",
            "derm_bench.stages.evaluate:evaluate",
            f"evaluate {cell.classifier} on {cell.strategy} seed {cell.classifier_seed}",
            params,
            {"train": train, "decode": trained.inputs["decode"]} | needed,
            [
                *needed_plugins(self.book.used[train]),
                *(("metric", use.name) for use in self._metrics),
            ],
            local=trained.local,
            cost=costs.EVALUATE,
        )
