"""Tables beside images, read as columns of text: comma-, tab- and semicolon-separated text, XLSX and Parquet.

A reader opens the header, looks up the columns that it knows, and then reads only these::

    table = open_table(file)
    image = table.column("image_id", "image", "isic_id")  # the first of these that exists, as it is written
    age = table.optional("age", "age_approx")             # None if there is none
    rows = table.read([image, age], verbatim=[])          # columns of text; a missing value is None
    rows[image]                                           # list[str | None], one value per row
    rows.numbers(age)                                     # list[float | None]
    raise rows.error("the age is negative", 7, column=age)  # names the file, the line and the column

Values stay the text that is written: `001` keeps its zeros. Names of columns are looked up without regard to case, and
with spaces, hyphens and underscores alike.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from derm_bench.errors import UserError, did_you_mean
from derm_bench_plugins.datasets import files
from derm_bench_plugins.datasets.table_formats import Source, open_source

MISSING = frozenset(
    {"", "nan", "na", "n/a", "#n/a", "<na>", "nat", "none", "null", "nil", "unknown", "missing", "?", "-"}
)
"""Values that stand for a missing one, in lower case."""

NEVER_TEXT = frozenset({"", "nan", "#n/a", "<na>", "nat", "null"})
"""Those that stand for a missing one in labels, too, where `none` and `unknown` may be classes."""

SUFFIXES = (".csv", ".tsv", ".tab", "", ".txt", ".parquet", ".xlsx")
"""Endings of the names of tables, in the order in which one of several is chosen."""

_COPY = re.compile(r"(?: ?\(\d+\)| - copy| copy)$", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """The header of a table. `header` has the names of its columns as they are written, without unnamed ones."""

    file: Path
    header: tuple[str, ...]
    source: Source

    @property
    def note(self) -> str:
        """What is unusual about the file, as a sentence; empty if nothing is."""
        return self.source.note

    def optional(self, *names: str | None) -> str | None:
        """Return the column, as it is written, that has the first of the `names` that exists; None if there is none.

        Raises UserError if two columns have the same name but for case, spaces, hyphens and underscores.
        """
        for name in filter(None, names):
            if name in self.header:
                return name
            alike = [column for column in self.header if _plain(column) == _plain(name)]
            if len(alike) > 1:
                message = f"two columns are called '{name}': {', '.join(alike)}"
                raise UserError(message, file=self.file, line=self.source.header_line)
            if alike:
                return alike[0]
        return None

    def column(self, *names: str, path: Sequence[str | int] = ()) -> str:
        """Return the column, as it is written, that has the first of the `names` that exists.

        Raises UserError, with the nearest name, if there is none. `path` is the option that names the column, if one
        does.
        """
        found = self.optional(*names)
        if found is not None:
            return found
        wanted = f"column '{names[0]}'" + (f" (or {', '.join(names[1:])})" if len(names) > 1 else "")
        columns = ", ".join(self.header)[:200] or "nothing"
        hint = did_you_mean(names[0], self.header)
        hint = hint if hint.startswith("did") else ""
        option = f"`{'.'.join(map(str, path))}`: " if path else ""
        raise UserError(
            f"{option}there is no {wanted}; the first line names {columns}",
            file=self.file,
            line=self.source.header_line,
            hint=hint,
        )

    def read(self, columns: Iterable[str | None], verbatim: Collection[str] = ()) -> Rows:
        """Return the values of `columns`, which `column` or `optional` returned; None among them is skipped.

        Values are without spaces at their ends, and None if they are missing (see `MISSING`). In columns in `verbatim`,
        such as labels, `none` and `unknown` are text (see `NEVER_TEXT`). Raises UserError for a row with too few or too
        many values.
        """
        wanted = list(dict.fromkeys(name for name in columns if name is not None))
        cleaned = [_Cleaner(NEVER_TEXT if name in verbatim else MISSING).__getitem__ for name in wanted]
        values: list[list[str | None]] = [[] for _ in wanted]
        filled = [column.append for column in values]
        lines = array("q")
        for line, cells in self.source.rows([self.source.names.index(name) for name in wanted]):
            lines.append(line)
            for append, clean, text in zip(filled, cleaned, cells, strict=True):
                append(clean(text))
        return Rows(self.file, dict(zip(wanted, values, strict=True)), lines)


class _Cleaner(dict[str, "str | None"]):
    """Cleaned values by the text of a cell. Equal values are one object, so that a column of few different values needs
    little memory."""

    def __init__(self, missing: Collection[str]) -> None:
        self.missing = missing

    def __missing__(self, text: str) -> str | None:
        stripped = text.strip()
        value = None if stripped.lower() in self.missing else stripped
        if len(self) < 100_000:
            self[text] = value
        return value


@dataclass(frozen=True)
class Rows:
    """Columns of text, by name, and the line of each row in the file."""

    file: Path
    columns: dict[str, list[str | None]]
    lines: Sequence[int]

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, column: str) -> list[str | None]:
        return self.columns[column]

    def error(self, message: str, row: int, *, column: str = "", hint: str = "") -> UserError:
        """Return an error about one row, counted from 0; it names file, line and column."""
        of_column = f"column '{column}': " if column else ""
        return UserError(of_column + message, file=self.file, line=self.lines[row], hint=hint)

    def names(self, column: str, what: str = "image") -> list[str]:
        """Return a column in which every row has another value, such as that of the image ids.

        Raises UserError, with the lines, if a value is missing or occurs twice.
        """
        seen: dict[str, int] = {}
        for row, value in enumerate(self.columns[column]):
            if value is None:
                raise self.error(f"this row names no {what}", row, column=column)
            first = seen.setdefault(value, row)
            if first != row:
                message = f"'{value}' occurs twice, first in line {self.lines[first]}"
                raise self.error(message, row, column=column)
        return list(seen)

    def numbers(self, column: str) -> list[float | None]:
        """Return a column as numbers; a comma may be the decimal mark. Raises UserError for a value that is none."""
        known: dict[str | None, float | None] = {None: None}
        for row, text in enumerate(self.columns[column]):
            if text is not None and text not in known:
                try:
                    known[text] = float(text.replace(",", "."))
                except ValueError:
                    raise self.error(f"'{text}' is not a number", row, column=column) from None
        return [known[text] for text in self.columns[column]]

    def one_hot(self, columns: Sequence[str], otherwise: str | None = None) -> list[str]:
        """Return, for each row, the one of `columns` whose value is 1 while the others are 0.

        `otherwise` is the label of a row of zeros; without it such a row is an error. Raises UserError for other
        values, and for a row with several ones.
        """
        labels = []
        cells = [self.columns[name] for name in columns]
        for row, values in enumerate(zip(*cells, strict=True)):
            ones = [name for name, text in zip(columns, values, strict=True) if self._is_one(text, row, name)]
            if len(ones) != 1 and (ones or otherwise is None):
                found = f"{', '.join(ones)} are 1" if ones else "none is 1"
                raise self.error(f"exactly one of {', '.join(columns)} must be 1, but {found}", row)
            labels.append(ones[0] if ones else str(otherwise))
        return labels

    def _is_one(self, text: str | None, row: int, column: str) -> bool:
        if text in _ONE or text in _ZERO:
            return text in _ONE
        raise self.error(f"'{text or ''}' is neither 0 nor 1", row, column=column)


_ONE = ("1", "1.0", "True", "true", "TRUE")
_ZERO = ("0", "0.0", "False", "false", "FALSE")


def open_table(file: Path, *, header: Sequence[str] = ()) -> Table:
    """Open a table and read its header: the first row, or the first one with one of the names in `header`, for tables
    with other text above.

    Its format follows from the suffix: `.xlsx` (with the extra `xlsx`), `.parquet`, and text for all others, whose
    separator (comma, semicolon, tab or |) and encoding (UTF-8, UTF-16 or Windows-1252) follow from the content. A first
    column without a name, or called `Unnamed: 0`, is an index and no column of the table.

    Raises UserError if the file is not a regular one, is too large, cannot be read, or names a column twice.
    """
    place = file.expanduser().absolute()
    wanted = {_plain(name) for name in header}
    found_in = (lambda cells: not wanted.isdisjoint(map(_plain, cells))) if wanted else None
    source = open_source(place, found_in)
    named = [name for name in source.names if name and not re.fullmatch(r"Unnamed: \d+(_level_\d+)?", name)]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        message = f"names the column {files.some(twice)} twice"
        raise UserError(message, file=place, line=source.header_line, hint="rename or remove one of them")
    if not named:
        raise UserError("is empty: its first line should name the columns", file=place)
    return Table(place, tuple(named), source)


def find_table(folder: Path, *stems: str) -> Path | None:
    """Return the table in `folder` that has the first of these names that exists; None if there is none.

    A stem stands for the name without suffix, in any case, with any suffix of `SUFFIXES`, and also for copies that a
    browser made, such as `stem (1).csv`. Raises UserError if there are several copies and no original.
    """
    present: dict[str, list[tuple[int, Path]]] = {}
    copies: dict[str, list[Path]] = {}
    for path in files.entries(folder):
        suffix = path.suffix.lower() if path.suffix.lower() in SUFFIXES else ""
        stem = path.name[: len(path.name) - len(suffix)].lower()
        if path.name.startswith(".") or path.is_dir():
            continue
        present.setdefault(stem, []).append((SUFFIXES.index(suffix), path))
        original = _COPY.sub("", stem)
        if original != stem:
            copies.setdefault(original, []).append(path)
    for stem in map(str.lower, stems):
        if stem in present:
            return min(present[stem])[1]
        if len(copies.get(stem, ())) > 1:
            message = f"{folder} has several copies of one table: {files.some(p.name for p in copies[stem])}"
            raise UserError(message, hint="keep one of them")
        if stem in copies:
            return copies[stem][0]
    return None


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", "_", name.strip().lower())
