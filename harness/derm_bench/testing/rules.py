"""Rules: functions of a case that return or raise ConformanceError. This module imports neither torch nor pytest."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

# A function of a case (of the rule's kind) that returns the message of a warning, or None.
Rule = Callable[[Any], str | None]
Function = TypeVar("Function", bound=Callable[..., Any])
SLOW = "_derm_bench_slow"


class ConformanceError(AssertionError):
    """A plugin breaks a rule. The message states the problem and what to change. `short` is the problem in a few words,
    for the rules that cannot be tried because of it. Errors with the same `cause` are one problem."""

    def __init__(self, message: str, short: str = "", cause: str = "") -> None:
        super().__init__(message)
        self.short = short or message.partition("; ")[0].partition(" (")[0]
        self.cause = cause or message


class ConformanceWarning(UserWarning):
    """A plugin follows a rule, but its author should check something."""


class NotApplicable(Exception):
    """A rule does not apply to this plugin or cannot be checked. The message is the reason."""


class NotRun(NotApplicable):
    """A rule cannot be tried, because of a problem that another rule has reported."""

    def __init__(self, because: ConformanceError) -> None:
        super().__init__(f"not run, because of what another rule has said: {because.short}")
        self.because = because


class Once:
    """Values that several rules need, each made once. If making one fails, the first rule that needs it says so, and
    the others are not run."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def get(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            try:
                self._made[name] = make()
            except ConformanceError as error:
                self._made[name] = NotRun(error)
                raise
        if isinstance(self._made[name], NotRun):
            raise self._made[name]
        return self._made[name]


def tried(rule: Rule, make: Callable[[], Any], said: dict[str, str]) -> str | None:
    """Apply a rule to the case that `make` returns. `said` are the rules that have reported problems of this plugin, by
    the cause of the problem: another rule that meets the same problem raises NotRun."""
    try:
        return rule(make())
    except NotRun as again:
        if said.get(again.because.cause) == name(rule):
            raise again.because from None
        raise
    except ConformanceError as error:
        if said.setdefault(error.cause, name(rule)) != name(rule):
            raise NotRun(error) from None
        raise


@dataclass(frozen=True)
class Limits:
    """Time limits of the presets in seconds, without imports. A plugin over a limit gets a warning, and over `failing`
    times the limit an error, since machines differ and CI machines are slow."""

    tiny: float = 3.0
    smoke: float = 60.0
    failing: float = 3.0


def slow(rule: Function) -> Function:
    """Mark a rule that is too slow for a default test run."""
    setattr(rule, SLOW, True)
    return rule


def is_slow(rule: Rule) -> bool:
    return getattr(rule, SLOW, False)


def name(rule: Rule) -> str:
    return rule.__name__


def require(holds: bool, message: str) -> None:
    if not holds:
        raise ConformanceError(message)


@contextmanager
def plugin_code(what: str) -> Iterator[None]:
    """Convert an exception of the plugin's code to a ConformanceError with file and line."""
    try:
        yield
    except (ConformanceError, NotApplicable):
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        reason = str(error).strip() or "no message"
        cause = f"{type(error).__name__}: {reason} ({Path(last.filename).name}:{last.lineno})"
        short = f"{what} raised {type(error).__name__}"
        raise ConformanceError(f"{what} raised {cause}", short, cause) from error
