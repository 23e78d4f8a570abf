"""The memorization screen of a run: the tests of each fit and class, and which fits are flagged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from derm_bench.fidelity.screened import ALPHA, FLAGS
from derm_bench.rundir.planned import RunStages
from derm_bench.rundir.records import Records
from derm_bench.rundir.summary import CONTROL
from derm_bench.stats.families import holm

COPYING = ("duplicate", "blur", "bottleneck", "shuffled-label", "more-real")
"""Generators that draw real images again: controls, which are flagged by design."""


def memorization_rows(stages: RunStages, records: Records) -> list[dict[str, Any]]:
    """Return one entry per fit and class, controls included: `tests` and `members` by space, with `p_holm` after the
    correction for all classes of the fit, `flagged` (in pixels), the numbers of images, and the `reason` if there is no
    test."""
    fits: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for score in stages.scores:
        screen = records.result(score.key).get("screen")
        if screen is None:
            continue
        at = score.at.columns()
        fit = tuple(value for name, value in at.items() if name != "class")
        tests = {name: dict(test) for name, test in screen.get("tests", {}).items()}
        members = {name: dict(test) for name, test in screen.get("members", {}).items()}
        counts = {name: screen[name] for name in ("train", "held_out", "samples")}
        fits.setdefault(fit, []).append(
            {**at, "reason": screen["reason"], **counts, "tests": tests, "members": members}
        )
    rows = [row for own in fits.values() for row in own]
    for own in fits.values():
        for kind in ("tests", "members"):
            for space in dict.fromkeys(name for row in own for name in row[kind]):
                found = [row[kind][space] for row in own if space in row[kind]]
                for test, p_value in zip(found, holm([test["p_value"] for test in found]), strict=True):
                    test["p_holm"] = p_value
    for row in rows:
        row["flagged"] = any(
            row["tests"][space]["p_holm"] < ALPHA for space in FLAGS if space in row["tests"]
        )
    return rows


def memorization_warnings(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield one sentence per strategy and data set whose samples are flagged, and one per class without a test.
    Controls that draw real images again are left out."""
    flagged: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        name = f"{row['dataset']}: {row['strategy']} [{row['class']}] seed {row['generator_seed']}"
        if row["strategy"] == CONTROL:
            continue
        if row["reason"]:
            yield f"{name} was not screened for copies: {row['reason']}"
        elif row["flagged"] and row["generator"] not in COPYING:
            flagged.setdefault((row["dataset"], row["strategy"]), []).append(row)
    for (dataset, strategy), own in flagged.items():
        yield _flag(f"{dataset}: samples of {strategy}", own)


def _flag(what: str, rows: Sequence[Mapping[str, Any]]) -> str:
    space, row = min(
        ((space, row) for row in rows for space in FLAGS),
        key=lambda item: (item[1]["tests"][item[0]]["p_value"], -item[1]["tests"][item[0]]["closer"]),
    )
    test = row["tests"][space]
    where = f"class {row['class']}, seed {row['generator_seed']}, in {space}"
    said = (
        f"{what} are nearer to training images than chance allows ({test['closer']:.0%} have a training image as their "
        f"nearest real image, {test['expected']:.0%} are expected; {where}; p = {test['p_holm']:.2g} after Holm's "
        f"correction): they may be copies. Look at the sheets 'most like copies'. "
    )
    if any(test["p_holm"] < ALPHA for row in rows for name, test in row["members"].items() if name in FLAGS):
        said += "A control of training images alone is flagged as well, so that the test may be at fault. "
    return said + "A fit that is not flagged may hold copies all the same: the screen does not show privacy."
