"""Plans classifiers: trainings and evaluations, of cells and of what others are built on."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from derm_bench.fingerprint import UNREADABLE
from derm_bench.matrix.model import Cell, ClassifierEntry, Init, Matrix
from derm_bench.plan import costs
from derm_bench.plan.book import StageBook, transform_paths
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.keys import derive_seed
from derm_bench.plan.requires import PLAIN, Requirements, Setting, TrainingSet, needed_plugins
from derm_bench.specs import NEEDED, Budget, ClassifierUse
from derm_bench.yamlio import KeyPath


class ClassifierPlanner:
    """Enters the stages that train and evaluate classifiers."""

    def __init__(self, matrix: Matrix, book: StageBook, data: DataPlanner, requires: Requirements) -> None:
        self.matrix, self.book, self.data, self.requires = matrix, book, data, requires
        # (data set, split) of cells and of `init` that share no image which is held out.
        self._unseen: set[tuple[str, int, str, int]] = set()
        self._metrics = [
            use for use in matrix.metrics if book.plugins.get("metric", use.name).level == "predictions"
        ]

    def train(
        self, use: ClassifierEntry | ClassifierUse, setting: Setting, budget: Budget | None = None
    ) -> str:
        """The stage that trains a classifier in a setting."""
        cell, on = setting.cell, setting.on or PLAIN
        budget = budget or self.matrix.budget
        where = setting if setting.on is on else replace(setting, on=on)
        hashed, local = self.book.hashed(use.options)
        needs = self.requires.of("classifier", use, where)
        params = self.data.view(cell.dataset, cell.split_seed, cell.train_fraction) | {
            "classifier": use.name,
            "options": hashed,
            "augment": self.book.transforms(on.augment),
            "balance": on.balance,
            "replace_real": on.replace_real,
            "holdout": on.holdout,
            "val": on.val,
            "budget": self.book.told(budget),
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
        cell = setting.cell
        if label != cell.dataset:  # else its split is the cell's own, and what that holds out stays so
            split = init.dataset.split
            cell = replace(
                cell,
                dataset=label,
                train_fraction=1.0,
                split_seed=0 if split.method == "kfold" else split.seed,
            )
            self._refuse_seen(setting.cell, cell, at)
        first = use.model_copy(update={"init": None})
        where = Setting(cell, (*setting.at, "init"), TrainingSet(f"{label} for init"))
        return {"init": self.train(first, where, init.budget)}

    def _refuse_seen(self, cell: Cell, first: Cell, at: KeyPath) -> None:
        """UserError where the training `first` sees images that the cell is validated or tested on."""
        allowed = "duplicates_across_splits" in self.matrix.protocol.allow
        place = (cell.dataset, cell.split_seed, first.dataset, first.split_seed)
        if allowed or place in self._unseen:
            return
        held, seen = self._contents(cell, ("val", "test")), self._contents(first, ("train", "val"))
        shared = sorted(seen[content] for content in held.keys() & seen.keys())
        if shared:
            message = f"{len(shared)} of its images, {shared[0]} among them, are validation or test images"
            hint = "leave them out, or permit it: protocol: {name: paper, allow: [duplicates_across_splits]}"
            raise self.matrix.error(f"{message} of '{cell.dataset}' (split {cell.split_seed})", at, hint)
        self._unseen.add(place)

    def _contents(self, cell: Cell, parts: tuple[str, ...]) -> dict[str, str]:
        """The images of some parts of a cell's split: id by digest of the content."""
        decode = self.book.plan.stages[self.data.decode(cell.dataset)]
        lines = self.book.plan.data[decode.params["images"]].decode().split("\n")
        digests = {line.split("\t")[0]: line.split("\t")[3] for line in lines}
        split = self.data.split(cell.dataset, cell.split_seed)
        chosen = [name for name, part in zip(split.ids, split.parts, strict=True) if part in parts]
        return {digests[name]: name for name in chosen if digests[name] != UNREADABLE}

    @functools.cached_property
    def _told(self) -> list[dict[str, Any]]:
        """The metrics of predictions as stages are told of them."""
        return [self.book.metric(use.name, use.options) for use in self._metrics]

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
        params["metrics"] = self._told
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
