"""Places stages on devices. Several small stages share a GPU if their measured memory allows it.

Each stage runs in a separate worker. The first stage of a cost class gets a device alone; its peak memory is used for
the following ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from derm_bench.plan.alike import CostClass, cost_class
from derm_bench.plan.model import Stage

# Workers per GPU. More of them would wait for each other and for the cores that feed them.
SHARES = 4
# Device memory that a process takes before any tensor: the context and workspaces of libraries.
CONTEXT_MB = 800.0
# Stages of one cost class differ slightly, and allocators round up.
SAFETY = 1.2
# Share of a device's memory that stages may fill.
FULL = 0.9


@dataclass
class Placement:
    """The stages on each device, and the memory that they need.

    `capacity` is the memory of each device in MB; a device without an entry (the CPU) is never full. `known` is the
    largest peak of each cost class in MB, which `release` updates. `running` is the device and memory of each stage.
    """

    devices: Sequence[str]
    capacity: Mapping[str, float] = field(default_factory=dict)
    known: dict[CostClass, float] = field(default_factory=dict)
    running: dict[str, tuple[str, float]] = field(default_factory=dict)

    def place(self, stage: Stage, usable: Callable[[str], bool] = lambda _: True) -> str | None:
        """The usable device with the most free memory among those that have enough for the stage; None if none has."""
        room = [(self._room(device), device) for device in self.devices if usable(device)]
        fitting = [
            (free, -k, device) for k, (free, device) in enumerate(room) if self._fits(stage, device, free)
        ]
        return max(fitting)[2] if fitting else None

    def take(self, stage: Stage, device: str) -> None:
        """Registers a stage that starts on `device`."""
        self.running[stage.key] = device, self._needs(stage, device)

    def release(self, stage: Stage, record: Mapping[str, Any] | None = None) -> None:
        """Removes a stage that has ended, and stores the peak memory in its record."""
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
