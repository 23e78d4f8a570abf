"""The page of the command line, from its commands."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click
from markup import Lines, code, prose, row

from derm_bench.cli import COMMANDS, main_group


def cli_page() -> Lines:
    yield from ("# Command line", "")
    yield "Exit codes: 0 every selected cell is done; 1 some or all failed; 2 the input is wrong and nothing ran;"
    yield from ("130 interrupted, and the same command goes on.", "")
    for path, command in commands():
        arguments = [
            param.make_metavar(click.Context(command)) for param in command.params if is_argument(param)
        ]
        usage = " ".join([path, *(["[OPTIONS]"] if options_of(command) else []), *arguments])
        yield from (f"## {path}", "", f"```sh\n{usage}\n```", "", help_of(command), "")
        options = options_of(command)
        if options:
            yield from ("| option | meaning |", "|---|---|")
        for option in options:
            yield row(spelling(option, command), prose(option.help or "") + shown_default(option))
        yield ""


def commands() -> Iterator[tuple[str, click.Command]]:
    """(path, command) of the whole tree."""

    def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
        yield path, command
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=path)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                if inner is not None and not inner.hidden:
                    yield from walk(inner, f"{path} {name}")

    return walk(main_group, "derm-bench")


def is_argument(param: click.Parameter) -> bool:
    return isinstance(param, click.Argument)


def options_of(command: click.Command) -> list[click.Option]:
    return [param for param in command.params if isinstance(param, click.Option) and not param.hidden]


def help_of(command: click.Command) -> str:
    text = inspect.cleandoc(command.help or COMMANDS.get(command.name or "", ("", ""))[1])
    return prose(text.replace("\b\n", ""))


def spelling(option: click.Option, command: click.Command) -> str:
    names = ", ".join(option.opts)
    return code(names if option.is_flag else f"{names} {option.make_metavar(click.Context(command))}")


def shown_default(option: click.Option) -> str:
    shown = option.show_default and option.default is not None
    return f" Default: {code(str(option.default))}." if shown else ""
