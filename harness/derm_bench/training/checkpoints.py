"""Checkpoints within a stage: the state of a training loop, written atomically and read without pickle."""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
import threading
import time
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

FORMAT = 1
SECONDS = 60.0  # minimum time between two checkpoints of a stage
FILE = "checkpoint.pt"


# The threads that are writing checkpoints, by folder.
_WRITERS: dict[Path, threading.Thread] = {}


class Checkpoints:
    """The checkpoint of one stage in `folder`, which is named after the stage's key and has one writer at a time.

    A document is a dict of plain values (see `plain`). A new checkpoint is due `seconds` after the last one.
    """

    def __init__(self, folder: Path, seconds: float = SECONDS) -> None:
        self.folder, self.seconds = folder, seconds
        self._written_at = time.monotonic()

    def due(self) -> bool:
        return time.monotonic() - self._written_at >= self.seconds

    def save(self, document: Mapping[str, Any]) -> None:
        """Copy the document and write it in the background, to a new file that then replaces the last checkpoint.
        Training continues meanwhile. If the disk is full, the checkpoint is lost, a message is printed on stderr, and
        the stage continues."""
        self._written_at = time.monotonic()
        self.wait()
        content = _copied(plain({"format": FORMAT, **document}))
        writer = threading.Thread(target=self._write, args=(content,), daemon=True)
        _WRITERS[self.folder] = writer
        writer.start()

    def wait(self) -> None:
        """Wait until the last checkpoint is written."""
        writer = _WRITERS.pop(self.folder, None)
        if writer is not None:
            writer.join()

    def _write(self, content: Any) -> None:
        part = self.folder / f"{FILE}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)  # torch would write through a link
            torch.save(content, part)
            part.replace(self.folder / FILE)
        except (OSError, RuntimeError) as error:  # torch's writer reports a full disk as RuntimeError
            with contextlib.suppress(OSError):
                part.unlink()
            _say(f"no checkpoint was written to {self.folder}: {error}")

    def load(self, needed: Collection[str] = ()) -> dict[str, Any] | None:
        """Return the last document, with tensors on the CPU, or None if there is none. If it cannot be used
        (unreadable, another format, one of the keys `needed` is missing), a message is printed on stderr and None is
        returned."""
        self.wait()
        path = self.folder / FILE
        if not path.is_file():
            return None
        try:
            # torch does not verify the checksums of the archive, so a flipped bit would become a wrong weight.
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
            if damaged is not None:
                raise ValueError(f"{damaged} is damaged")
            document = torch.load(path, map_location="cpu", weights_only=True)
            if not isinstance(document, dict) or document.get("format") != FORMAT:
                raise ValueError("it is not a checkpoint of this version")
            if missing := set(needed) - document.keys():
                raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        except Exception as error:  # torch may raise any exception for an invalid file
            reason = (str(error) or type(error).__name__).splitlines()[0]
            _say(f"the checkpoint {path} is ignored, the stage starts from the beginning: {reason}")
            return None
        return document

    def remove(self) -> None:
        """Remove the folder, because the stage has ended, or has diverged and would diverge again."""
        self.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class TrainingState:
    """All objects that a training loop changes, by name: modules, optimizers, `torch.Generator`s and other objects with
    `state_dict` and `load_state_dict`.

        live = TrainingState(net=net, optimizer=optimizer, noise=noise)
        live.load(run.resume())
        for batch in run.batches(train):
            ...
            run.checkpoint(batch.step, live.state)
    """

    def __init__(self, **parts: Any) -> None:
        self.parts = parts

    def state(self) -> dict[str, Any]:
        return {
            name: part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
            for name, part in self.parts.items()
        }

    def load(self, saved: Mapping[str, Any] | None) -> None:
        """Restore the output of `state`. None changes nothing."""
        if saved is None:
            return
        for name, part in self.parts.items():
            if isinstance(part, torch.Generator):
                part.set_state(saved[name])
            elif isinstance(part, torch.optim.Optimizer):
                load_optimizer(part, saved[name])
            else:
                part.load_state_dict(saved[name])


def load_optimizer(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """Call `load_state_dict`, but keep the learning rate in its tensor on the device if it has one."""
    rates = [group["lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict(dict(saved))
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if isinstance(rate, torch.Tensor):
            group["lr"] = rate.fill_(float(group["lr"]))


def plain(value: Any, where: str = "state") -> Any:
    """Return `value` with tensors moved to the CPU and mappings converted to dicts.

    Raises TypeError, with the path of the value, for anything except tensors, numbers, strings, bools, None, and lists,
    tuples and dicts of them, since other objects could not be read back without running code.
    """
    if isinstance(value, torch.Tensor):
        tensor = value.detach().cpu()
        # a view would be written with its whole underlying storage
        whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        return tensor if whole else tensor.clone()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        return {plain(key, f"{where} key"): plain(item, f"{where}.{key}") for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(item, f"{where}[{k}]") for k, item in enumerate(value))
    raise TypeError(
        f"{where} is of type {type(value).__name__}: a checkpoint holds tensors, numbers, strings, None, "
        "and lists, tuples and dicts of them"
    )


def _copied(value: Any) -> Any:
    """Return a copy that shares no tensor memory with the training."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return type(value)(map(_copied, value)) if type(value) in (list, tuple) else value


def rng_state(device: str) -> dict[str, Any]:
    """Return the state of all global random generators: Python, NumPy, and torch on the CPU and on `device`."""
    _, words, position, has_gauss, gauss = np.random.get_state(legacy=True)
    numpy_state = [np.asarray(words).tolist(), int(position), int(has_gauss), float(gauss)]
    state = {"python": random.getstate(), "numpy": numpy_state, "cpu": torch.get_rng_state()}
    return state | ({"cuda": torch.cuda.get_rng_state(device)} if device.startswith("cuda") else {})


def set_rng_state(state: Mapping[str, Any], device: str) -> None:
    """Restore the output of `rng_state`. The device may be another one of the same type."""
    random.setstate(state["python"])
    words, position, has_gauss, gauss = state["numpy"]
    np.random.set_state(("MT19937", np.asarray(words, dtype=np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(state["cpu"])
    if device.startswith("cuda"):
        torch.cuda.set_rng_state(state["cuda"], device)


def _say(line: str) -> None:
    sys.stderr.write(f"derm-bench: {line}\n")
    sys.stderr.flush()
