"""Label maps: YAML files that map each label of one data set to a class of another, or to null."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from derm_bench.errors import UserError, UserErrors, did_you_mean
from derm_bench.yamlio import Document, load_yaml


def read_label_map(
    file: Path, labels: Sequence[str], classes: Sequence[str], name: str
) -> dict[str, str | None]:
    """The class of each label of the data set `name`; None for a label whose images are left out.

    Raises UserErrors with file and line for a label that the data set does not have, a class that is not in `classes`,
    and a label without a row.
    """
    document = load_yaml(file)
    found = list(_problems(document, labels, classes, name))
    if found:
        raise UserErrors(found) if len(found) > 1 else found[0]
    return dict(document.data)


def _problems(
    document: Document, labels: Sequence[str], classes: Sequence[str], name: str
) -> Iterator[UserError]:
    data, file = document.data, document.file
    if not isinstance(data, dict):
        message = "a label map has one row per label, `label: class` or `label: null`"
        yield UserError(message, file=file, line=1, hint=f"labels of '{name}': " + ", ".join(labels))
        return
    for label, target in data.items():
        line = document.line((label,))
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
        elif target is not None and target not in classes:
            message = f"{label}: no class is named '{target}'"
            yield UserError(message, file=file, line=line, hint=did_you_mean(target, classes))
    for label in labels:
        if label not in data:
            message = f"the label '{label}' of '{name}' has no row"
            near = did_you_mean(label, classes)
            hint = f"write `{label}: class`, or `{label}: null` to leave its images out; {near}"
            yield UserError(message, file=file, line=1, hint=hint)
