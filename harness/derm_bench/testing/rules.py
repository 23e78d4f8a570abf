"""Rules: functions of a case that return, or raise ConformanceError. Imports neither torch nor pytest."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

# From a case (of the rule's kind) to the message of a warning, or to None where all is well.
Rule = Callable[[Any], str | None]
Function = TypeVar("Function", bound=Callable[..., Any])
SLOW = "_derm_bench_slow"


class ConformanceError(AssertionError):
    """A plugin breaks a rule. The message says what is wrong and what to change."""


class ConformanceWarning(UserWarning):
    """A plugin follows the rules, but something should be checked by its author."""


class NotApplicable(Exception):
    """A rule does not apply to this plugin, or cannot be checked here; the message is the reason."""


@dataclass(frozen=True)
class Limits:
    """Seconds that the presets may take, imports left out. Past a limit there is a warning, past `failing` times the
    limit an error: machines differ, and CI machines are slow."""

    tiny: float = 3.0
    smoke: float = 60.0
    failing: float = 3.0


def slow(rule: Function) -> Function:
    """Marks a rule that takes too long for a default test."""
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
    """An exception of the plugin's own code becomes a ConformanceError with its place."""
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
