"""The facts about a run in a report besides its scores: its settings, data sets and versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from derm_bench.protocols import Note
from derm_bench.report.data import ReportData, number, unique
from derm_bench.report.view import Table
from derm_bench.rundir.directory import NAMES


def title(data: ReportData) -> str:
    """The name of the matrix, and of the selection if the run is not that of the whole matrix: `quickstart@smoke`."""
    name, selection = str(data.matrix.get("name") or "derm-bench run"), data.manifest.get("selection")
    return f"{name}@{selection}" if selection else name


def badges(data: ReportData) -> list[dict[str, str]]:
    """Badges for the protocol and its permits, for the number of finished cells, and for uncommitted changes."""
    protocol = data.matrix.get("protocol") or {}
    name = str(protocol.get("name", "fair")) if isinstance(protocol, Mapping) else str(protocol)
    found = [{"text": f"protocol: {name}", "kind": "good" if name == "fair" else "warn"}]
    for permit in protocol.get("allow") or () if isinstance(protocol, Mapping) else ():
        found.append({"text": f"permits {permit}", "kind": "warn"})
    done, cells = _done(data)
    if cells:
        found.append({"text": f"{done} of {cells} cells done", "kind": "good" if done == cells else "bad"})
    if (data.manifest.get("git") or {}).get("dirty"):
        found.append({"text": "uncommitted changes", "kind": "warn"})
    return found


def _done(data: ReportData) -> tuple[int, int]:
    cells = {row["cell"] for row in data.results}
    return len(cells - {row["cell"] for row in data.results if row["status"] != "done"}), len(cells)


def facts(data: ReportData) -> list[tuple[str, str]]:
    """(name, value) pairs that describe the run, for the head of the report."""
    matrix, results = data.matrix, data.results
    done, cells = _done(data)
    fractions = unique(f"{number(r['train_fraction']) or 1:g}" for r in results)
    tests = unique(f"{int(number(r['n_test']) or 0):,}" for r in results if number(r.get("n_test")))
    sizes = unique(
        f"{d['label']} ({d['size']} px)" for d in matrix.get("datasets") or () if "size" in d and "label" in d
    )
    found = [
        ("Selection", _selection(data)),
        ("Cells", f"{done} done of {cells}" if cells else ""),
        ("Data", ", ".join(sizes or unique(r["dataset"] for r in results))),
        ("Training fractions", ", ".join(fractions) if fractions not in ([], ["1"]) else ""),
        ("Test images", " / ".join(tests)),
        ("Strategies", str(len(data.strategies))),
        ("Classifiers", ", ".join(unique(r["classifier"] for r in results if r["classifier"]))),
        ("Seeds", ", ".join(unique(str(r["seed"]) for r in results if str(r["seed"])))),
        (
            "Budget of a classifier",
            ", ".join(f"{v:,g} {k}" for k, v in (matrix.get("budget") or {}).items() if v and cells),
        ),
        ("Primary metric", _primary(data) if cells else ""),
    ]
    return [(name, value) for name, value in found if value]


def _selection(data: ReportData) -> str:
    name = data.manifest.get("selection")
    return f"{name}: flags of the command select from the matrix or change it" if name else ""


def _primary(data: ReportData) -> str:
    name, direction = data.primary.replace("_", " "), data.direction(data.primary)
    return f"{name} ({direction})" if direction else name


def sources(data: ReportData) -> list[tuple[str, str]]:
    """(data set, licence and citation) for every data set of the run."""
    stated = data.manifest.get("datasets") or {}
    rows = [
        (label, [terms.get("licence") or "licence not stated", terms.get("citation") or ""])
        for label, terms in stated.items()
    ]
    return [(label, "; ".join(filter(None, words))) for label, words in rows]


MOST_NAMES = 10
"""The largest number of names that a report shows of one note; the manifest has more."""


def notes(data: ReportData) -> list[tuple[str, str]]:
    """(data set, what it set aside) for every note of the data sets of the run."""
    noted = data.manifest.get("notes") or {}
    return [(label, _sentence(note)) for label, found in noted.items() for note in found]


def _sentence(note: Mapping[str, Any]) -> str:
    return Note(note["text"], note.get("names") or []).sentence(MOST_NAMES, note.get("count"))


NOT_SHOWN = (
    *("matrix", "warnings", "command", "plan", "health", "datasets", "notes", "metrics", "environment"),
)
"""Keys of the manifest that the section on provenance omits: other sections show them, or only programs read them."""


def provenance(data: ReportData) -> Table:
    """The command that repeats the run, then versions, digests, machine and commit, one row per single value."""
    shown = {key: value for key, value in data.manifest.items() if key not in NOT_SHOWN}
    if "files" in shown:
        shown["files"] = {
            name: digest for name, digest in shown["files"].items() if name in NAMES or name[:7] == "splits/"
        }
    command = data.manifest.get("command")
    file = data.matrix.get("file") or "MATRIX.yaml"
    again = " ".join(map(str, command)) if command else f"derm-bench run {file}"
    rows = [["run it again", "", again]]
    rows += [[key, name, text] for key, value in shown.items() for name, text in _flat("", value)]
    return Table("", ["what", "name", "value"], rows)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """(name, text) of each single value. Names of nested values are joined by commas; the entries of a list that holds
    more than single values are numbered."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}, {key}" if name else str(key), inner)
    elif isinstance(value, list | tuple) and any(isinstance(one, Mapping | list | tuple) for one in value):
        yield from _flat(name, {str(number): inner for number, inner in enumerate(value, 1)})
    elif isinstance(value, list | tuple):
        yield name, ", ".join(map(_word, value))
    elif value is not None and value != "":
        yield name, _word(value)


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
