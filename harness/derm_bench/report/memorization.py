"""The table of the memorization screen: which fits have samples nearer to training images than to held-out ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from derm_bench.fidelity.screened import FLAGS
from derm_bench.report.data import ReportData, group_title, text
from derm_bench.report.view import Table
from derm_bench.rundir.summary import CONTROL

NOTE = (
    "Share of samples whose nearest real image is a training image of the generator and not a held-out one; in "
    "brackets the share expected by chance, given the numbers of images, and the p value after Holm's correction for "
    "all classes of a fit. The test exchanges lesions or patients between the two sides. `members only`: "
    "the least p value of the same test with half of the training images in place of the held-out ones, which should "
    "not be small. Flagged below 0.05 in pixels; the networks behind features are fitted to training images, so that "
    "their test does not flag. Real images (real-holdout) and noise stand beside. This is a screen for copies: "
    "it shows no privacy."
)


def screens(data: ReportData) -> Table | None:
    """One row per fit and class, controls last; None if nothing was screened."""
    rows = sorted(data.manifest.get("memorization") or (), key=lambda row: row["strategy"] == CONTROL)
    if not rows:
        return None
    spaces = list(dict.fromkeys(space for row in rows for space in row["tests"]))
    body, flagged = [], []
    for place, row in enumerate(rows):
        control = row["strategy"] == CONTROL
        members = [row["members"][space]["p_holm"] for space in FLAGS if space in row["members"]]
        seed = row["generator_seed"]
        body.append(
            [
                group_title((row["dataset"], text(row["train_fraction"]))),
                f"control: {row['generator']}" if control else row["strategy"],
                row["class"],
                "" if seed is None else str(seed),
                *(_test(row["tests"].get(space)) for space in spaces),
                f"{min(members):.2g}" if members else "–",
                f"{row['train']} / {row['held_out']} / {row['samples']}",
                row["reason"] or ("may be copies" if row["flagged"] else ""),
            ]
        )
        flagged += [place] if row["flagged"] else []
    columns = [f"nearer to training, in {space}" for space in spaces]
    header = [
        "data",
        "images of",
        "class",
        "seed",
        *columns,
        "members only",
        "train / held out / samples",
        "flag",
    ]
    return Table("Screen for copies of training images", header, body, NOTE, flagged=frozenset(flagged))


def _test(test: Mapping[str, Any] | None) -> str:
    if test is None:
        return "–"
    return f"{test['closer']:.0%} (chance {test['expected']:.0%}, p = {test['p_holm']:.2g})"
