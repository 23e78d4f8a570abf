"""Stage keys: the SHA-256 of everything that can change the results of a stage, and of nothing else."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from derm_bench.errors import UserError
from derm_bench.plan.closure import Closure, definition_closure, source_closure
from derm_bench.plan.declared import declared
from derm_bench.plan.declared import names_of as declared_names
from derm_bench.plan.distributions import distribution_of, versions_of
from derm_bench.plan.listing import Listing
from derm_bench.plan.params import names_of
from derm_bench.plugins import Plugins

# Increased when the meaning of a stage changes in a way that no source digest shows.
PROTOCOL_VERSION = "4"


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False)


def canonical(value: Any) -> str:
    """The value as JSON with sorted keys and no spaces: equal values give equal text."""
    return _CANONICAL.encode(value)


class CanonicalTexts:
    """Canonical texts of parameters. Thousands of stages share the objects in their parameters (options, transforms,
    classes), so each object is encoded once. The objects must not change afterwards."""

    def __init__(self) -> None:
        self._objects: dict[int, tuple[str, Any]] = {}

    def of(self, params: Any) -> str:
        """The canonical text of a record of parameters."""
        objects, parts = self._objects, []
        for name in names_of(params.__class__):
            value = getattr(params, name)
            write = _PLAIN.get(type(value))
            if write is not None:
                text = write(value)
            else:
                known = objects.get(id(value))
                text = known[0] if known is not None else self.of_object(value)
            parts.append(f'"{name}":{text}')
        return "{" + ",".join(parts) + "}"

    def of_object(self, value: Any) -> str:
        """The canonical text of a collection."""
        if value == {}:
            return "{}"
        known = self._objects.get(id(value))
        if known is None:
            # With a reference to the object, so that its id is not reused.
            known = self._objects[id(value)] = (canonical(value), value)
        return known[0]


def canonical_names(names: Mapping[str, str]) -> str:
    """The canonical text of a mapping of text to text, which is faster than `canonical`."""
    return "{" + ",".join([f"{_quoted(name)}:{_quoted(text)}" for name, text in sorted(names.items())]) + "}"


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else canonical(value)


_quoted = json.encoder.encode_basestring  # as `canonical` writes text
_PLAIN: dict[type, Callable[[Any], str]] = {
    str: _quoted,
    int: int.__repr__,
    float: _number,
    bool: {True: "true", False: "false"}.__getitem__,
    type(None): lambda nothing: "null",
}


def key_of(identity: Mapping[str, Any]) -> str:
    """The key of the stage with this identity: 40 hexadecimal digits."""
    return key_of_text(canonical(identity))


def key_of_text(text: str) -> str:
    """The key of the stage whose identity has the canonical text `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def plugin_code(plugins: Plugins, kind: str, name: str) -> tuple[str, ...]:
    """The import paths at which a plugin's code starts: `create`, and the extractor of an image metric."""
    spec = plugins.get(kind, name)
    extractor = getattr(spec, "extractor", "")
    return (spec.create, extractor) if ":" in extractor else (spec.create,)


# The fields of a spec that a worker uses, besides `create` and `options`.
USED_OF_SPECS = (
    "conditional",
    "conditions_on",
    "reads",
    "level",
    "extractor",
    "feature_options",
    "phase",
    "higher_is_better",
    "batch_option",
    "discriminator_outputs",
)


def plugin_identity(plugins: Plugins, kind: str, name: str) -> dict[str, Any]:
    """The distribution of a plugin, the digests of its source, of its options model and of what its `depends_on` names,
    and the spec fields that a worker uses. Its version is not part of it: the source says what changed."""
    return _plugin_identity(plugins, kind, name)


def plugin_closures(plugins: Plugins, kind: str, name: str) -> tuple[Closure, Closure]:
    """The closures of the source and of the options model of a plugin."""
    options = plugins.get(kind, name).options
    source = source_closure(*plugin_code(plugins, kind, name))
    return source, definition_closure(options.__module__, options.__qualname__)


def plugin_listings(plugins: Plugins, kind: str, name: str) -> list[Listing]:
    """The lists behind the digests in `plugin_identity`."""
    found = [Listing(one.digest, one.content) for one in plugin_closures(plugins, kind, name)]
    stated = _declared(plugins.get(kind, name))
    return found if stated is None else [*found, stated]


@functools.lru_cache(maxsize=4096)
def _plugin_identity(plugins: Plugins, kind: str, name: str) -> dict[str, Any]:
    installed = plugins.installed(kind, name)
    spec = installed.spec
    source, options = plugin_closures(plugins, kind, name)
    stated = _declared(spec)
    return {
        "name": spec.name,
        "distribution": installed.distribution,
        "source": source.digest,
        "options": options.digest,
        "spec": {field: getattr(spec, field) for field in USED_OF_SPECS if hasattr(spec, field)},
    } | ({} if stated is None else {"declared": stated.digest})


def _declared(spec: Any) -> Listing | None:
    """What the `depends_on` of a spec names; None without names. Raises UserError that names the plugin."""
    names = declared_names(spec)
    try:
        return declared(names) if names else None
    except UserError as error:
        raise UserError(f"{spec.name}: {error.message}", hint=error.hint) from error


def forget_plugins() -> None:
    """Forgets the identities of plugins, so that the next ones are those of the source as it is then."""
    _plugin_identity.cache_clear()
    declared.cache_clear()


@functools.cache
def imported_versions(targets: tuple[str, ...]) -> dict[str, str]:
    """The versions of all distributions that the closures of `targets` import."""
    packages = {package for target in targets for package in source_closure(target).imports}
    own = distribution_of("derm_bench")
    return {name: version for name, version in versions_of(tuple(sorted(packages))).items() if name != own}
