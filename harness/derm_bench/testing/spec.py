"""Rules that all kinds share: about the spec, and about the imports of the entry module."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

from derm_bench.errors import UserError
from derm_bench.options.paths import takes_paths
from derm_bench.plan.closure import file_of, unseen_imports
from derm_bench.plan.declared import declared, names_of
from derm_bench.specs import ClassifierOptions, GeneratorOptions, Options
from derm_bench.testing.rules import ConformanceError, NotApplicable, require

COMMON: dict[str, type[Options]] = {"generator": GeneratorOptions, "classifier": ClassifierOptions}
PRESETS = {"generator": ("tiny", "smoke"), "classifier": ("tiny", "smoke")}


def entry_module_imports_no_torch(case: Any) -> None:
    """The entry module does not import torch, as the parent process reads all specs and must start quickly."""
    if not case.subject.entry_modules:
        raise NotApplicable("a plugin of one file may import torch, for which every command then waits")
    for module in case.subject.entry_modules:
        heavy = heavy_imports(module)
        require(
            not heavy,
            f"importing the entry module '{module}' imports {heavy}; keep specs and options in it, and move networks "
            "into the module that `create` names, which only workers import",
        )


def has_a_summary(case: Any) -> None:
    """The spec has a `summary`, which lists and reports show."""
    require(
        bool(case.subject.spec.summary.strip()),
        f"{case.subject.spec.name}: give the spec a one-line `summary`",
    )


def options_are_documented(case: Any) -> None:
    """Every option that the plugin adds has a description, and a default unless it names a file or folder."""
    spec = case.subject.spec
    common = COMMON.get(case.subject.kind, Options).model_fields
    tried = {**spec.presets.get("tiny", {}), **case.subject.given}
    for name, option in case.subject.model.model_fields.items():
        shared = common.get(name)
        require(
            bool(option.description or shared),
            f"{spec.name}: option '{name}' has no description; write "
            f'{name}: TYPE = Field(DEFAULT, description="what it does, with its unit")',
        )
        require(
            not option.is_required() or name in tried or takes_paths(option.annotation),
            f"{spec.name}: option '{name}' has no default; give it one, or a value in preset tiny",
        )


def presets_are_valid(case: Any) -> None:
    """The presets that users expect exist, and every preset is valid."""
    spec = case.subject.spec
    missing = [name for name in PRESETS.get(case.subject.kind, ()) if name not in spec.presets]
    require(
        not missing,
        f"{spec.name}: no preset {' and '.join(missing)}; give the spec presets={{'tiny': ..., 'smoke': ...}} with "
        "sizes for tests of 3 s and of 60 s",
    )
    for preset in spec.presets:
        case.subject.options(preset)


def code_is_visible(case: Any) -> str | None:
    """The key of the results covers all code that the plugin imports. Code that is imported under a computed name is
    named by `depends_on`, whose names exist."""
    spec = case.subject.spec
    try:
        names = names_of(spec)
        declared(names)
    except UserError as error:
        raise ConformanceError(f"{spec.name}: {error}") from error
    unseen = unseen_imports(spec.create, *(name for name in names if file_of(name)))
    if not unseen or names:
        return None
    module, call = unseen[0]
    more = f" (and {len(unseen) - 1} more)" if len(unseen) > 1 else ""
    return (
        f"{spec.name}: `{call.text}` in {module}, line {call.line}{more}, imports or runs code that the key of the "
        "results does not cover, so that an edit of it changes no key; name its modules, distributions and files in "
        'the spec, for example depends_on=("my_gan.blocks",)'
    )


ABOUT_SPECS = (
    entry_module_imports_no_torch,
    has_a_summary,
    options_are_documented,
    presets_are_valid,
    code_is_visible,
)


def heavy_imports(module: str) -> str:
    """Return the heavy packages that `module` imports, determined in a new interpreter."""
    return _heavy_imports(module, tuple(sys.path))


@functools.cache
def _heavy_imports(module: str, path: tuple[str, ...]) -> str:
    program = (
        f"import sys; sys.path[:0] = {list(path)!r}; import {module}; "
        "print(','.join(sorted({'torch', 'torchvision', 'timm'} & sys.modules.keys())))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ConformanceError(f"importing the entry module '{module}' failed: {last}")
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
