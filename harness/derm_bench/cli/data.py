"""`derm-bench data`."""

from __future__ import annotations

import click

from derm_bench.cli.data_inspect import inspect


@click.group()
def data() -> None:
    """Show what is in a data set, and what is wrong with it, before anything runs."""


data.add_command(inspect)
