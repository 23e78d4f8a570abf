"""The auxiliary task that is made of the classes themselves, such as healthy against diseased. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from derm_bench.errors import UserError, did_you_mean

HEALTHY = ("healthy", "normal", "no disease", "no_disease", "no-disease")
"""Names of a class, in any case, that are understood as healthy."""


def derived_labels(
    stated: Mapping[str, Sequence[str]] | None, classes: Sequence[str]
) -> dict[str, tuple[str, ...]] | None:
    """Return the classes of each label of the derived task; None if there is none.

    `stated` are the labels of the options. Without them, the labels are `healthy` and `diseased` if one of three or
    more classes is named so (see `HEALTHY`); of two classes, the task would be that of the classes. Raises UserError
    unless every class has exactly one label.
    """
    if stated is None:
        healthy = tuple(name for name in classes if name.lower() in HEALTHY)
        if len(classes) < 3 or len(healthy) != 1:
            return None
        return {"healthy": healthy, "diseased": tuple(name for name in classes if name not in healthy)}
    named = [name for group in stated.values() for name in group]
    for name in named:
        if name not in classes:
            raise UserError(
                f"derived: the data set has no class '{name}'",
                hint=did_you_mean(name, classes) or f"classes: {', '.join(classes)}",
            )
    unnamed = [name for name in classes if name not in named]
    twice = sorted({name for name in named if named.count(name) > 1})
    if unnamed or twice:
        said = [f"no label for {', '.join(unnamed)}"] if unnamed else []
        said += [f"several labels for {', '.join(twice)}"] if twice else []
        raise UserError(
            f"derived: {' and '.join(said)}",
            hint="give every class of the data set exactly one label, such as {benign: [nv, bkl], malignant: [mel]}",
        )
    return {label: tuple(group) for label, group in stated.items()}
