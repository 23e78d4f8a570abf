"""Output to the terminal. Everything that may contain text of users or plugins is printed through it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from derm_bench.plain_text import printable

GOES_ON = "interrupted; the same command goes on where it stopped"
"""The last line of a command that a signal has ended."""


def say(text: str, *, err: bool = False) -> None:
    """Prints a text with control characters escaped, to stdout or stderr."""
    click.echo(printable(text), err=err)


class PlainConsole(Console):
    """A console that takes strings literally: no markup (`[bold]`), no emoji codes, and control characters escaped.

    Styles and layout of rich's objects (`Table`, `Text`, `Progress`) work as usual.
    """

    def __init__(self, **how: Any) -> None:
        super().__init__(markup=False, emoji=False, **how)

    def render_str(self, text: str, **how: Any) -> Text:
        """A string as a text. It is made printable first, so that its width is known."""
        return super().render_str(printable(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of an object, with their texts printable."""
        for segment in super().render(renderable, options):
            safe = segment.text if segment.control else printable(segment.text)
            yield segment if safe == segment.text else Segment(safe, segment.style, segment.control)
