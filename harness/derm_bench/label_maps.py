"""Label maps: YAML files that map each label of one data set to a class of another, or to null."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from derm_bench.errors import UserError, UserErrors, did_you_mean
from derm_bench.yamlio import Document, KeyPath, load_yaml


def read_label_map(
    file: Path, labels: Sequence[str], classes: Sequence[str], name: str
) -> dict[str, str | None]:
    """The class of each label of the data set `name`; None for a label whose images are left out.

    Raises UserErrors with file and line for a label that the data set does not have, a class that is not in `classes`,
    and a label without a row.
    """
    document = load_yaml(file)
    _raise(list(_problems(document, (), document.data, labels, classes, name)))
    return dict(document.data)


def read_label_maps(
    source: Path | Mapping[str, Any], labels: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, str | None]]:
    """The class of each label of several data sets; None for a label whose images are left out.

    `labels` are those of each data set by its name. `source`, a YAML file or its content, has rows `label: class` for
    all data sets, or such rows below the name of each. Raises UserErrors with file and line for an unknown data set or
    label, and for a label without a row.
    """
    document = load_yaml(source) if isinstance(source, Path) else Document(None, dict(source), {})
    data = document.data
    if not (isinstance(data, dict) and data and all(isinstance(value, dict) for value in data.values())):
        every = list(dict.fromkeys(label for known in labels.values() for label in known))
        _raise(list(_problems(document, (), data, every, None, " + ".join(labels))))
        return {name: {label: data[label] for label in known} for name, known in labels.items()}
    found = [
        UserError(
            f"no data set is named '{name}'",
            file=document.file,
            line=document.line((name,)),
            hint=did_you_mean(str(name), labels),
        )
        for name in data
        if name not in labels
    ]
    found += [
        UserError(f"the data set '{name}' has no rows", file=document.file, line=document.line(()))
        for name in labels
        if name not in data
    ]
    for name, known in labels.items():
        if name in data:
            found += _problems(document, (name,), data[name], known, None, name)
    _raise(found)
    return {name: dict(data[name]) for name in labels}


def _raise(found: Sequence[UserError]) -> None:
    if found:
        raise UserErrors(found) if len(found) > 1 else found[0]


def _problems(
    document: Document,
    place: KeyPath,
    data: Any,
    labels: Sequence[str],
    classes: Sequence[str] | None,
    name: str,
) -> Iterator[UserError]:
    """The errors of the rows `data` at `place`; any class may be named if `classes` is None."""
    file = document.file
    if not isinstance(data, dict):
        message = "a label map has one row per label, `label: class` or `label: null`"
        yield UserError(
            message, file=file, line=document.line(place), hint=f"labels of '{name}': " + ", ".join(labels)
        )
        return
    for label, target in data.items():
        line = document.line((*place, label))
        if not isinstance(label, str):
            hint = "a label that looks like a number, a truth value or nothing is written in quotes"
            yield UserError(f"the label {label!r} is no text", file=file, line=line, hint=hint)
            continue
        if label not in labels:
            message = f"'{name}' has no label '{label}'"
            yield UserError(message, file=file, line=line, hint=did_you_mean(label, labels))
        if target is not None and not isinstance(target, str):
            hint = f"quote a class that looks like a number: {label}: '...'"
            yield UserError(f"{label}: a class or null is expected", file=file, line=line, hint=hint)
        elif target is not None and classes is not None and target not in classes:
            message = f"{label}: no class is named '{target}'"
            yield UserError(message, file=file, line=line, hint=did_you_mean(target, classes))
    for label in labels:
        if label not in data:
            message = f"the label '{label}' of '{name}' has no row"
            hint = f"write `{label}: class`, or `{label}: null` to leave its images out"
            hint += f"; {did_you_mean(label, classes)}" if classes is not None else ""
            yield UserError(message, file=file, line=document.line(place), hint=hint)
