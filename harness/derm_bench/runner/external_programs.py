"""External programs that stages would run: listed by `plan`, refused by `run` without leave."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from derm_bench.errors import UserError
from derm_bench.hashed_options import merge_paths
from derm_bench.matrix.options import compose_options
from derm_bench.plan.model import Plan
from derm_bench.plan.params import Fit
from derm_bench.plugins import Plugins
from derm_bench.specs import load_object

FLAG = "--allow-commands"


class Command(NamedTuple):
    """What a stage runs; {train} and {out} in `argv` are folders that are made then."""

    stage: str
    argv: list[str]


def line_of(argv: Sequence[str]) -> str:
    """`argv` as one line, quoted where a shell would need it. No shell sees it."""
    return " ".join(word if word in ("{train}", "{out}") else shlex.quote(word) for word in argv)


def commands(plan: Plan, keys: Iterable[str], plugins: Plugins) -> list[Command]:
    """The programs that the stages `keys` run."""
    found = []
    for stage in (plan.stages[key] for key in keys):
        name = stage.params.generator if isinstance(stage.params, Fit) else None
        spec = plugins.get("generator", name) if name else None
        if spec is not None and spec.commands:
            values = merge_paths(stage.params.options, stage.local.get("paths", {}))
            options: Any = compose_options(spec).model_validate(values)
            size, classes = options.size or stage.params.size, tuple(stage.params.fit_classes)
            argvs = load_object(spec.commands)(options, classes, size, stage.params.seed)
            found += [Command(stage.title, list(argv)) for argv in argvs]
    return found


def refuse_commands(found: list[Command], flag: str = FLAG) -> None:
    """UserError that shows them, where there are some."""
    if found:
        shown = "\n".join(f"  {line_of(command.argv)}" for command in found[:20])
        more = f"\n  and {len(found) - 20} more" if len(found) > 20 else ""
        raise UserError(
            f"the matrix runs external programs, with your rights:\n{shown}{more}",
            hint=f"where you trust them, allow it with {flag}",
        )
