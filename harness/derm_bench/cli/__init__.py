"""The command line. Subcommands are imported when they are called, so that `--help` is immediate."""

from __future__ import annotations

import gc
import sys
from typing import Any

import click

from derm_bench._version import __version__
from derm_bench.cli.signals import interrupt_when_signalled
from derm_bench.errors import UserError
from derm_bench.plain_text import recorded
from derm_bench.terminal import GOES_ON, say

# command -> (import path, one line of help). The help is written here so that `--help` imports no command.
COMMANDS = {
    "run": ("derm_bench.cli.run:run", "Plan a matrix, execute what is missing, write tables and report."),
    "plan": (
        "derm_bench.cli.plan:plan",
        "Show the cells and stages of a matrix, and which of them are cached.",
    ),
    "report": ("derm_bench.cli.report:report", "Make the figures and the report of a run directory again."),
    "answer": (
        "derm_bench.cli.answer:answer",
        "Answer the questions that a finished run settles, or say what would be needed.",
    ),
    "reproduce": (
        "derm_bench.cli.reproduce:reproduce",
        "Run the matrix of a paper, and show published values beside measured ones.",
    ),
    "verify": (
        "derm_bench.cli.verify:verify_command",
        "Check the digests of a run directory, and compute its scores again.",
    ),
    "export": (
        "derm_bench.cli.export:export_command",
        "Write a run directory into one archive that can be handed on.",
    ),
    "leaderboard": (
        "derm_bench.cli.leaderboard:leaderboard",
        "Add runs to a board; build, verify, merge and publish boards.",
    ),
    "explain": (
        "derm_bench.cli.explain:explain",
        "Show why each stage of a cell would hit or miss the cache.",
    ),
    "data": (
        "derm_bench.cli.data:data",
        "Show what is in a data set and what is wrong with it, and write a matrix for it.",
    ),
    "plugins": (
        "derm_bench.cli.plugins:plugins",
        "List plugins, show, test or write one.",
    ),
    "store": ("derm_bench.cli.store:store", "Show sizes of the store, verify digests, clean up."),
    "schema": ("derm_bench.cli.schema:schema", "Print the JSON Schema of the matrix file."),
    "doctor": (
        "derm_bench.cli.doctor:doctor",
        "Check devices, versions and weights; measure precision with --probe.",
    ),
}
INPUT_IS_WRONG = 2
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group whose commands are import paths."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        from derm_bench.specs import load_object

        return load_object(COMMANDS[cmd_name][0])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from derm_bench.errors import did_you_mean

            raise click.UsageError(
                f"{error.message.rstrip('.')}: {did_you_mean(args[0], COMMANDS)}", ctx
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="derm-bench")
@click.option("--no-plugins", is_flag=True, help="Use the built-in plugins only.")
@click.option("--strict-plugins", is_flag=True, help="Refuse to go on when an installed plugin is broken.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def main_group(ctx: click.Context, no_plugins: bool, strict_plugins: bool, debug: bool) -> None:
    """Measure whether synthetic data helps a skin classifier, which kind helps, and how much."""
    ctx.obj = {"no_plugins": no_plugins, "strict_plugins": strict_plugins, "debug": debug}


def main(args: list[str] | None = None) -> Any:
    """Entry point of `derm-bench`. Wrong input is printed and exits 2; a traceback is shown only with --debug. A signal
    that ends the command (Ctrl-C, SIGTERM, SIGHUP, SIGQUIT) exits 130, at whatever time it comes."""
    interrupt_when_signalled()
    try:
        code = _exit_code(sys.argv[1:] if args is None else args)
    except KeyboardInterrupt:  # another signal, while the first was dealt with
        code = INTERRUPTED
    sys.exit(code)


def _exit_code(arguments: list[str]) -> int:
    """Runs a command, prints its error if there is one, and returns the exit code."""
    # A plan has many small objects that stay alive. Collecting garbage after every 700 took a fifth of planning time,
    # and looking at the survivors again after twenty collections a twentieth.
    gc.set_threshold(50_000, 100, 100)
    debug = "--debug" in arguments
    try:
        code = main_group.main(args=arguments, prog_name="derm-bench", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.message = recorded(error.message)  # type: ignore[misc]  # of what the user typed
        error.show()
        return INPUT_IS_WRONG
    except UserError as error:
        if debug:
            raise
        say(f"error: {recorded(str(error))}", err=True)
        return INPUT_IS_WRONG
    except (KeyboardInterrupt, click.Abort):
        say(GOES_ON, err=True)
        return INTERRUPTED
    except OSError as error:
        if debug:
            raise
        place = f" ({error.filename})" if error.filename else ""
        say(f"error: {(error.strerror or str(error)).lower()}{place}", err=True)
        return INPUT_IS_WRONG
