"""The groups of images in class folders: from a table, and of augmented copies with their source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.specs import Note
from derm_bench_plugins.datasets import files
from derm_bench_plugins.datasets.image_search import below
from derm_bench_plugins.datasets.matching import allow
from derm_bench_plugins.datasets.tables import SUFFIXES, Rows, Table, open_table

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.specs.image_folder import ImageFolderOptions

IMAGE_COLUMNS = (
    "image_id", "image", "image_name", "isic_id", "img_id", "filename", "file_name", "file", "id", "img", "path",
)  # fmt: skip
GROUP_COLUMNS = ("lesion_id", "patient_id", "group", "lesion", "patient", "subject_id", "case_id")
LABEL_COLUMNS = (
    "dx", "label", "labels", "diagnosis", "diagnostic", "class", "target", "benign_malignant", "category", "disease",
)  # fmt: skip
_TABLES = tuple(suffix for suffix in SUFFIXES if suffix not in ("", ".txt"))
MOST_TABLES = 20
"""The largest number of tables beside the class folders whose header is read."""


def find_groups(
    options: ImageFolderOptions,
    root: Path,
    ids: Sequence[str],
    sources: Mapping[str, str],
    others: Sequence[str],
) -> tuple[list[str] | None, list[Path], list[Note]]:
    """Return the group of each image, the files that were read for it, and notes; None instead of groups if nothing is
    known. An augmented copy is in the group of its source. `others` are the files below the root that are no images.

    Raises UserError if the table is invalid or ambiguous, or if more images have no row than `options` allows.
    """
    file, image, group = _stated(options, root)
    notes: list[Note] = []
    if file is None:
        group_of: dict[str, str] = {}
        notes += _noticed(root, {name.rpartition("/")[0] for name in others})
    else:
        group_of, notes = _from_table(options, file, image, group, ids, sources)
    if file is None and not sources:
        return None, [], notes
    return _joined(ids, group_of, sources), [file] if file else [], notes


def _joined(ids: Sequence[str], group_of: Mapping[str, str], sources: Mapping[str, str]) -> list[str]:
    """The group of each image: the stated one, else that of its source. Images without a group are each alone, or with
    their copies."""
    shared = set(sources.values())

    def group(name: str) -> str:
        stated = group_of.get(name, "alone:")
        if not stated.startswith("alone:"):
            return stated
        if name in sources:  # the source of a copy may be a copy
            return group(sources[name])
        return f"source:{name}" if name in shared else f"alone:{name}"

    return [group(name) for name in ids]


def _stated(options: ImageFolderOptions, root: Path) -> tuple[Path | None, str, str]:
    stated = options.groups
    if stated is None:
        file = root / "groups.csv"
        return (file if file.exists() or file.is_symlink() else None), "image", "group"
    file = stated if isinstance(stated, Path) else stated.file
    file = file.expanduser().absolute()
    if not file.exists():
        raise UserError(f"the groups file {file} does not exist", path=("groups",), hint="check `groups`")
    return (file, "image", "group") if isinstance(stated, Path) else (file, stated.image, stated.group)


def _from_table(
    options: ImageFolderOptions,
    file: Path,
    image: str,
    group: str,
    ids: Sequence[str],
    sources: Mapping[str, str],
) -> tuple[dict[str, str], list[Note]]:
    table = open_table(file)
    image, group = _columns(table, image, group)
    rows = table.read([image, group])
    by_spelling = _spellings(ids)
    group_of: dict[str, str] = {}
    strangers = []
    for k, (value, of_group) in enumerate(zip(rows[image], rows[group], strict=True)):
        if value is None:
            continue
        matches = by_spelling.get(value.replace("\\", "/").removeprefix("./"), [])
        if len(matches) > 1:
            message = f"'{value}' is ambiguous: {files.some(matches)}"
            raise rows.error(message, k, hint="write the path below root")
        strangers += [] if matches else [value]
        for name in matches:
            found = of_group or f"alone:{name}"
            if group_of.setdefault(name, found) != found:
                raise rows.error(f"'{value}' has two groups", k)
    return group_of, _left_over(options, rows, group_of, strangers, ids, sources)


def _columns(table: Table, image: str, group: str) -> tuple[str, str]:
    hint = f"name the columns: `groups: {{file: {table.file.name}, image: COLUMN, group: COLUMN}}`"
    try:
        return table.column(image), table.column(group)
    except UserError as error:
        hint = f"{error.hint}; {hint}" if error.hint else hint
        raise UserError(error.message, file=error.file, line=error.line, hint=hint) from None


def _left_over(
    options: ImageFolderOptions,
    rows: Rows,
    group_of: Mapping[str, str],
    strangers: Sequence[str],
    ids: Sequence[str],
    sources: Mapping[str, str],
) -> list[Note]:
    """Notes about images without a row and rows without an image."""
    without = [name for name in ids if name not in group_of and name not in sources]
    allow(
        without,
        len(ids),
        options,
        f"images have no row in {rows.file.name}",
        file=rows.file,
        hint="an image without a group needs a row with an empty group",
    )
    alone = [name for name in ids if group_of.get(name, "").startswith("alone:")]
    notes = [
        Note(f"images without a row in {rows.file.name}, each a group of its own", without),
        Note(f"images whose group is missing in {rows.file.name}, each a group of its own", alone),
        Note(f"rows of {rows.file.name} without an image", strangers),
    ]
    return [note for note in notes if note.names]


def _spellings(ids: Sequence[str]) -> dict[str, list[str]]:
    """Return ids by each accepted spelling: the whole path, the path without suffix, the file name, or its stem, with
    or without spaces at the ends.

    A whole path takes precedence over the other spellings.
    """
    loose: dict[str, list[str]] = defaultdict(list)
    for name in ids:
        last, whole = name.rpartition("/")[2], name.rpartition(".")[0]
        spellings = {whole, last, last.rpartition(".")[0]}
        # The values of a table are stripped of spaces at their ends.
        for spelling in spellings | {name.strip(), *(spelling.strip() for spelling in spellings)}:
            loose[spelling].append(name)
    return dict(loose) | {name: [name] for name in ids}


# ---------------------------------------------------------------------------- tables beside folders


def tables_beside(root: Path) -> list[tuple[Path, str | None, str | None]]:
    """Return the tables in the root and in folders directly below it, with the columns that look like the image and
    the label of a row. Files that are no tables are left out."""
    return [
        (table.file, table.optional(*IMAGE_COLUMNS), table.optional(*LABEL_COLUMNS))
        for table in _tables([root, *files.folders(root)])
    ]


def _noticed(root: Path, places: Container[str]) -> list[Note]:
    """Warnings about tables beside the class folders that have columns of images and of groups. `places` are the
    folders below the root in which there are files besides images: the others are not listed again."""
    notes = []
    inner = [place for place in files.folders(root) if below(root, place) in places]
    for table in _tables([root, *inner] if "" in places else inner):
        image, group = table.optional(*IMAGE_COLUMNS), table.optional(*GROUP_COLUMNS)
        if image and group:
            written = f"{{file: {table.file}, image: {image}, group: {group}}}"
            text = f"images are not grouped, but {table.file.name} beside them has the column {group}"
            notes.append(
                Note(f"{text}; `groups: {written}` keeps the images of one group together", warns=True)
            )
    return notes


def _tables(places: Iterable[Path]) -> Iterable[Table]:
    seen = 0
    for place in places:
        for path in files.entries(place, ending=_TABLES):
            if not path.name.startswith(".") and path.is_file() and seen < MOST_TABLES:
                seen += 1
                try:
                    yield open_table(path)
                except UserError:
                    continue
