"""Finds the installed data set that reads a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from derm_bench.errors import UserError
from derm_bench.lazy import load_object
from derm_bench.plain_text import listed
from derm_bench.plugins import Plugins
from derm_bench.plugins.culprit import blaming
from derm_bench.protocols import Recognised
from derm_bench.specs import DatasetSpec


@dataclass(frozen=True)
class Reader:
    """A data set with the options that read a place. `name` is how a matrix writes it; `reason` says by what it was
    recognised. `others` are further data sets that recognise the place, best first."""

    name: str
    spec: DatasetSpec
    options: Mapping[str, Any]
    reason: str
    others: tuple[str, ...] = ()

    def validated(self) -> Any:
        """The options as the model of the data set. Raises UserError that names the first invalid one."""
        try:
            return self.spec.options.model_validate(dict(self.options))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(map(str, first["loc"])) or "options"
            raise UserError(
                f"data set '{self.name}': option '{name}': {first['msg'].lower()}",
                hint=f"`--set {name}=VALUE` sets it; `derm-bench plugins show {self.name}` lists all options",
            ) from None


def reader_of(place: Path, plugins: Plugins, name: str | None, given: Mapping[str, Any]) -> Reader:
    """The data set that reads `place`, an existing folder or file: the one with this `name`, or else the one that
    recognises it with the highest confidence, of equal ones the first by name. `given` options take precedence.

    Raises UserError, which says what was looked for, if none recognises it.
    """
    if name is not None:
        spec = plugins.get("dataset", name)
        said = _recognised(spec, place, plugins)
        options: Mapping[str, Any] = said.options if said else {}
        reason = said.reason if said else "named on the command line"
        return Reader(name, spec, {"root": place, **options, **given}, reason)
    found = []
    for plugin in plugins.all():
        spec = plugin.spec
        said = _recognised(spec, place, plugins) if isinstance(spec, DatasetSpec) else None
        if isinstance(spec, DatasetSpec) and said is not None:
            found.append((plugins.written(plugin), spec, said))
    if not found:
        raise _unknown(place, plugins)
    found.sort(key=lambda one: (-one[2].confidence, one[0]))
    (best, spec, said), *others = found
    return Reader(
        best, spec, {"root": place, **said.options, **given}, said.reason, tuple(o[0] for o in others)
    )


def _recognised(spec: Any, place: Path, plugins: Plugins) -> Recognised | None:
    if spec.recognise is None:
        return None
    with blaming(spec, plugins, "recognise(folder)"):
        said = load_object(spec.recognise)(place)
        if said is not None and not isinstance(said, Recognised):
            raise TypeError(f"it returned {type(said).__name__}, expected a Recognised or None")
    return said


def _unknown(place: Path, plugins: Plugins) -> UserError:
    """The error for a place that nothing recognises, with what each data set reads."""
    looked_for = []
    for plugin in plugins.all():
        spec = plugin.spec
        if isinstance(spec, DatasetSpec) and spec.recognise is not None:
            root = spec.options.model_fields.get("root")
            about = root.description if root is not None and root.description else spec.summary
            looked_for.append(f"{plugins.written(plugin)} ({about})")
    return UserError(
        f"no installed data set recognises {place}, which {_contents(place)}",
        hint=f"looked for: {'; '.join(looked_for) or 'nothing, as no data set can recognise folders'}. "
        "`--dataset NAME` reads it with that one all the same",
    )


def _contents(place: Path) -> str:
    if not place.is_dir():
        return "is a file"
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in place.iterdir())
    return f"contains {listed(names)}" if names else "is empty"
