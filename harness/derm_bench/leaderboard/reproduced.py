"""Published values beside measured ones: which arms of a paper's matrix stand for which rows of the paper's tables.

`leaderboards/published/arms/<matrix>.yaml` states it:

    paper: "003"
    arms:
      - {method: DermaGAN CNN + GAN, strategy: dermagan-add, classifier: dermagan-cnn}
      - {method: MobileNetV2, strategy: dermagan-add, classifier: mobilenetv2}
    classes: {malignant: mel}       # the paper's class: ours
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from derm_bench.errors import UserError, did_you_mean
from derm_bench.leaderboard.names import Label
from derm_bench.leaderboard.published import FOLDER, PublishedValue, read_published
from derm_bench.rundir.frames import Row
from derm_bench.shipped import shipped
from derm_bench.yamlio import load_yaml

MATRICES = "benchmarks/papers"
ARMS = "arms"

_MACRO = ("precision", "recall", "f1", "auc", "specificity", "average_precision")
_SAME = ("accuracy", "balanced_accuracy", "fid")
_OURS = {"loss": "log_loss"}


class PaperArm(BaseModel):
    """An arm of the matrix that stands for a method of the paper.

    method is that of the published rows; `on` (their data set), `source` and `split` select among them where a method
    has several. strategy and classifier are the arm (no classifier: image metrics); dataset and test_set are labels of
    the matrix, the former by default the only one. metrics: our metric by the paper's, where the default is not meant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Label
    on: Label | None = None
    source: Label | None = None
    split: Label | None = None
    strategy: Label
    classifier: Annotated[str, StringConstraints(max_length=255)] = ""
    dataset: Label | None = None
    test_set: Label = "test"
    metrics: dict[Label, Label] = Field(default_factory=dict)


class PaperArms(BaseModel):
    """The content of `arms/<matrix>.yaml`. classes: our class by the paper's. by_number: whether the number of the
    paper means this matrix; false for one that is about a work that the paper quotes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paper: Annotated[str, StringConstraints(pattern="^[0-9]{3}$")]
    arms: list[PaperArm] = Field(min_length=1)
    classes: dict[Label, Label] = Field(default_factory=dict)
    by_number: bool = True


@dataclass(frozen=True)
class Beside:
    """A published value beside the measured one. mean, low and high are those of summary.csv; None where the arm was
    not run, is not finished, or has too few runs for an interval."""

    published: PublishedValue
    arm: PaperArm
    metric: str
    mean: float | None
    low: float | None
    high: float | None
    runs: str = ""

    @property
    def differs(self) -> str:
        """`yes` if the published value lies outside of our interval by more than its rounding, `no` if inside, empty
        without an interval."""
        if self.low is None or self.high is None:
            return ""
        value, half = self.published.share, self.published.half_digit
        return "yes" if value + half < self.low or value - half > self.high else "no"

    def as_json(self) -> dict[str, Any]:
        """The row as JSON values; shares in [0, 1]."""
        return {
            **self.published.model_dump(by_alias=True),
            "published": self.published.share,
            "strategy": self.arm.strategy,
            "classifier": self.arm.classifier,
            "our_metric": self.metric,
            "mean": self.mean,
            "ci_low": self.low,
            "ci_high": self.high,
            "differs": self.differs,
        }


def find_matrix(name: str, folder: Path | None = None) -> Path:
    """Return the matrix of a paper: by the name of its file without `.yaml`, or by the number of the paper. Raises
    UserError, with the names that there are, if there is none or if a number has several."""
    place = shipped(MATRICES) if folder is None else folder
    known = {path.stem: path for path in sorted(place.glob("*.yaml"))}
    if name in known:
        return known[name]
    numbered = [path for stem, path in known.items() if _number(stem) == name]
    if len(numbered) == 1:
        return numbered[0]
    if numbered:
        raise UserError(f"paper {name} has several matrices", hint=", ".join(path.stem for path in numbered))
    raise UserError(f"there is no matrix of a paper '{name}'", hint=did_you_mean(name, known))


def _number(stem: str) -> str | None:
    try:
        arms = read_arms(stem)
    except UserError:
        return None
    return arms.paper if arms.by_number else None


def read_arms(name: str, folder: Path | None = None) -> PaperArms:
    """Return which arms of the matrix `name` stand for which published rows. Raises UserError if there is no such file,
    if it is not of its schema, or if an arm selects no published row."""
    path = (shipped(FOLDER) if folder is None else folder) / ARMS / f"{name}.yaml"
    document = load_yaml(path)
    try:
        arms = PaperArms.model_validate(document.data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        line = document.line(tuple(first["loc"]))
        raise UserError(first["msg"], file=path, path=first["loc"], line=line) from error
    values = read_published(arms.paper, folder)
    for number, arm in enumerate(arms.arms):
        if not any(_selects(arm, value) for value in values):
            raise UserError(
                f"paper {arms.paper} has no published row of '{arm.method}'",
                file=path,
                path=("arms", number),
                line=document.line(("arms", number)),
                hint=did_you_mean(arm.method, {value.method for value in values}),
            )
    return arms


def beside(arms: PaperArms, values: Sequence[PublishedValue], summary: Sequence[Row]) -> list[Beside]:
    """Return the published values of the arms, in the order of the arms, each with what was measured. summary: the rows
    of summary.csv. Values that have no counterpart here, such as times, are left out."""
    return [row for arm in arms.arms for row in _of_arm(arm, arms.classes, values, summary)]


def _of_arm(
    arm: PaperArm, classes: Mapping[str, str], values: Sequence[PublishedValue], summary: Sequence[Row]
) -> Iterator[Beside]:
    for value in values:
        metric = our_metric(value, arm, classes)
        if not _selects(arm, value) or metric is None:
            continue
        row = _measured(arm, metric, summary)
        known = {} if row is None else {name: row[name] for name in ("mean", "ci_low", "ci_high")}
        runs = "" if row is None else _runs(row)
        yield Beside(value, arm, metric, known.get("mean"), known.get("ci_low"), known.get("ci_high"), runs)


def _selects(arm: PaperArm, value: PublishedValue) -> bool:
    wanted = (
        (arm.method, value.method),
        (arm.on, value.dataset),
        (arm.source, value.source),
        (arm.split, value.split),
    )
    return all(ours is None or ours == theirs for ours, theirs in wanted)


def our_metric(value: PublishedValue, arm: PaperArm, classes: Mapping[str, str]) -> str | None:
    """Return the name of our metric that a published value is compared with; None if there is none."""
    if value.metric in arm.metrics:
        return arm.metrics[value.metric]
    if value.metric in _SAME:
        return value.metric
    if value.metric in _OURS:
        return _OURS[value.metric]
    if value.metric not in _MACRO:
        return None
    label = classes.get(value.class_name, value.class_name)
    if label and value.metric in ("specificity", "average_precision"):
        return None
    return f"{value.metric}_{label or 'macro'}"


def _measured(arm: PaperArm, metric: str, summary: Sequence[Row]) -> Row | None:
    """The row of summary.csv of an arm and a metric at the largest training fraction."""
    found = [
        row
        for row in summary
        if row["metric"] == metric
        and row["strategy"] == arm.strategy
        and (row["classifier"], row["test_set"]) in ((arm.classifier, arm.test_set), ("", ""))
        and arm.dataset in (None, row["dataset"])
    ]
    return max(found, key=lambda row: row["train_fraction"] or 0.0, default=None)


def _runs(row: Row) -> str:
    done, planned = row["n_seeds"], row["n_planned"]
    return str(done) if planned is None or done == planned else f"{done} of {planned}"
