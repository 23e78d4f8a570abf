"""Stage keys: SHA-256 of everything that can change a stage's numbers, and of nothing else."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from derm_bench.fingerprint import file_digests
from derm_bench.plan.closure import distribution_of, source_closure, versions_of
from derm_bench.plugins import Plugins
from derm_bench.seeds import derive_seed as derive_seed
from derm_bench.specs import TransformUse

# Raised when the meaning of a stage changes in a way that no source digest shows.
PROTOCOL_VERSION = "1"


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return _CANONICAL.encode(value)


def key_of(identity: Mapping[str, Any], known: Mapping[str, str] | None = None) -> str:
    """The key of a stage: 40 hexadecimal digits. `known` has the canonical text of values that were written before."""
    known = known or {}
    parts = [f'"{name}":{known.get(name) or canonical(identity[name])}' for name in sorted(identity)]
    return hashlib.sha256(("{" + ",".join(parts) + "}").encode()).hexdigest()[:40]


def split_paths(options: BaseModel) -> tuple[dict[str, Any], dict[str, str]]:
    """Options as JSON for the identity, with each file replaced by its digest, and the real paths by field; those of
    transforms among the options by their place, `augment.0.options.file`."""
    paths = dict(_paths(options))
    dumped = options.model_dump(mode="json")
    local = {place: str(value) for place, value in paths.items()}
    files = {place: value for place, value in paths.items() if value.is_file()}
    digests = file_digests(files) if files else {}
    for place in paths:
        inside, name = _within(dumped, place)
        inside.pop(name, None)
        if place in digests:
            inside[name] = {"sha256": digests[place]}
    return dumped, local


def merge_paths(hashed: Mapping[str, Any], local: Mapping[str, str]) -> dict[str, Any]:
    """The reverse of `split_paths`: options as the plugin's model takes them."""
    nested = any("." in place for place in local)
    merged = copy.deepcopy(dict(hashed)) if nested else dict(hashed)
    for place, path in local.items():
        inside, name = _within(merged, place)
        inside[name] = path
    return merged


def _paths(options: BaseModel, above: str = "") -> Iterator[tuple[str, Path]]:
    """(place, path) of all options that are paths, those of transforms included."""
    for name, value in options:
        if isinstance(value, Path):
            yield above + name, value
        for k, use in enumerate(value if isinstance(value, tuple) else ()):
            if isinstance(use, TransformUse) and isinstance(use.options, BaseModel):
                yield from _paths(use.options, f"{above}{name}.{k}.options.")


def _within(tree: Any, place: str) -> tuple[dict[str, Any], str]:
    """The map that holds the value at a place, and its name there."""
    *above, name = place.split(".")
    for step in above:
        tree = tree[int(step) if isinstance(tree, list) else step]
    return tree, name


def plugin_identity(plugins: Plugins, kind: str, name: str) -> dict[str, str]:
    """Distribution, version and source digest of a plugin."""
    return _plugin_identity(plugins, kind, name)


@functools.lru_cache(maxsize=4096)
def _plugin_identity(plugins: Plugins, kind: str, name: str) -> dict[str, str]:
    installed = plugins.installed(kind, name)
    closure = source_closure(installed.spec.create)
    return {
        "name": installed.spec.name,
        "distribution": installed.distribution,
        "version": installed.version,
        "source": closure.digest,
    }


@functools.cache
def imported_versions(targets: tuple[str, ...]) -> dict[str, str]:
    """Versions of all distributions that the closures of `targets` import."""
    packages = {package for target in targets for package in source_closure(target).imports}
    own = distribution_of("derm_bench")
    return {name: version for name, version in versions_of(tuple(sorted(packages))).items() if name != own}
