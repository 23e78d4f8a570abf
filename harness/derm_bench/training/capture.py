"""Training steps as CUDA graphs: each variant is recorded once and then replayed with a single launch."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace

import torch

from derm_bench.run import Batch

# Eager updates of a variant before it is recorded. In these, libraries select kernels and optimizers create their
# state.
WARM_UP = 3

Variant = tuple[tuple[str, Hashable], ...]


# One update: tensor code on a batch and on keyword arguments of hashable values. Returns scalar tensors by name.
Step = Callable[..., Mapping[str, torch.Tensor]]


class PlainStep:
    """Calls the step eagerly."""

    def __init__(self, step: Step) -> None:
        self.step = step

    def __call__(self, batch: Batch, flags: Mapping[str, Hashable]) -> Mapping[str, torch.Tensor]:
        return self.step(replace(batch, step=0), **flags)


@dataclass(frozen=True)
class _Recording:
    graph: torch.cuda.CUDAGraph
    names: tuple[str, ...]
    values: torch.Tensor


class CapturedStep:
    """Runs a step eagerly a few times, records it, and replays the recording.

    streams: the random generators that the step draws from, in addition to the global generator of the device. All
    batches must have the shapes of the first. If a variant cannot be recorded, for example because it waits for the
    device, this variant and all later ones run eagerly. The reason is stored in `reason` and printed on stderr.
    """

    def __init__(self, step: Step, device: str, streams: Iterable[torch.Generator] = ()) -> None:
        self.plain = PlainStep(step)
        self.reason = ""
        self._streams = list(streams)
        # Warm-up and recording share a side stream, as autograd ties gradients to the stream that first produced them.
        self._side = torch.cuda.Stream(device)
        self._batch: Batch | None = None
        self._recordings: dict[Variant, _Recording] = {}
        self._seen: Counter[Variant] = Counter()

    def __call__(self, batch: Batch, flags: Mapping[str, Hashable]) -> Mapping[str, torch.Tensor]:
        variant = tuple(sorted(flags.items()))
        recording = self._recordings.get(variant)
        if recording is None:
            self._seen[variant] += 1
            if self.reason or self._seen[variant] <= WARM_UP:
                return self._eagerly(batch, flags)
            self._load(batch)
            recording = self._record(flags)
            if recording is None:
                return self._eagerly(batch, flags)
            self._recordings[variant] = recording
        self._load(batch)
        recording.graph.replay()
        # A copy, as the next replay writes to the same memory.
        return dict(zip(recording.names, recording.values.clone().unbind(), strict=True))

    def _eagerly(self, batch: Batch, flags: Mapping[str, Hashable]) -> Mapping[str, torch.Tensor]:
        self._side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side):
            logs = self.plain(batch, flags)
        torch.cuda.current_stream().wait_stream(self._side)
        return logs

    def _load(self, batch: Batch) -> None:
        """Copy a batch into the tensors that the recordings read."""
        if self._batch is None:
            aux = {task: rows.clone() for task, rows in batch.aux.items()}
            data = {name: rows.clone() for name, rows in batch.data.items()}
            masks = None if batch.masks is None else batch.masks.clone()
            images, targets, weights = (one.clone() for one in (batch.images, batch.targets, batch.weights))
            self._batch = Batch(images, targets, weights, aux, masks=masks, data=data)
            return
        torch._foreach_copy_(_tensors(self._batch), _tensors(batch))

    def _record(self, flags: Mapping[str, Hashable]) -> _Recording | None:
        """Record one update without performing it. Returns None, without side effects, if recording is impossible."""
        assert self._batch is not None
        graph = torch.cuda.CUDAGraph()
        before = [stream.get_state() for stream in self._streams]
        for stream in self._streams:
            graph.register_generator_state(stream)
        try:
            with torch.cuda.graph(graph, stream=self._side):
                logs = self.plain(self._batch, flags)
                values = torch.stack([value.float().reshape(()) for value in logs.values()])
        except Exception as error:  # any operation that a graph cannot record
            torch.cuda.synchronize()
            for stream, state in zip(self._streams, before, strict=True):
                stream.set_state(state)
            self.reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            sys.stderr.write(f"the training step runs without a CUDA graph: {self.reason}\n")
            return None
        return _Recording(graph, tuple(logs), values)


def _tensors(batch: Batch) -> list[torch.Tensor]:
    masks = [] if batch.masks is None else [batch.masks]
    named = [*batch.aux.values(), *batch.data.values()]
    return [batch.images, batch.targets, batch.weights, *named, *masks]
