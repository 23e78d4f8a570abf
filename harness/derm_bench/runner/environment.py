"""The environment of a run: the versions of the packages that it used and of all that these require, and as a list that
pip installs."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from derm_bench.plan.distributions import installed_name, version_of
from derm_bench.plugins.local_files import LOCAL

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9.!_-]+(?:\+[A-Za-z0-9.]+)?")


def with_required(distributions: Iterable[str]) -> dict[str, str]:
    """`{distribution: version}` of some distributions and of everything that they require and that is installed."""
    found: dict[str, str] = {}
    queue = list(distributions)
    while queue:
        name = installed_name(queue.pop())
        if name is not None and name not in found:
            found[name] = version_of(name)
            queue.extend(_required(name))
    return dict(sorted(found.items()))


def _required(distribution: str) -> Iterator[str]:
    """What a distribution requires, without what only its extras do."""
    for line in importlib.metadata.requires(distribution) or ():
        requirement, _, marker = line.partition(";")
        named = _NAME.match(requirement.strip())
        if named and not re.search(r"\bextra\b", marker):
            yield named[0]


def requirements(manifest: Mapping[str, Any]) -> str:
    """The environment of a run as the text of a requirements file: `pip install -r environment.txt`.

    What no index has, such as plugins in a file, stands in comments. pip takes `torch==2.7.0` for every build of that
    version, so the build stands in a comment too.
    """
    return "\n".join([*_lines(manifest), ""])


def _lines(manifest: Mapping[str, Any]) -> Iterator[str]:
    machine = manifest.get("machine")
    machine = machine if isinstance(machine, Mapping) else {}
    yield "# The environment of this run. `pip install -r environment.txt` installs these versions."
    python, system = (_plain(machine.get(key)) for key in ("python", "system"))
    yield f"# Python {python or 'unknown'} on {system or 'an unknown system'}"
    stated = manifest.get("environment") or manifest.get("distributions") or {}
    for name, version in sorted(stated.items()) if isinstance(stated, Mapping) else ():
        name, version = _plain(name), _plain(version)
        if version == LOCAL or not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
            yield f"# {name} {version}"
            continue
        public, _, build = version.partition("+")
        yield f"{name}=={public}" + (f"  # {version}" if build else "")


def _plain(value: Any) -> str:
    """A text on one line."""
    return " ".join(str(value or "").split())[:200]
