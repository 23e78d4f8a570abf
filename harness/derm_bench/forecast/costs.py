"""The cost of one unit of a stage's work, by network, size of images and batch, to compare different stages."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Protocol

from derm_bench.errors import UserError
from derm_bench.lazy import load_object
from derm_bench.plan.kinds import BATCH_SIZE, EVALUATE, KINDS, StageKind

UPDATE_SECONDS = 0.01
"""What an update takes besides its multiply-adds: the loop, the optimizer, reading a batch."""
START_SECONDS = 3.0
"""What a training takes before its first update, if nothing is known of it."""
PASSES = 3
"""A training step takes about three times as long as a forward pass: forward, and backward for both factors."""
PER_SECOND = {"cpu": 5e10, "cuda": 5e12}
"""Multiply-adds per second that training reaches, roughly: on a GPU, and on two cores."""


class Specs(Protocol):
    """Looks up the spec of a plugin; `Plugins` does."""

    def get(self, kind: str, name: str) -> Any: ...


class Costs:
    """Multiply-adds of stages, as far as their plugins state them. `slowdown` is how many times as long as on two idle
    cores guessed stages on the processor will take."""

    def __init__(self, plugins: Specs | None = None, slowdown: float = 1.0) -> None:
        self._plugins, self.slowdown = plugins, slowdown

    def per_unit(self, identity: Mapping[str, Any]) -> float | None:
        """The cost of one unit of work of a stage: of an update, or of an image. In multiply-adds if the plugin states
        them, else in pixels; None if it is unknown. Costs of the same plugin can be compared."""
        params = identity["params"]
        options, size = params.get("options"), params.get("size")
        if not isinstance(options, Mapping):
            return None
        side = options.get("input_size") or options.get("size") or size
        if not isinstance(side, int | float):
            return None
        stated = self._stated(params)
        one = stated(options, side) if stated is not None else float(side) ** 2
        if one is None:
            return None
        kind = KINDS.get(identity["kind"])
        in_updates = kind is not None and kind.work is not None and kind.work.unit == "updates"
        batch = options.get(getattr(self._spec(params), "batch_option", "batch_size"))
        return one * (batch if isinstance(batch, int) else BATCH_SIZE) if in_updates else one

    def states(self, identity: Mapping[str, Any]) -> bool:
        """Whether the plugin of a stage states the multiply-adds of its network."""
        return self._stated(identity["params"]) is not None

    def _stated(self, params: Mapping[str, Any]) -> Any:
        """The `cost` of the plugin that a stage runs; None if it has none or is not installed."""
        path = getattr(self._spec(params), "cost", None)
        return load_object(path) if path else None

    def _spec(self, params: Mapping[str, Any]) -> Any:
        """The spec of the plugin that a stage runs; None if it runs none that is installed."""
        for kind in ("classifier", "generator"):
            name = params.get(kind)
            if isinstance(name, str) and self._plugins is not None:
                with contextlib.suppress(UserError):
                    return self._plugins.get(kind, name)
                return None
        return None


def guess_from_cost(kind: StageKind, device: str, cost: float, units: float) -> float:
    """A rough estimate of the seconds of a stage with so many units of work, of so many multiply-adds each."""
    seconds = cost / PER_SECOND.get(device, PER_SECOND["cuda"])
    if kind.work is not None and kind.work.unit == "updates":
        return START_SECONDS + units * (UPDATE_SECONDS + PASSES * seconds)
    return EVALUATE + units * seconds
