"""Which stage may start on which device: several small ones share a GPU, as far as what they were seen to take allows.

Each runs in a worker of its own; nothing of one stage is mixed with another's. Stages of a cost class that nobody has
seen yet get a device to themselves, and what they take is known from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from derm_bench.plan.alike import CostClass, cost_class
from derm_bench.plan.model import Stage

# Workers a GPU: more would wait for each other, and for the cores that feed them.
SHARES = 4
# What a process takes on a GPU before any tensor: its context and its libraries' workspaces.
CONTEXT_MB = 800.0
# Stages of one cost class differ a little, and allocators round up.
SAFETY = 1.2
# The part of a device that stages may fill.
FULL = 0.9


@dataclass
class Slots:
    """capacity: MB of each device; a device that is not in it (the CPU) is never full.

    known: MB that stages of a cost class took at most; `release` adds to it.
    """

    devices: Sequence[str]
    capacity: Mapping[str, float] = field(default_factory=dict)
    known: dict[CostClass, float] = field(default_factory=dict)
    running: dict[str, tuple[str, float]] = field(default_factory=dict)

    def place(self, stage: Stage, usable: Callable[[str], bool] = lambda _: True) -> str | None:
        """The device with most room among those that are `usable` and have enough for the stage; None where none
        has."""
        room = [(self._room(device), device) for device in self.devices if usable(device)]
        fitting = [
            (free, -k, device) for k, (free, device) in enumerate(room) if self._fits(stage, device, free)
        ]
        return max(fitting)[2] if fitting else None

    def take(self, stage: Stage, device: str) -> None:
        """The stage starts."""
        self.running[stage.key] = device, self._needs(stage, device)

    def release(self, stage: Stage, record: Mapping[str, Any] | None = None) -> None:
        """The stage has ended; its record says what it took."""
        self.running.pop(stage.key, None)
        if record and record.get("status") == "done" and record.get("peak_device_mb") is not None:
            group = cost_class(stage.identity)
            self.known[group] = max(self.known.get(group, 0.0), float(record["peak_device_mb"]))

    def _room(self, device: str) -> float:
        if device not in self.capacity:
            return float("inf")
        return FULL * self.capacity[device] - sum(
            mb for place, mb in self.running.values() if place == device
        )

    def _fits(self, stage: Stage, device: str, free: float) -> bool:
        alone = all(place != device for place, _ in self.running.values())
        return alone or self._needs(stage, device) <= free

    def _needs(self, stage: Stage, device: str) -> float:
        if device not in self.capacity:
            return 0.0
        known = self.known.get(cost_class(stage.identity))
        return self.capacity[device] if known is None else SAFETY * known + CONTEXT_MB
