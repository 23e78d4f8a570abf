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
    """A plugin breaks a rule. The message states the problem and what to change."""


class ConformanceWarning(UserWarning):
    """A plugin follows a rule, but its author should check something."""


class NotApplicable(Exception):
    """A rule does not apply to this plugin or cannot be checked. The message is the reason."""


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
        raise ConformanceError(
            f"{what} raised {type(error).__name__}: {reason} ({Path(last.filename).name}:{last.lineno})"
        ) from error
