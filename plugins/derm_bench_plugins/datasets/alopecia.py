"""alopecia: the data of paper 000, hair of Figaro1k as healthy and alopecia areata of DermNet in three severities.

DermNet has no severities. They come from a table with the columns `image` and `severity`, one row per photograph:

    image,severity
    train/Hair Loss Photos Alopecia and other Hair Diseases/alopecia-areata-1.jpg,mild
    alopecia-areata-2.jpg,exclude

`image` is the path below the folder of DermNet, or the name of the file if no other image has it. `severity` is `mild`,
`moderate`, `severe` or `exclude`, which leaves the photograph out. The photographs are those of the folder of hair loss
whose name has `alopecia-areata`; the table may grade others of that folder as well.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.errors import UserError
from derm_bench.label_maps import read_label_maps
from derm_bench.specs import DatasetDescription, Note
from derm_bench_plugins.datasets import files
from derm_bench_plugins.datasets.figaro1k import STYLES
from derm_bench_plugins.datasets.tables import Rows, open_table
from derm_bench_plugins.datasets.union import Union

if TYPE_CHECKING:
    from derm_bench.specs import Dataset, RawImage, Task, Unreadable
    from derm_bench_plugins.datasets.specs.alopecia import AlopeciaOptions

HAIR_LOSS = "Hair Loss Photos Alopecia and other Hair Diseases"
AREATA = re.compile(r"alopecia[-_ ]?areata", re.IGNORECASE)
SEVERITIES = ("mild", "moderate", "severe")
EXCLUDE = "exclude"
COLUMNS = ("image", "severity")
LABELS = {
    "figaro1k": dict.fromkeys(STYLES, "healthy"),
    "dermnet": {severity: severity for severity in SEVERITIES},
}
"""The class of each label of the two data sets."""
HAIR_TYPE = "hair_type"
TEMPLATE = (
    "`derm-bench data inspect FOLDER --dataset alopecia --template severity.csv` writes a table with a row for each "
    f"photograph; severities are {', '.join(SEVERITIES)}, and {EXCLUDE} leaves one out"
)


class Alopecia(Union):
    """The union of both data sets. The style of the hair is the auxiliary task `hair_type`, unknown for DermNet."""

    def __init__(self, options: AlopeciaOptions, task: Task) -> None:
        super().__init__(options, task)  # type: ignore[arg-type]
        self.parts = dict(task.inputs)
        self.graded = Graded(self.parts["dermnet"], options)
        self.parts |= {"figaro1k": Styled(self.parts["figaro1k"]), "dermnet": self.graded}

    def describe(self, options: AlopeciaOptions) -> DatasetDescription:  # type: ignore[override]
        """Return the description. Raises UserError for what is wrong in the table of severities, with file and line."""
        found = super().describe(options)  # type: ignore[arg-type]  # it has the fields of UnionOptions
        return replace(found, ordinal=options.label_map is None)

    def template(self, options: AlopeciaOptions) -> str:
        """Return the table of severities as CSV, with an empty severity for each photograph."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(COLUMNS)
        _, dermnet = options.of
        rows.writerows((name, "") for name in self.graded.photographs(dermnet.options)[1])
        return text.getvalue()

    def _maps(
        self, options: Any, found: Mapping[str, DatasetDescription]
    ) -> Mapping[str, Mapping[str, str | None]]:
        labels = {label: list(each.classes) for label, each in found.items()}
        return LABELS if options.label_map is None else read_label_maps(options.label_map, labels)


class Styled:
    """Figaro1k with the style of the hair as an auxiliary task."""

    def __init__(self, figaro: Dataset) -> None:
        self.figaro = figaro

    def describe(self, options: Any) -> DatasetDescription:
        found = self.figaro.describe(options)
        return replace(found, aux_labels={HAIR_TYPE: list(found.labels)})

    def fingerprint(self, options: Any) -> Mapping[str, str]:
        return self.figaro.fingerprint(options)

    def read(self, ids: Sequence[str]) -> Iterator[RawImage | Unreadable]:
        return self.figaro.read(ids)


class Graded:
    """The photographs of alopecia areata in DermNet, with severities as labels."""

    def __init__(self, dermnet: Dataset, options: AlopeciaOptions) -> None:
        self.dermnet, self.options = dermnet, options

    def describe(self, options: Any) -> DatasetDescription:
        whole, photographs = self.photographs(options)
        rows = self._rows(Path(options.root))
        severity = _severities(rows, whole, photographs)
        row = {name: k for k, name in enumerate(whole.ids)}
        ids = [name for name, grade in severity.items() if grade != EXCLUDE]
        left_out = [name for name, grade in severity.items() if grade == EXCLUDE]
        given = whole.given_split
        excluded = f"set aside: {rows.file.name} says {EXCLUDE}"
        return replace(
            whole,
            ids=ids,
            labels=[severity[name] for name in ids],
            classes=[name for name in SEVERITIES if name in severity.values()],
            given_split=None if given is None else [given[row[name]] for name in ids],
            notes=[*whole.notes, *([Note(excluded, left_out)] if left_out else [])],
        )

    def fingerprint(self, options: Any) -> Mapping[str, str]:
        kept = set(self.describe(options).ids)
        return {name: digest for name, digest in self.dermnet.fingerprint(options).items() if name in kept}

    def read(self, ids: Sequence[str]) -> Iterator[RawImage | Unreadable]:
        return self.dermnet.read(ids)

    def photographs(self, options: Any) -> tuple[DatasetDescription, list[str]]:
        """Return the description of DermNet's folder of hair loss, and the ids of those of alopecia areata in it."""
        whole = self.dermnet.describe(options)
        where = [k for k, label in enumerate(whole.labels) if label.lower() == HAIR_LOSS.lower()]
        given = whole.given_split
        hair_loss = replace(
            whole,
            ids=[whole.ids[k] for k in where],
            labels=[whole.labels[k] for k in where],
            given_split=None if given is None else [given[k] for k in where],
        )
        found = [name for name in hair_loss.ids if AREATA.search(name.rpartition("/")[2])]
        if not found:
            raise UserError(
                f"{options.root} has no photograph of alopecia areata: none of the {len(where)} images in "
                f"'{HAIR_LOSS}' has alopecia-areata in its name",
                hint="check `dermnet`; names are as in alopecia-areata-1.jpg",
            )
        return hair_loss, found

    def _rows(self, dermnet: Path) -> Rows:
        """The table of severities. Raises UserError if there is none, or if it lacks a column."""
        places = [dermnet / "severity.csv"]
        if self.options.root is not None:
            places.append(self.options.root / "severity.csv")
        stated = self.options.severity
        file = stated or next((place for place in places if place.is_file()), None)
        if file is None:
            looked = " and ".join(dict.fromkeys(str(place.expanduser().absolute()) for place in places))
            message = f"DermNet has no severities of alopecia: there is no {looked}"
            raise UserError(message, hint=f"write `severity: FILE`; {TEMPLATE}")
        if not file.expanduser().is_file():
            raise UserError("`severity`: there is no such file", file=file.absolute(), hint=TEMPLATE)
        table = open_table(file.expanduser())
        return table.read([table.column(name, path=("severity",)) for name in COLUMNS])


def _severities(rows: Rows, whole: DatasetDescription, photographs: Sequence[str]) -> dict[str, str]:
    """The severity of each photograph by id, in the order of ids. Raises UserError, with file and line, for an unknown
    severity or image, for two rows of one image, and for photographs without a row or severity."""
    image, severity = rows.columns
    ids = _by_name(whole.ids)
    found: dict[str, tuple[int, str | None]] = {}
    for k, name in enumerate(rows.names(image)):
        several = ids.get(name.replace("\\", "/").lower(), [])
        if len(several) != 1:
            known = "is the name of several images: write its path" if several else "is no image"
            raise rows.error(f"'{name}' {known} in the folder '{HAIR_LOSS}' of DermNet", k, column=image)
        if several[0] in found:
            line = rows.lines[found[several[0]][0]]
            raise rows.error(f"'{name}' has another row, in line {line}", k, column=image)
        found[several[0]] = (k, _grade(rows, severity, k))
    missing = [name for name in photographs if name not in found]
    empty = [name for name, (_, grade) in found.items() if grade is None]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(photographs)} photographs of alopecia areata have no row: "
            f"{files.some(missing)}",
            file=rows.file,
            hint=f"grade them, or write {EXCLUDE} to leave them out",
        )
    if empty:
        raise rows.error(
            f"{len(empty)} images have no severity yet, '{empty[0]}' among them",
            found[empty[0]][0],
            column=severity,
            hint=f"severities are {', '.join(SEVERITIES)}, and {EXCLUDE} leaves an image out",
        )
    return {name: str(found[name][1]) for name in whole.ids if name in found}


def _grade(rows: Rows, column: str, row: int) -> str | None:
    text = rows[column][row]
    if text is None or text.lower() in (*SEVERITIES, EXCLUDE):
        return text and text.lower()
    hint = f"severities are {', '.join(SEVERITIES)}, and {EXCLUDE} leaves an image out"
    raise rows.error(f"'{text}' is no severity", row, column=column, hint=hint)


def _by_name(ids: Sequence[str]) -> Mapping[str, list[str]]:
    """The ids by their path, by the name of the file, and by that without suffix, in lower case."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in ids:
        last = name.rpartition("/")[2]
        for key in dict.fromkeys((name.lower(), last.lower(), last.rpartition(".")[0].lower())):
            found[key].append(name)
    return found
