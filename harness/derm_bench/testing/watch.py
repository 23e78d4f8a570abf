"""Record which global state, seeds, files and devices the code of a plugin uses."""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch

SEEDING: tuple[tuple[Any, str], ...] = (
    (random, "seed"),
    (np.random, "seed"),
    (torch, "manual_seed"),
    (torch.random, "manual_seed"),
)
DEVICES: tuple[tuple[Any, str], ...] = (
    (torch.cuda, "is_available"),
    (torch.cuda, "device_count"),
    (torch.cuda, "current_device"),
    (torch.cuda, "set_device"),
    (torch.Tensor, "cuda"),
    (torch.nn.Module, "cuda"),
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CODE = (".py", ".pyc", ".so", ".pyd", ".dll")
COMPILER = ("torch._dynamo.", "torch._inductor.", "torch._functorch.")
SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr")

_watching: list[Watch] = []
_hooked = False


class Watch:
    """A context manager that records opened files, seeded generators and queried devices. On exit, it records changed
    process settings and restores them. It can be entered repeatedly and then adds to its records.

    package: the top-level package of the plugin, whose own files may be read. allowed: folders and files that the
    plugin may open.
    """

    def __init__(self, package: str, allowed: Sequence[Path] = ()) -> None:
        self.package = package
        self.opened: list[str] = []
        self.seeded: list[str] = []
        self.devices: list[str] = []
        self.changed: list[str] = []
        module = sys.modules.get(package)
        own = getattr(module, "__file__", None)
        self._readable = [sys.prefix, sys.base_prefix, *SYSTEM, *_own_files(own)]
        self._allowed = [str(path.absolute()) for path in allowed]
        self._undo: list[Callable[[], None]] = []
        self._before: dict[str, Any] = {}

    def __enter__(self) -> Watch:
        _hook()
        self._before = settings()
        for place, name in SEEDING:
            self._wrap(place, name, self.seeded, anyone=True)
        for place, name in DEVICES:
            self._wrap(place, name, self.devices, anyone=False)
        _watching.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _watching.remove(self)
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        after = settings()
        self.changed += [name for name, value in self._before.items() if after[name] != value]
        _put_back(self._before)

    def saw_open(self, path: str, writing: bool) -> None:
        inside = self._allowed if writing else [*self._allowed, *self._readable]
        if any(path == place or path.startswith(place.rstrip(os.sep) + os.sep) for place in inside):
            return
        # files of torch.compile, and those that importing a library reads
        if path.endswith(CODE) or "torchinductor" in path or _importing() or self._compiling():
            return
        self.opened.append(f"{path} for {'writing' if writing else 'reading'}{self._place()}")

    def _place(self) -> str:
        """Return the file and line of the plugin on the stack, or an empty string."""
        for frame, line in traceback.walk_stack(sys._getframe(2)):
            if str(frame.f_globals.get("__name__")).partition(".")[0] == self.package:
                return f" ({Path(frame.f_code.co_filename).name}:{line})"
        return ""

    def _compiling(self) -> bool:
        """Whether the compiler of torch, and not code of the plugin that it calls, is at work."""
        for frame, _ in traceback.walk_stack(sys._getframe(2)):
            module = str(frame.f_globals.get("__name__"))
            if module.partition(".")[0] == self.package:
                return False
            if module.startswith(COMPILER):
                return True
        return False

    def _wrap(self, place: Any, name: str, seen: list[str], *, anyone: bool) -> None:
        """Record calls of `place.name` by any code, or only by the plugin, as torch itself queries devices."""
        original = getattr(place, name)

        def recorded(*args: Any, **kwargs: Any) -> Any:
            caller = str(sys._getframe(1).f_globals.get("__name__"))
            if anyone or caller.partition(".")[0] == self.package:
                where = getattr(place, "__qualname__", place.__name__)
                seen.append(f"{where}.{name}(){self._place()}")
            return original(*args, **kwargs)

        setattr(place, name, recorded)
        self._undo.append(lambda: setattr(place, name, original))


def settings() -> dict[str, Any]:
    """Return the process settings that no plugin may change, by their name in messages."""
    cudnn = torch.backends.cudnn
    return {
        "torch's default seed": torch.initial_seed(),
        "torch.get_default_dtype()": torch.get_default_dtype(),
        "torch.get_default_device()": str(torch.get_default_device()),
        "torch.get_num_threads()": torch.get_num_threads(),
        "torch.is_grad_enabled()": torch.is_grad_enabled(),
        "torch.get_float32_matmul_precision()": torch.get_float32_matmul_precision(),
        "torch.are_deterministic_algorithms_enabled()": torch.are_deterministic_algorithms_enabled(),
        "torch.backends.cudnn": (cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, cudnn.enabled),
        "the current directory": str(Path.cwd()),
        "os.environ": dict(os.environ),
        "sys.path": list(sys.path),
        "the signal handlers": (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)),
    }


def _put_back(before: dict[str, Any]) -> None:
    """Restore the settings, so that the changes of a plugin do not affect the next one."""
    torch.set_default_dtype(before["torch.get_default_dtype()"])
    device = before["torch.get_default_device()"]
    torch.set_default_device(None if device == "cpu" else device)
    if torch.get_num_threads() != before["torch.get_num_threads()"]:
        torch.set_num_threads(before["torch.get_num_threads()"])
    torch.set_grad_enabled(before["torch.is_grad_enabled()"])
    torch.set_float32_matmul_precision(before["torch.get_float32_matmul_precision()"])
    torch.use_deterministic_algorithms(before["torch.are_deterministic_algorithms_enabled()"])
    cudnn = torch.backends.cudnn
    cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, cudnn.enabled = before["torch.backends.cudnn"]
    os.chdir(before["the current directory"])
    if dict(os.environ) != before["os.environ"]:
        os.environ.clear()
        os.environ.update(before["os.environ"])
    sys.path[:] = before["sys.path"]


def _own_files(module: str | None) -> list[str]:
    """Return the folder of a package, or the file of a single module."""
    if module is None:
        return []
    return [str(Path(module).parent if Path(module).name == "__init__.py" else module)]


def warm_up() -> None:
    """Trigger the one-time initialisation of torch and tempfile, so that it is not attributed to a plugin."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([weight])
    weight.sum().backward()
    optimizer.step()
    tempfile.gettempdir()


def rng_digest() -> tuple[Any, ...]:
    """Return a digest of the state of the global generators, which changes if numbers are drawn."""
    _, words, position, *_ = np.random.get_state(legacy=True)
    return (random.getstate(), np.asarray(words).tobytes(), position, torch.get_rng_state().numpy().tobytes())


def temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="derm-bench-kit-")


def _importing() -> bool:
    frames = traceback.walk_stack(sys._getframe(2))
    return any(frame.f_globals.get("__name__") == "importlib._bootstrap" for frame, _ in frames)


def _hook() -> None:
    """Install the audit hook once per process. It cannot be removed, so it is inactive unless a Watch is active."""
    global _hooked
    if not _hooked:
        _hooked = True
        sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _watching:
        return
    path, mode, flags = arguments
    if not isinstance(path, (str, bytes, os.PathLike)):
        return
    writing = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & WRITING)
    _watching[-1].saw_open(str(Path(os.fsdecode(path)).absolute()), writing)
