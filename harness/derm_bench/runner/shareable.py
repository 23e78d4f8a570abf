"""Takes the paths of this machine out of what a run directory says, because run directories are shared."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from derm_bench.plan.model import Plan
from derm_bench.rundir.planned import RunStages
from derm_bench.runner.execute import Outcome

# An absolute path in a text: behind a space, a quote, a bracket, `=` or nothing, with at least one folder. The slashes
# of URLs, of names such as `real-only/resnet18` and of `{out}/a/b` have other characters in front.
_IN_TEXT = re.compile(r"(?<![\w.:/~*>}-])(?:/[^\s/'\"`:;,()\[\]{}<>|]+){2,}/?")


class Shareable:
    """Writes paths as they may be shared: relative to the folder of the matrix if they are inside of it, otherwise the
    last name alone, `.../ham10000`."""

    def __init__(self, plan: Plan) -> None:
        self._base = plan.matrix.file.parent.absolute()
        self._base_text = re.compile(re.escape(f"{self._base}{os.sep}")) if self._base.name else None
        self._written = {str(path) for path in _paths(plan.matrix.model_dump(exclude={"file"}))}

    def path(self, path: str | Path) -> str:
        """One path."""
        path = Path(path)
        if not path.is_absolute():
            return str(path)
        return str(path.relative_to(self._base)) if path.is_relative_to(self._base) else f".../{path.name}"

    def text(self, text: str) -> str:
        """A text with all absolute paths in it rewritten."""
        for path in sorted(self._written, key=len, reverse=True):  # these may have spaces in them
            if path.count(os.sep) > 1 and path in text:
                text = text.replace(path, self.path(path))
        if self._base_text is not None:
            text = self._base_text.sub("", text)
        return _IN_TEXT.sub(lambda found: self.path(found[0]), text)

    def words(self, words: Sequence[str]) -> list[str]:
        """The arguments of a command line. An argument that is an absolute path may have spaces in it."""
        found = []
        for word in words:
            option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
            found.append(
                option + equals + (self.path(value) if Path(value).is_absolute() else self.text(value))
            )
        return found

    def values(self, value: Any) -> Any:
        """JSON values, with the paths of the matrix rewritten. Other texts, such as labels, are kept as they are."""
        if isinstance(value, Mapping):
            return {key: self.values(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.values(inner) for inner in value]
        return self.path(value) if isinstance(value, str) and value in self._written else value

    def stages(self, stages: RunStages) -> RunStages:
        """The stages of a run directory, whose matrix and warnings may hold paths."""
        matrix = self.values(stages.matrix)
        return replace(stages, matrix=matrix, warnings=[self.text(warning) for warning in stages.warnings])

    def outcomes(self, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
        """The outcomes of stages, whose errors may hold paths."""
        return {
            key: replace(outcome, error=self.text(outcome.error)) if outcome.error else outcome
            for key, outcome in outcomes.items()
        }


def _paths(value: Any) -> Iterator[Path]:
    """The paths in the values of a matrix, at any depth."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _paths(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from _paths(inner)
