"""The formats of tables: text with separators, XLSX and Parquet, each as rows of text with the number of the line."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from derm_bench.errors import UserError
from derm_bench.regular_files import open_regular

MAX_TABLE_BYTES = 2**30
"""The size in bytes of the largest table, uncompressed."""
MAX_ROWS = 10_000_000
_HEAD = 2**16
MAX_HEAD_ROWS = 200
"""The largest number of rows of a sheet above its header, empty ones too."""
_SEPARATORS = ",;\t|"


IsHeader = Callable[[Sequence[str]], bool]


class Source(Protocol):
    """A table in one format. `names` are the cells of its header, "" for one that is empty or an index; `note` is what
    is unusual about the file."""

    @property
    def names(self) -> list[str]: ...

    @property
    def header_line(self) -> int: ...

    @property
    def note(self) -> str: ...

    def rows(self, columns: Sequence[int]) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield the line of each row, counted from 1, and its cells in these columns. Empty rows are left out."""
        ...


def open_source(file: Path, is_header: IsHeader | None = None) -> Source:
    """Read the header of a table: the first row that is not empty, or the first one of which `is_header` is true, if
    there is one. Raises UserError."""
    suffix = file.suffix.lower()
    if suffix in (".xls", ".ods", ".xlsb", ".numbers", ".sav", ".dta", ".rds"):
        raise UserError(
            f"tables of the format {suffix} are not read", file=file, hint="save it as CSV or XLSX"
        )
    try:
        if suffix in (".xlsx", ".xlsm"):
            return _open_sheet(file, is_header)
        return _open_parquet(file) if suffix in (".parquet", ".pq") else _open_text(file, is_header)
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> UserError:
    if isinstance(error, IsADirectoryError):
        return UserError("is a folder and not a regular file", file=file)
    return UserError(f"cannot be read: {error.strerror or error}", file=file)


def _too_large(file: Path) -> UserError:
    return UserError(
        f"is too large: tables have at most {MAX_ROWS:,} rows and {MAX_TABLE_BYTES // 2**20:,} MiB", file=file
    )


def _checked(
    file: Path, names: list[str], cells: Sequence[str], line: int, columns: Sequence[int]
) -> list[str] | None:
    """The wanted cells of a row; None if the whole row is empty. Raises UserError for too few or too many cells."""
    if len(cells) != len(names):
        if not any(map(str.strip, cells)):
            return None
        if len(cells) < len(names) or any(map(str.strip, cells[len(names) :])):
            message = f"{len(cells)} values, but the header has {len(names)}"
            raise UserError(message, file=file, line=line)
    wanted = [cells[k] for k in columns]
    return wanted if any(wanted) or any(map(str.strip, cells)) else None


# ------------------------------------------------------------------------------------------ text


@dataclass(frozen=True)
class _Text:
    file: Path
    names: list[str]
    header_line: int
    encoding: str
    separator: str
    note: str

    def rows(self, columns: Sequence[int]) -> Iterator[tuple[int, Sequence[str]]]:
        try:
            with open_regular(self.file) as binary:
                text = io.TextIOWrapper(binary, self.encoding, newline="")
                yield from self._rows(text, columns)
        except OSError as error:
            raise _unreadable(self.file, error) from error
        except UnicodeError as error:
            raise UserError("has changed while it was read", file=self.file) from error

    def _rows(self, text: io.TextIOWrapper, columns: Sequence[int]) -> Iterator[tuple[int, Sequence[str]]]:
        reader = _reader(text, self.separator)
        last, width = 0, len(self.names)
        try:
            for cells in reader:
                line, last = last + 1, reader.line_num
                if line <= self.header_line or not cells:
                    continue
                if len(cells) == width and cells[-1]:  # nearly every row
                    yield line, [cells[k] for k in columns]
                elif (wanted := _checked(self.file, self.names, cells, line, columns)) is not None:
                    yield line, wanted
                if last > MAX_ROWS:
                    raise _too_large(self.file)
        except csv.Error as error:
            message = f"not a valid table: {error}"
            raise UserError(message, file=self.file, line=reader.line_num) from error


def _reader(text: Any, separator: str) -> Any:
    return csv.reader(text, delimiter=separator, skipinitialspace=True)


def _open_text(file: Path, is_header: IsHeader | None) -> _Text:
    encoding, head = _encoding(file)
    whole = len(head) < _HEAD
    lines = io.StringIO(head, newline="").readlines()
    skipped = 0
    separator = ""
    if lines and (stated := re.fullmatch(r"sep=(.)\s*", lines[0])):  # Excel writes and understands this line
        separator, skipped = stated[1], 1
    while skipped < len(lines) and not lines[skipped].strip():
        skipped += 1
    if is_header is not None:
        cells = (re.split(f"[{_SEPARATORS}]", line) for line in lines[skipped:])
        skipped += next((k for k, row in enumerate(cells) if is_header(row)), 0)
    body = "".join(lines[skipped:])
    separator = separator or _separator(body, whole)
    first = _records(body, separator, 2)
    names = [name.strip() for name in first[0]] if first else []
    # R writes names of rows without a name of their column.
    if len(first) > 1 and len(first[1]) == len(names) + 1 and first[1][-1].strip():
        names = ["", *names]
    found = {"utf-8-sig": "", "cp1252": "Windows-1252", "latin-1": "Latin-1"}.get(encoding, "UTF-16")
    note = f"{file.name} is read as {found}" if found else ""
    return _Text(file, names, skipped + 1, encoding, separator, note)


def _records(text: str, separator: str, most: int) -> list[list[str]]:
    try:
        return list(
            itertools.islice((row for row in _reader(io.StringIO(text, newline=""), separator) if row), most)
        )
    except csv.Error:
        return []


def _separator(text: str, whole: bool) -> str:
    """The separator with which the first rows have as many cells as the header, and the header has the most."""

    def fits(separator: str) -> tuple[int, int]:
        rows = _records(text, separator, 20)
        rows = rows if whole or len(rows) == 20 or len(rows) < 2 else rows[:-1]
        width = len(rows[0]) if rows else 0
        alike = sum(len(row) in (width, width + 1) for row in rows)
        return (alike if width > 1 else 0, width)

    return max(_SEPARATORS, key=fits)


def _encoding(file: Path) -> tuple[str, str]:
    """The encoding of a text file, for which the whole file is decoded once, and its first characters."""
    with open_regular(file) as binary:
        head = binary.read(_HEAD)
        size = binary.seek(0, io.SEEK_END)
    if size > MAX_TABLE_BYTES:
        raise _too_large(file)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        candidates = ["utf-16"]
    elif b"\0" in head:  # in UTF-16 without a mark, one of the two bytes of most characters is zero
        zeros = [head[k::2].count(0) for k in (0, 1)]
        mostly = max(zeros) > len(head) / 5 and min(zeros) < max(zeros) / 10
        candidates = ["utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"] if mostly else []
    else:
        candidates = ["utf-8-sig", "cp1252", "latin-1"]
    for encoding in candidates:
        start = _decoded(file, encoding)
        if start is not None and "\0" not in start:
            return encoding, start
    raise UserError("is not a table of text (UTF-8, UTF-16 or Windows-1252)", file=file)


def _decoded(file: Path, encoding: str) -> str | None:
    """The first characters of a file; None if it has another encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    start = ""
    try:
        with open_regular(file) as binary:
            while block := binary.read(2**20):
                text = decoder.decode(block)
                start = start if len(start) >= _HEAD else (start + text)[:_HEAD]
            decoder.decode(b"", final=True)
    except UnicodeError:
        return None
    return start


# ------------------------------------------------------------------------------------------ XLSX


@dataclass(frozen=True)
class _Sheet:
    file: Path
    names: list[str]
    header_line: int
    note: str

    def rows(self, columns: Sequence[int]) -> Iterator[tuple[int, Sequence[str]]]:
        with _workbook(self.file) as sheet:
            for line, cells in _sheet_rows(self.file, sheet):
                if line <= self.header_line:
                    continue
                padded = cells + [""] * (len(self.names) - len(cells))
                wanted = _checked(self.file, self.names, padded, line, columns)
                if wanted is not None:
                    yield line, wanted


def _open_sheet(file: Path, is_header: IsHeader | None) -> _Sheet:
    with _workbook(file) as sheet:
        others = [name for name in sheet.parent.sheetnames if name != sheet.title]
        head = itertools.islice(_sheet_rows(file, sheet), MAX_HEAD_ROWS)
        rows = [(line, cells) for line, cells in head if any(cells)]
        for line, cells in [row for row in rows if is_header and is_header(row[1])] or rows[:1]:
            if any(cells):
                names = [cell.strip() for cell in cells]
                while names and not names[-1]:
                    names.pop()
                note = f"of {file.name}, only the sheet {sheet.title} is read" if others else ""
                return _Sheet(file, names, line, note)
    return _Sheet(file, [], 1, "")


class _workbook:
    """The first sheet of a workbook, open while the block runs."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __enter__(self) -> Any:
        try:
            import openpyxl
        except ImportError:
            raise UserError(
                "reading XLSX needs the package openpyxl",
                file=self.file,
                hint='pip install "derm-bench[xlsx]", or save the table as CSV',
            ) from None
        self.binary = open_regular(self.file)
        try:
            with zipfile.ZipFile(self.binary) as archive:
                if sum(part.file_size for part in archive.infolist()) > MAX_TABLE_BYTES:
                    raise _too_large(self.file)
            self.book = openpyxl.load_workbook(self.binary, read_only=True, data_only=True)
            sheet = self.book.worksheets[0]
            sheet.reset_dimensions()  # some programs write wrong ones
        except UserError:
            self.binary.close()
            raise
        except Exception as error:  # readers of broken archives raise nearly anything
            self.binary.close()
            raise UserError(f"not a valid XLSX file: {error}", file=self.file) from error
        return sheet

    def __exit__(self, *_: object) -> None:
        self.book.close()
        self.binary.close()


def _sheet_rows(file: Path, sheet: Any) -> Iterator[tuple[int, list[str]]]:
    rows = sheet.iter_rows()
    for line in itertools.count(1):
        try:
            cells = next(rows, None)
        except Exception as error:
            raise UserError(f"not a valid XLSX file: {error}", file=file, line=line) from error
        if cells is None:
            return
        if line > MAX_ROWS:
            raise _too_large(file)
        yield line, [_shown(cell) for cell in cells]


def _shown(cell: Any) -> str:
    """The text of a cell: a number of the format 000 keeps its zeros, and a whole number has no decimal point."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if isinstance(value, int) and re.fullmatch("0+", str(cell.number_format)):
        return str(value).zfill(len(cell.number_format))
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


# --------------------------------------------------------------------------------------- Parquet


@dataclass(frozen=True)
class _Parquet:
    file: Path
    names: list[str]
    header_line: int = 0
    note: str = ""

    def rows(self, columns: Sequence[int]) -> Iterator[tuple[int, Sequence[str]]]:
        import pyarrow as pa

        line = 0
        wanted = [self.names[k] for k in columns]
        with _parquet(self.file) as found:
            try:
                for batch in found.iter_batches(batch_size=2**14, columns=wanted):
                    cells = [_texts(batch.column(name)) for name in wanted]
                    for row in zip(*cells, strict=True) if cells else [()] * batch.num_rows:
                        line += 1
                        yield line, row
            except (pa.ArrowException, OSError) as error:
                raise UserError(f"not a valid Parquet file: {error}", file=self.file) from error


def _open_parquet(file: Path) -> _Parquet:
    import pyarrow.types as kinds

    with _parquet(file) as found:
        about = found.metadata
        size = sum(about.row_group(k).total_byte_size for k in range(about.num_row_groups))
        if about.num_rows > MAX_ROWS or size > MAX_TABLE_BYTES:
            raise _too_large(file)
        # Columns of lists, maps and bytes (images, for example) have no text.
        nested = (kinds.is_nested, kinds.is_binary, kinds.is_large_binary, kinds.is_fixed_size_binary)
        schema = found.schema_arrow
        unreadable = [f.name for f in schema if any(is_kind(f.type) for is_kind in nested)]
        names = ["" if f.name in unreadable or f.name == "__index_level_0__" else f.name for f in schema]
        return _Parquet(file, names)


class _parquet:
    """A Parquet file, open while the block runs."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __enter__(self) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.binary = open_regular(self.file)
        try:
            return pq.ParquetFile(self.binary)
        except (pa.ArrowException, OSError) as error:
            self.binary.close()
            raise UserError(f"not a valid Parquet file: {error}", file=self.file) from error

    def __exit__(self, *_: object) -> None:
        self.binary.close()


def _texts(column: Any) -> list[str]:
    """The values of an Arrow column as text; "" for a null. A whole number among floats has no decimal point, as in a
    table of integers with gaps."""
    values = column.to_pylist()
    return ["" if value is None else _plain(value) for value in values]


def _plain(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
