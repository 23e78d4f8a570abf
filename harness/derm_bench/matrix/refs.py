"""What plugins require of others: each `Ref` with its options validated, nested ones too, cycles refused. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from derm_bench.errors import UserError, did_you_mean
from derm_bench.matrix.built_on import BuiltOnReader
from derm_bench.matrix.model import ClassifierEntry, GeneratorUse, Matrix, StrategyEntry, TakenFrom
from derm_bench.matrix.options import PluginLookup
from derm_bench.matrix.source import Source, Where
from derm_bench.specs import ClassifierUse, Ref
from derm_bench.yamlio import Document

# What stands for a plugin with options: entries of a matrix, and uses inside of other plugins' options.
Use = GeneratorUse | ClassifierEntry | ClassifierUse
Kind = Literal["generator", "classifier"]
FROM = "from"
MAX_DEPTH = 16


@dataclass(frozen=True)
class Required:
    """A `Ref` whose plugin is `use`, options validated. `strategy`: its generator is that of a strategy, fitted as it
    is there; `data`: what it is fitted on instead of real images."""

    ref: Ref
    use: Use
    strategy: StrategyEntry | None = None
    data: Required | None = None

    @property
    def kind(self) -> Kind:
        """Which kind of plugin it is."""
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
    """What a plugin with these options requires, by name. A written `from` takes the place of the plugin's own.
    Raises UserError for what cannot be made."""
    spec = plugins.get(kind, use.name)
    asked = dict(_asked(kind, use, spec.requires)) if spec.requires else {}
    source: TakenFrom | None = getattr(use, "source", None)
    if source is not None and FROM not in asked:
        raise UserError(
            f"'{use.name}' is built on no generator: it takes no `from`", hint=_builders(kind, plugins)
        )
    found = {
        name: _resolved(ref, plugins, matrix, f"'{use.name}' requires {name}")
        for name, ref in asked.items()
        if name != FROM or source is None
    }
    return found if source is None else {FROM: _taken(source, matrix), **found}


def requirements(
    kind: Kind, use: Use, plugins: PluginLookup, matrix: Matrix, above: tuple[tuple[str, str, str], ...] = ()
) -> Iterator[Required]:
    """All that a plugin requires, what those require in turn, and so on. Raises UserError at a cycle."""
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
    """Whether a generator has to be fitted for it, so that it depends on the generator's seed."""
    if getattr(use, "source", None) is not None:
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


def _asked(kind: str, use: Use, requires: Any) -> Mapping[str, Ref]:
    try:
        asked: Mapping[str, Ref] = requires(use.options)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"'{use.name}': requires(options) raised {type(error).__name__}: {error}") from error
    for name, ref in asked.items():
        if not isinstance(ref, Ref) or ref.kind not in ("generator", "classifier", "samples"):
            raise UserError(f"'{use.name}' requires {name}, which is {ref!r} and no Ref")
        if "/" in name:
            raise UserError(f"'{use.name}' calls what it requires '{name}'", hint="leave out the slash")
    return asked


def _resolved(ref: Ref, plugins: PluginLookup, matrix: Matrix, owner: str) -> Required:
    """A `Ref` with validated options; its errors say who requires it."""
    data = None
    if isinstance(ref.data, Ref):
        if ref.data.kind != "samples":
            raise UserError(
                f"{owner} fitted on a {ref.data.kind}, not on images", hint="a Ref of kind samples"
            )
        data = _resolved(ref.data, plugins, matrix, f"{owner}, which is fitted on what")
    use: Any = ref.options
    if not isinstance(use, ClassifierUse) or isinstance(use.options, dict | None):
        reader = BuiltOnReader(Source(Document(None, {}, {}), matrix.file), plugins, matrix.datasets)
        read = reader.classifier_use if ref.kind == "classifier" else reader.generator
        use = read(use if isinstance(use, ClassifierUse) else {"name": ref.plugin, **use}, Where())
        if use is None or reader.errors:
            wrong = reader.errors[0]
            place = f" at {'.'.join(map(str, wrong.path))}" if wrong.path else ""
            raise UserError(f"{owner}, '{ref.plugin}'{place}: {wrong.message}", hint=wrong.hint)
    if ref.kind != "classifier":
        use = _scoped(use, ref.scope, "pooled" if ref.kind == "generator" else None)
    return Required(ref, use, data=data)


def _taken(source: TakenFrom, matrix: Matrix) -> Required:
    """The generator of a written `from`."""
    if source.generator is not None:
        use = _scoped(source.generator, None, "pooled")
        return Required(Ref("generator", use.name, part=source.part), use)
    strategy = next((entry for entry in matrix.strategies if entry.name == source.strategy), None)
    if strategy is None:
        hint = did_you_mean(str(source.strategy), [entry.name for entry in matrix.strategies])
        raise UserError(f"no strategy is named '{source.strategy}'", path=("from", "strategy"), hint=hint)
    if strategy.generator is None:
        raise UserError(f"the strategy '{strategy.name}' has no generator", path=("from", "strategy"))
    return Required(Ref("generator", strategy.generator.name, part=source.part), strategy.generator, strategy)


def _scoped(use: GeneratorUse, scope: str | None, default: str | None) -> GeneratorUse:
    """The generator over the classes that are wanted of it."""
    wanted = scope or use.options.scope or default
    if wanted == use.options.scope:
        return use
    return use.model_copy(update={"options": use.options.model_copy(update={"scope": wanted})})


def _written(use: Use) -> str:
    """What tells one use of a plugin from another."""
    return use.model_dump_json(exclude={"label"})


def _builders(kind: str, plugins: PluginLookup) -> str:
    names = [name for name in plugins.names(kind) if plugins.get(kind, name).requires]
    return f"built on others are: {', '.join(names)}" if names else ""


__all__ = ["FROM", "Kind", "Required", "Use", "needs_generator", "required_of", "requirements"]
