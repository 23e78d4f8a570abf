"""Resolves what plugins require of other plugins: validates the options of each `Ref` and refuses cycles. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from derm_bench.errors import UserError, did_you_mean
from derm_bench.matrix.locations import Locations, Where
from derm_bench.matrix.model import ClassifierEntry, GeneratorUse, Matrix, StrategyEntry, TakenFrom
from derm_bench.matrix.nested_entries import NestedEntryReader
from derm_bench.matrix.options import PluginLookup
from derm_bench.plugins.culprit import blaming
from derm_bench.specs import ClassifierUse, Ref
from derm_bench.yamlio import Document

# A plugin with its options: an entry of a matrix, or a use inside the options of another plugin.
Use = GeneratorUse | ClassifierEntry | ClassifierUse
Kind = Literal["generator", "classifier"]
FROM = "from"
MAX_DEPTH = 16


@dataclass(frozen=True)
class Required:
    """A resolved `Ref`: `use` is its plugin with validated options. `strategy` is set when the generator is that of a
    strategy and shares its fit; `data` is what the plugin is fitted on instead of real images."""

    ref: Ref
    use: Use
    strategy: StrategyEntry | None = None
    data: Required | None = None

    @property
    def kind(self) -> Kind:
        """The kind of the required plugin."""
        return "classifier" if self.ref.kind == "classifier" else "generator"

    @property
    def generator(self) -> GeneratorUse:
        assert isinstance(self.use, GeneratorUse)
        return self.use

    @property
    def classifier(self) -> ClassifierEntry | ClassifierUse:
        assert not isinstance(self.use, GeneratorUse)
        return self.use


def required_of(kind: Kind, use: Use, plugins: PluginLookup, matrix: Matrix) -> dict[str, Required]:
    """What a plugin with these options requires, by name. A `from` in the matrix replaces the plugin's own.
    Raises UserError for a requirement that cannot be resolved."""
    spec = plugins.get(kind, use.name)
    asked = dict(_asked(kind, use, spec.requires, plugins)) if spec.requires else {}
    taken_from: TakenFrom | None = getattr(use, "taken_from", None)
    if taken_from is not None and FROM not in asked:
        raise UserError(
            f"'{use.name}' does not start from a generator: it takes no `from`", hint=_builders(kind, plugins)
        )
    found = {
        name: _resolved(ref, plugins, matrix, f"'{use.name}' requires {name}")
        for name, ref in asked.items()
        if name != FROM or taken_from is None
    }
    if taken_from is not None:
        found = {FROM: _taken(taken_from, matrix), **found}
    for name, required in found.items():
        _refuse_no_part(
            required, plugins, ("from", "part") if taken_from is not None and name == FROM else ()
        )
    return found


def requirements(
    kind: Kind, use: Use, plugins: PluginLookup, matrix: Matrix, above: tuple[tuple[str, str, str], ...] = ()
) -> Iterator[Required]:
    """All requirements of a plugin, direct and indirect. Raises UserError for a cycle."""
    here = (kind, use.name, _written(use))
    if here in above or len(above) > MAX_DEPTH:
        names = [name for _, name, _ in (*above[above.index(here) if here in above else 0 :], here)]
        raise UserError(
            f"'{names[0]}' requires itself: {' -> '.join(names)}",
            hint="what a plugin requires must be fitted before it",
        )
    for required in required_of(kind, use, plugins, matrix).values():
        yield from _with_data(required, plugins, matrix, (*above, here))


def needs_generator(kind: Kind, use: Use, plugins: PluginLookup | None, matrix: Matrix) -> bool:
    """Whether a plugin requires a fitted generator, and so depends on the generator seed."""
    if getattr(use, "taken_from", None) is not None:
        return True
    if plugins is None:
        return False
    return any(required.kind == "generator" for required in requirements(kind, use, plugins, matrix))


def _with_data(
    required: Required, plugins: PluginLookup, matrix: Matrix, above: tuple[tuple[str, str, str], ...]
) -> Iterator[Required]:
    yield required
    yield from requirements(required.kind, required.use, plugins, matrix, above)
    if required.data is not None:
        yield from _with_data(required.data, plugins, matrix, above)


def _asked(kind: str, use: Use, requires: Any, plugins: PluginLookup) -> Mapping[str, Ref]:
    with blaming(plugins.get(kind, use.name), plugins, "requires(options)"):
        asked: Mapping[str, Ref] = requires(use.options)
    if not isinstance(asked, Mapping):
        raise UserError(
            f"'{use.name}': requires(options) returned {type(asked).__name__}, expected a map of Refs"
        )
    for name, ref in asked.items():
        if not isinstance(ref, Ref) or ref.kind not in ("generator", "classifier", "samples"):
            raise UserError(f"'{use.name}' requires {name}, which is {ref!r} and not a Ref")
        if "/" in name:
            raise UserError(
                f"'{use.name}' names a requirement '{name}', with a slash", hint="leave out the slash"
            )
    return asked


def _resolved(ref: Ref, plugins: PluginLookup, matrix: Matrix, owner: str) -> Required:
    """Validates the options of a `Ref`. `owner` begins the message of its errors."""
    data = None
    if isinstance(ref.data, Ref):
        if ref.data.kind != "samples":
            raise UserError(
                f"{owner} fitted on a {ref.data.kind}, not on images", hint="a Ref of kind samples"
            )
        data = _resolved(ref.data, plugins, matrix, f"{owner}, fitted on samples of")
    use: Any = ref.options
    if not isinstance(use, ClassifierUse) or isinstance(use.options, dict | None):
        reader = NestedEntryReader(Locations(Document(None, {}, {}), matrix.file), plugins, matrix.datasets)
        read = reader.classifier_use if ref.kind == "classifier" else reader.generator
        use = read(use if isinstance(use, ClassifierUse) else {"name": ref.plugin, **use}, Where())
        if use is None or reader.errors:
            wrong = reader.errors[0]
            place = f" at {'.'.join(map(str, wrong.path))}" if wrong.path else ""
            raise UserError(f"{owner}, '{ref.plugin}'{place}: {wrong.message}", hint=wrong.hint)
    if ref.kind != "classifier":
        use = _scoped(use, ref.scope, "pooled" if ref.kind == "generator" else None)
    return Required(ref, use, data=data)


def _taken(taken_from: TakenFrom, matrix: Matrix) -> Required:
    """The generator of a `from` in the matrix."""
    if taken_from.generator is not None:
        use = _scoped(taken_from.generator, None, "pooled")
        return Required(Ref("generator", use.name, part=taken_from.part), use)
    strategy = next((entry for entry in matrix.strategies if entry.name == taken_from.strategy), None)
    if strategy is None:
        hint = did_you_mean(str(taken_from.strategy), [entry.name for entry in matrix.strategies])
        raise UserError(f"no strategy is named '{taken_from.strategy}'", path=("from", "strategy"), hint=hint)
    if strategy.generator is None:
        raise UserError(f"the strategy '{strategy.name}' has no generator", path=("from", "strategy"))
    return Required(
        Ref("generator", strategy.generator.name, part=taken_from.part), strategy.generator, strategy
    )


def _refuse_no_part(required: Required, plugins: PluginLookup, at: tuple[str, ...]) -> None:
    """Raises UserError if a generator lacks the part. A spec need not list its parts; then a worker finds out."""
    part, parts = required.ref.part, getattr(plugins.get(required.kind, required.use.name), "parts", None)
    if part is not None and parts is not None and part not in parts:
        hint = did_you_mean(part, parts) if parts else "it has no networks"
        raise UserError(f"'{required.use.name}' has no part '{part}'", path=at, hint=hint)


def _scoped(use: GeneratorUse, scope: str | None, default: str | None) -> GeneratorUse:
    """The generator with the scope that is asked for, else its own, else `default`."""
    wanted = scope or use.options.scope or default
    if wanted == use.options.scope:
        return use
    return use.model_copy(update={"options": use.options.model_copy(update={"scope": wanted})})


def _written(use: Use) -> str:
    """Text that is equal for equal uses of a plugin."""
    return use.model_dump_json(exclude={"label"})


def _builders(kind: str, plugins: PluginLookup) -> str:
    names = [name for name in plugins.names(kind) if plugins.get(kind, name).requires]
    return f"plugins that require others: {', '.join(names)}" if names else ""


__all__ = ["FROM", "Kind", "Required", "Use", "needs_generator", "required_of", "requirements"]
