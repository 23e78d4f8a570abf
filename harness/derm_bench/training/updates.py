"""Checks after a fit that it took its budget: every update from `run.batches`, and no training outside of it."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from derm_bench.errors import UserError
from derm_bench.training.stage_run import StageRun


class FitCheck:
    """A context manager around the call of `fit` of a plugin, which notices how the plugin trains.

    An update is a batch that `run.batches` yields. Steps of a `torch.optim.Optimizer` between two batches belong to the
    first of them. Steps before the first batch and after the end of `run.batches` are outside. As many of them as one
    update has are accepted, because a fit that looks one batch ahead trains on the last batch after the end.
    """

    def __init__(self, run: StageRun, plugin: Any) -> None:
        self.run, self.plugin = run, plugin
        self.steps, self.outside = 0, 0
        self._of_update, self._most = 0, 0
        self._step = 0
        self._optimizers: set[int] = set()
        self._before: dict[str, float] = {}
        self.changed = False

    def __enter__(self) -> FitCheck:
        self._before = _norms(self.plugin)
        self._hook = register_optimizer_step_post_hook(self._stepped)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hook.remove()
        if error is None and not self.run.updates:
            after = _norms(self.plugin)
            self.changed = any(after.get(name, value) != value for name, value in self._before.items())

    def _stepped(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self.steps += 1
        self._optimizers.add(id(optimizer))
        if not self.run.in_update:
            self.outside += 1
            return
        if self._step != self.run.updates:
            self._step, self._of_update = self.run.updates, 0
        self._of_update += 1
        self._most = max(self._most, self._of_update)

    def problem(self, name: str, trains: bool) -> UserError | None:
        """Return the error of a fit that did not take its budget, or None.

        name: the plugin. trains: whether its spec says that it trains.
        """
        taken, budget = self.run.updates, self.run.budget
        of_budget = f"{taken} of {budget} update{'s' if budget != 1 else ''}"
        if not trains:
            if not self.steps:
                return None
            return UserError(
                f"{name}: fit() took {self._counted()}, but the spec says trains=False",
                hint="remove trains=False, and train on the batches of run.batches(train)",
            )
        if not taken and (self.steps or self.changed):
            how = self._counted() if self.steps else "changed its parameters"
            return UserError(
                f"{name}: fit() trained outside of run.batches: it took {of_budget}, but {how}; its budget, "
                "augmentation and balance had no effect",
                hint="take every batch from run.batches(train); the harness counts each as an update",
            )
        if not taken:
            return UserError(
                f"{name}: fit() took {of_budget} and trained nothing",
                hint="loop over run.batches(train); if there is nothing to train, say trains=False in the spec",
            )
        if taken < budget and not self.run.stopped_early:
            return UserError(
                f"{name}: fit() took {of_budget}, and every arm must be trained equally long",
                hint="loop over run.batches(train) to its end; only the harness stops earlier (option `patience`)",
            )
        if self.outside > max(self._most, len(self._optimizers)):
            return UserError(
                f"{name}: fit() took {self.outside} optimizer steps outside of run.batches, beyond its budget of "
                f"{budget} update{'s' if budget != 1 else ''}",
                hint="step on each batch before the next one is taken; for another phase, give the phase before it an "
                "end: run.batches(train, until=...)",
            )
        return None

    def require(self, name: str, trains: bool) -> None:
        """Raise the `problem`, if there is one, and remove the checkpoint, which would lead to the same."""
        found = self.problem(name, trains)
        if found is not None:
            self.run.finished()
            raise found

    def _counted(self) -> str:
        return f"{self.steps} optimizer step{'s' if self.steps != 1 else ''}"


def _norms(plugin: Any) -> dict[str, float]:
    """The norm of each parameter of the plugin's parts, by name; empty for a plugin that makes its parts in `fit`."""
    try:
        parts = plugin.parts()
        named = {
            f"{part}.{name}": parameter.detach()
            for part, module in parts.items()
            for name, parameter in module.named_parameters()
            if parameter.numel()
        }
        return {name: float(value.double().norm()) for name, value in named.items()}
    except Exception:
        return {}
