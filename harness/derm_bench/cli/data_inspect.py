"""`derm-bench data inspect`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.table import Table

from derm_bench.cli.common import find_plugins, option_values, plugin_option
from derm_bench.errors import UserError
from derm_bench.inspection.inspection import Inspection, entry_of, inspect_entry, template_of
from derm_bench.inspection.recognition import Reader, reader_of
from derm_bench.inspection.samples import (
    CLASSES_IN_TERMINAL,
    IN_TERMINAL,
    MOST_CLASSES,
    PER_CLASS,
    in_terminal,
    samples_of,
    shows_pictures,
    write_sheet,
)
from derm_bench.inspection.starter import write_matrix
from derm_bench.matrix.load import load_matrix
from derm_bench.plain_text import listed
from derm_bench.plugins import Plugins
from derm_bench.terminal import PlainConsole, say

MATRIX_SUFFIXES = (".yaml", ".yml")
CLASSES_SHOWN, NOTES_NAMES = 40, 4


@click.command("inspect")
@click.argument("place", metavar="PATH_OR_MATRIX", type=click.Path(path_type=Path))
@click.option(
    "--write",
    "matrix",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a matrix to start from, which runs within minutes. No file is written over.",
)
@click.option(
    "--sheet",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a PNG with some images of each class.",
)
@click.option(
    "--template",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the table that a person has to fill in for this data set (alopecia: severities), and nothing else. "
    "No file is written over.",
)
@click.option("--dataset", metavar="NAME", help="Read the folder as this data set.")
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="OPTION=VALUE",
    help="Set an option of the data set; VALUE is YAML.",
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@plugin_option
@click.pass_obj
def inspect(
    flags: dict[str, bool],
    place: Path,
    matrix: Path | None,
    sheet: Path | None,
    template: Path | None,
    dataset: str | None,
    sets: tuple[str, ...],
    as_json: bool,
    plugin_files: tuple[Path, ...],
) -> int:
    """Show what is in a folder of images, or in the data sets of a matrix: classes, counts, groups, sizes, attributes,
    licence, what was set aside, and what looks wrong.

    The installed data sets are asked which of them reads the folder. Sizes and codecs come from the headers of at most
    2,000 files. Only the images that are shown are decoded.
    """
    plugins, reader = find_plugins(flags, plugin_files), None
    is_matrix = place.suffix.lower() in MATRIX_SUFFIXES and not place.is_dir()
    if template is not None:
        if is_matrix:
            raise UserError("--template is for folders; this is a matrix", file=place)
        return _write_template(place, plugins, dataset, sets, template)
    if is_matrix:
        if matrix or dataset or sets:
            raise UserError("--write, --dataset and --set are for folders; this is a matrix", file=place)
        found = [_of_matrix(entry, plugins) for entry in load_matrix(place, plugins).datasets]
    else:
        inspection, reader = _of_place(place, plugins, dataset, sets)
        found = [inspection]
    if as_json:
        facts = [one.facts for one in found]
        click.echo(json.dumps(facts if is_matrix else facts[0], indent=1, default=str))
    else:
        for one in found:
            _print(one)
    if sheet is not None:
        _write_sheets(found, sheet)
    if matrix is not None and reader is not None:
        write_matrix(matrix, reader, found[0].facts)
        say(f"wrote {matrix}; next: derm-bench plan {matrix}", err=as_json)
    return 0


def _write_sheets(found: Sequence[Inspection], sheet: Path) -> None:
    """Writes a sheet for each data set; those after the first get a number in their name."""
    for number, one in enumerate(found, start=1):
        counts = {name: of["images"] for name, of in one.facts["classes"].items()}
        file = sheet if number == 1 else sheet.with_stem(f"{sheet.stem}-{number}")
        write_sheet(samples_of(one, PER_CLASS, MOST_CLASSES), counts, one.name, file)


def _write_template(
    place: Path, plugins: Plugins, name: str | None, sets: tuple[str, ...], file: Path
) -> int:
    """Writes the table to fill in of the data set that reads a folder. Raises UserError if the file exists."""
    reader = _reader(place, plugins, name, sets)
    text = template_of(entry_of(reader), reader.spec, plugins)
    try:
        with file.open("x", encoding="utf-8", newline="") as out:
            out.write(text)
    except FileExistsError:
        raise UserError(
            f"{file} exists and is not written over", hint="give --template another name"
        ) from None
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror or error}") from error
    say(f"wrote {file}; fill in the rows ({text.count(chr(10)) - 1})")
    return 0


def _of_place(
    place: Path, plugins: Plugins, name: str | None, sets: tuple[str, ...]
) -> tuple[Inspection, Reader]:
    """The data set that reads a folder, or a file that holds images. Raises UserError if there is none."""
    place = place.expanduser().absolute()
    reader = _reader(place, plugins, name, sets)
    say(f"read as {reader.name}: {reader.reason}", err=True)
    if reader.others:
        say(f"`--dataset` can read it as {listed(reader.others)}, too", err=True)
    found = inspect_entry(entry_of(reader), reader.spec, plugins)
    found.facts.update({"root": str(place), "reason": reader.reason, "others": list(reader.others)})
    return found, reader


def _reader(place: Path, plugins: Plugins, name: str | None, sets: tuple[str, ...]) -> Reader:
    place = place.expanduser().absolute()
    if not place.exists():
        raise UserError(f"{place} does not exist", hint="give a folder of images, or a matrix (.yaml)")
    return reader_of(place, plugins, name, option_values(sets))


def _of_matrix(entry: Any, plugins: Plugins) -> Inspection:
    return inspect_entry(entry, plugins.get("dataset", entry.name), plugins)


# ---------------------------------------------------------------------------------------- printing


def _print(found: Inspection) -> None:
    facts, console = found.facts, PlainConsole(highlight=False)
    console.print(
        f"{found.name}: {facts['images']:,} images of {len(facts['classes'])} classes", style="bold"
    )
    console.print(_classes(facts))
    for line in _lines(facts):
        console.print(line)
    for note in facts["notes"]:
        names = note["names"][:NOTES_NAMES]
        more = ", ..." if note["count"] > len(names) else ""
        about = f" ({note['count']:,}): {', '.join(names)}{more}" if names else ""
        console.print(f"{note['text']}{about}")
    if facts["problems"]:
        console.print("what looks wrong:", style="bold yellow")
    for problem in facts["problems"]:
        console.print(f"  - {problem}", style="yellow")
    if shows_pictures(console):
        pictures = in_terminal(samples_of(found, IN_TERMINAL, CLASSES_IN_TERMINAL), console.width)
        for text in pictures:
            console.print(text)


def _classes(facts: Mapping[str, Any]) -> Table:
    """A row for each class, and for the others together if there are many."""
    parts = [part for part in ("train", "val", "test", "none") if part in (facts["given_split"] or {})]
    grouped = facts["groups"] is not None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("class" + (" (ordered)" if facts["ordinal"] else ""), overflow="fold")
    for name in ("images", "share", *(["groups"] if grouped else []), *parts):
        table.add_column(name, justify="right")
    total = max(1, facts["images"])
    for number, (name, counts) in enumerate(facts["classes"].items()):
        if number == CLASSES_SHOWN:
            table.add_row(f"... and {len(facts['classes']) - number} more")
            break
        cells = [name, f"{counts['images']:,}", f"{counts['images'] / total:.1%}"]
        cells += [f"{counts['groups']:,}"] if grouped else []
        table.add_row(*cells, *(f"{facts['given_split'][part].get(name, 0):,}" for part in parts))
    return table


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    groups = facts["groups"]
    if groups is not None:
        yield f"groups: {groups['groups']:,}, the largest of {groups['largest']:,} images"
    for name, column in facts["attributes"].items():
        yield f"{name}: {_column(column, facts['images'])}"
    for name, number in facts["tasks"].items():
        yield f"further task {name}: {number} labels"
    if facts["masks"]:
        yield "there is a mask of each image" if facts["masks"] is True else "there are masks"
    yield from _files(facts["files"])
    if facts["licence"]:
        yield f"licence: {facts['licence']}"
    if facts["citation"]:
        yield f"citation: {facts['citation']}"


def _column(column: Mapping[str, Any], images: int) -> str:
    known = f"known of {column['known']:,} of {images:,}"
    if "min" in column:
        return f"{column['min']:g} to {column['max']:g}, {known}"
    shown = ", ".join(f"{value} {count:,}" for value, count in column["values"].items())
    more = column["different"] - len(column["values"])
    return f"{shown or 'no value'}{f' and {more:,} other values' if more > 0 else ''}; {known}"


def _files(files: Mapping[str, Any] | None) -> Iterator[str]:
    if not files:
        return
    part = files["looked_at"] < files["of"]
    of = f"{files['looked_at']:,} of {files['of']:,} headers" if part else "all headers"
    codecs = ", ".join(f"{name} {count:,}" for name, count in files["codecs"].items())
    sizes = ", ".join(f"{size} ({count:,})" for size, count in files["sizes"].items())
    more = files["different_sizes"] - len(files["sizes"])
    yield f"files ({of}): {codecs or 'none can be read'}"
    if sizes:
        yield f"sizes in pixels: {sizes}{f' and {more:,} others' if more > 0 else ''}"
        sides, weights = files["shorter_side"], files["bytes"]
        yield (
            f"shorter side: {sides['min']} to {sides['max']}, median {sides['median']:g}; median file: "
            f"{weights['median'] / 1000:,.0f} kB"
        )
