"""External programs that stages run: `plan` lists them, and `run` refuses them without `--allow-commands`."""

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
from derm_bench.plugins.culprit import blaming
from derm_bench.specs import load_object

FLAG = "--allow-commands"


class ExternalProgram(NamedTuple):
    """A program that a stage runs. {train} and {out} in `argv` are folders that are made when it runs."""

    stage: str
    argv: list[str]


def as_line(argv: Sequence[str]) -> str:
    """`argv` as one line for display, quoted as a shell would need it. The program is run without a shell."""
    return " ".join(word if word in ("{train}", "{out}") else shlex.quote(word) for word in argv)


def programs_of(plan: Plan, keys: Iterable[str], plugins: Plugins) -> list[ExternalProgram]:
    """The external programs that the stages `keys` run."""
    found = []
    for stage in (plan.stages[key] for key in keys):
        name = stage.params.generator if isinstance(stage.params, Fit) else None
        spec = plugins.get("generator", name) if name else None
        if spec is not None and spec.commands:
            values = merge_paths(stage.params.options, stage.local.get("paths", {}))
            options: Any = compose_options(spec).model_validate(values)
            size, classes = options.size or stage.params.size, tuple(stage.params.fit_classes)
            with blaming(spec, plugins, "commands(options, classes, size, seed)"):
                argvs = load_object(spec.commands)(options, classes, size, stage.params.seed)
                found += [ExternalProgram(stage.title, list(argv)) for argv in argvs]
    return found


def refuse_programs(found: list[ExternalProgram], flag: str = FLAG) -> None:
    """Raises UserError with the list of programs, if there are any."""
    if found:
        shown = "\n".join(f"  {as_line(command.argv)}" for command in found[:20])
        more = f"\n  and {len(found) - 20} more" if len(found) > 20 else ""
        raise UserError(
            f"the matrix runs external programs, with your permissions:\n{shown}{more}",
            hint=f"if you trust them, allow them with {flag}",
        )
