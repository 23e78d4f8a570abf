"""All figures of a report, with their titles and captions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.report import plots, score_figures, training_figures
from derm_bench.report.across_data_sets import critical_differences
from derm_bench.report.data import (
    CONTROL,
    IN_TABLES_ONLY,
    ReportData,
    Row,
    Scored,
    group_title,
    number,
    text,
    unique,
)
from derm_bench.rundir.files import read_json, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INDEX = "figures.json"
Group = tuple[str, str, str]
Place = tuple[str, str]


@dataclass(frozen=True)
class FigureFile:
    """A figure on disk. `file` is its name in the folder; `section` is scores, classes, fidelity, training or data."""

    name: str
    title: str
    caption: str
    section: str
    file: str


Drawn = tuple[str, str, str, str, "Figure | None"]
"""name, title, caption, section, figure."""


def make_figures(data: ReportData, out: Path) -> list[FigureFile]:
    """Draws every figure for which `data` has values as SVG into the folder `out`, which is created if it is missing,
    and writes figures.json.

    Needs no display, changes no global state of matplotlib, and gives the same bytes for the same data.
    """
    out.mkdir(parents=True, exist_ok=True)
    files: list[FigureFile] = []
    with plots.style():
        for name, title, caption, section, figure in all_figures(data):
            if figure is None:
                continue
            file = f"{len(files) + 1:02d}-{slug(name)}.svg"
            plots.save(figure, out / file)
            files.append(FigureFile(name, title, caption, section, file))
    write_text(json.dumps([asdict(file) for file in files], indent=1, ensure_ascii=False) + "\n", out / INDEX)
    return files


def read_figures(folder: Path) -> list[FigureFile]:
    """Reads figures.json as `make_figures` wrote it; [] if it is missing. Raises UserError if its content is
    invalid."""
    index = folder / INDEX
    try:
        found = [FigureFile(**entry) for entry in read_json(index)]
    except FileNotFoundError:
        return []
    except TypeError as error:
        raise UserError(f"not a list of figures: {error}", file=index) from error
    for figure in found:
        if not re.fullmatch(r"[\w.@=-]{1,120}\.svg", str(figure.file)):
            raise UserError(f"lists a file that is not a figure: {str(figure.file)[:60]!r}", file=index)
    return found


def slug(name: str) -> str:
    """A file name of plain characters for any label."""
    return re.sub(r"[^a-zA-Z0-9.@=]+", "-", name).strip("-.")[:80] or "figure"


def all_figures(data: ReportData) -> Iterator[Drawn]:
    """Yields every figure of a report, inside of `plots.style`; None in place of one without values in the data."""
    """Yields every figure of a report; None in place of one that the data have no values for."""
    classes, scored = data.scored()
    done = [
        group
        for group in data.groups
        if any(row["status"] == "done" for row in data.of_group(data.results, group))
    ]
    for group in done:
        yield from _score_figures(data, group)
    yield from _fraction_figures(data, done)
    yield (
        "critical-differences",
        "All data sets: mean ranks of the arms",
        "Mean ranks over data sets, 1 is best. Bars join arms that Nemenyi's test cannot tell apart. Data sets are the "
        "replicates, and with few of them the critical difference is large.",
        "scores",
        critical_differences(data),
    )
    for group in done:
        yield from _class_figures(data, group, classes, scored)
    for place in _places(data.fidelity):
        yield from _fidelity_figures(data, place)
    for place in _places(data.history):
        yield from _generator_figures(data, place)
        yield from _classifier_figures(data, place)
    for place in _places(data.composition):
        rows = data.of_group(data.composition, place)
        yield (
            f"composition-{'-'.join(place)}",
            f"{group_title(place)}: training images, real and synthetic",
            "Training images of one run per class and strategy, mean over seeds. Validation and test images are the "
            "same for every strategy.",
            "data",
            training_figures.composition(rows, unique([*data.strategies, *(r["strategy"] for r in rows)])),
        )


def _places(rows: Sequence[Row]) -> list[Place]:
    return unique((text(row["dataset"]), text(row["train_fraction"])) for row in rows)


def _better(data: ReportData, metric: str, *, difference: bool = False) -> str:
    """A sentence that says which direction is better; an empty string if it is unknown."""
    higher = data.higher_is_better(metric)
    if higher is None:
        return ""
    if difference:
        return f"{'Right' if higher else 'Left'} of zero is better. "
    return f"{'Higher' if higher else 'Lower'} is better. "


def _score_figures(data: ReportData, group: Group) -> Iterator[Drawn]:
    metric, title, stem = plots.metric_label(data.primary), group_title(group), "-".join(group)
    yield (
        f"forest-{stem}",
        f"{title}: {metric} by strategy",
        f"Filled marks are means over seeds, bars their {data.level} intervals, hollow marks single seeds. "
        f"{_better(data, data.primary)}The dashed line is the mean of the baseline. A bar that leaves the panel is "
        "wider than the axis; the table gives its ends. Overlapping bars do not decide a paired comparison: see the "
        "figure of differences.",
        "scores",
        score_figures.forest(data, group),
    )
    for baseline in data.baselines:
        yield (
            f"delta-{stem}-{baseline}",
            f"{title}: difference in {metric} to {baseline}",
            f"Mean paired difference, strategy minus {baseline} under the same seeds, with its {data.level} interval, "
            "which covers other seeds and other test images. Filled marks are differences that the data support after "
            f"Holm's correction; hollow ones are not. {_better(data, data.primary, difference=True)}The shaded band is "
            f"±{data.margin:g}, the margin within which a difference counts as no difference.",
            "scores",
            score_figures.deltas(data, group, baseline),
        )


def _fraction_figures(data: ReportData, done: Sequence[Group]) -> Iterator[Drawn]:
    for dataset, test_set in unique((group[0], group[2]) for group in done):
        if len({g[1] for g in done if (g[0], g[2]) == (dataset, test_set)}) > 1:
            yield (
                f"fractions-{dataset}-{test_set}",
                f"{dataset}: {plots.metric_label(data.primary)} against the amount of training data",
                f"Mean over seeds on the same validation and test images; training subsets are nested. "
                f"{_better(data, data.primary)}".strip(),
                "scores",
                score_figures.fractions(data, dataset, test_set),
            )


def _class_figures(
    data: ReportData, group: Group, classes: Sequence[str], scored: dict[tuple[str, str], Scored]
) -> Iterator[Drawn]:
    strategies, classifiers = score_figures.arms(data, group)
    runs = {(s, c): score_figures.runs_of(data, group, s, c, scored) for s in strategies for c in classifiers}
    for classifier in classifiers:
        yield _recalls(data, group, classifier)
        panels = [(s, runs[s, classifier]) for s in strategies if runs[s, classifier]]
        if panels:
            yield from _prediction_figures(data, group, classifier, panels, classes)
    look, title, stem = plots.looks(data), group_title(group), "-".join(group)
    drawn = [s for s in strategies if any(runs[s, c] for c in classifiers)]
    for part, names in enumerate(plots.chunks(drawn, data.baselines)):
        yield (
            f"reliability-{stem}-{part}",
            f"{title}: reliability",
            "Ten bins of equally many test images, ordered by the probability of the predicted class, seeds pooled. "
            "Below the diagonal the classifier is overconfident.",
            "classes",
            score_figures.reliability([(c, [(s, runs[s, c]) for s in names]) for c in classifiers], look),
        )


def _recalls(data: ReportData, group: Group, classifier: str) -> Drawn:
    metrics = unique(row["metric"] for row in data.of_group(data.summary, group))
    names = [
        m[7:] for m in metrics if m.startswith("recall_") and m not in ("recall_macro", "recall_weighted")
    ]
    return (
        f"recall-{'-'.join(group)}-{classifier}",
        f"{group_title(group)}, {classifier}: recall of each class",
        "A strategy may improve one class and worsen another. Marks and bars are as in the figure of scores.",
        "classes",
        score_figures.recalls(data, group, classifier, names) if names else None,
    )


def _prediction_figures(
    data: ReportData,
    group: Group,
    classifier: str,
    panels: Sequence[tuple[str, Sequence[Scored]]],
    classes: Sequence[str],
) -> Iterator[Drawn]:
    """Confusion matrices and ROC curves of one classifier. `panels` are (strategy, predictions of its runs)."""
    look, title, stem = (
        plots.looks(data),
        f"{group_title(group)}, {classifier}",
        f"{'-'.join(group)}-{classifier}",
    )
    yield (
        f"confusion-{stem}",
        f"{title}: confusion matrices",
        "Rows are true classes. Large numbers and colour: the share of the images of that class that were assigned to "
        "the class of the column. Small numbers: images, mean over seeds.",
        "classes",
        score_figures.confusions(panels, classes),
    )
    aucs = {
        (row["strategy"], row["metric"][4:]): value
        for row in data.of_group(data.summary, group)
        if row["classifier"] == classifier
        and row["metric"].startswith("auc_")
        and (value := number(row["mean"])) is not None
    }
    runs = dict(panels)
    for part, names in enumerate(plots.chunks(list(runs), data.baselines)):
        yield (
            f"roc-{stem}-{part}",
            f"{title}: ROC curves, each class against the others",
            "True positive rates averaged over seeds at equal false positive rates; AUC is the mean over seeds.",
            "classes",
            score_figures.roc_curves([(s, runs[s]) for s in names], classes, look, aucs),
        )


def _fidelity_figures(data: ReportData, place: Place) -> Iterator[Drawn]:
    look, rows, title = plots.looks(data), data.of_group(data.fidelity, place), group_title(place)
    last = training_figures.ends(data.of_group(data.history, place))
    shown = (row["metric"] for row in rows if row["strategy"] != CONTROL)
    for metric in unique(name for name in shown if name not in IN_TABLES_ONLY):
        label, stem, better = plots.metric_label(metric), f"{'-'.join(place)}-{metric}", _better(data, metric)
        yield (
            f"fidelity-{stem}",
            f"{title}: {label} of the synthetic images",
            f"One mark per seed. {better}The solid line is the other half of the real training images of the class, at "
            "this number of images; values beyond it suggest copies of training images. The dotted line is noise.",
            "fidelity",
            training_figures.fidelity(rows, metric, data.strategies, look),
        )
        yield (
            f"fidelity-steps-{stem}",
            f"{title}: {label} while the generators train",
            f"One line per seed. {better}Each snapshot, and the end of training, is compared with the same real "
            "images. The black line is the other half of the real training images.",
            "fidelity",
            training_figures.fidelity_steps(rows, metric, data.strategies, look, last),
        )


def _generator_figures(data: ReportData, place: Place) -> Iterator[Drawn]:
    rows = [row for row in data.of_group(data.history, place) if row["role"] == "generator"]
    logged = data.manifest.get("discriminator_outputs") or {}
    for name in unique(row["name"] for row in rows):
        own = [row for row in rows if row["name"] == name]
        title, stem = f"{group_title(place)}, {name}", f"{'-'.join(place)}-{name}"
        yield (
            f"generator-{stem}",
            f"{title}: losses of the generator's networks",
            "One line per seed, averaged over windows of many points. Adversarial losses do not decrease like "
            "those of a classifier. Signs of failure are jumps, and a discriminator loss near zero, at which the "
            "generator gets no useful gradient.",
            "training",
            training_figures.generator_losses(own),
        )
        yield (
            f"discriminator-{stem}",
            f"{title}: outputs of the discriminator",
            "Means over a batch of the probability that an image is real. Both curves are near 0.5 if the "
            "discriminator cannot distinguish real from synthetic images, and at 1 and 0 if it always can. The outputs "
            "of a critic (WGAN) are not probabilities and have no fixed range.",
            "training",
            training_figures.discriminator_outputs(own, logged.get(name, ())),
        )


def _classifier_figures(data: ReportData, place: Place) -> Iterator[Drawn]:
    look, histories = plots.looks(data), dict[str, list[Row]]()
    for row in data.of_group(data.history, place):
        if row["role"] == "classifier":
            histories.setdefault(row["name"], []).append(row)
    for classifier in unique(row["classifier"] for row in data.results):
        names_of = {s: f"{s}/{classifier}" for s in data.strategies if f"{s}/{classifier}" in histories}
        for part, names in enumerate(plots.chunks(list(names_of), data.baselines)):
            curves = {name: histories[names_of[name]] for name in names}
            yield (
                f"curves-{'-'.join(place)}-{classifier}-{part}",
                f"{group_title(place)}, {classifier}: training curves",
                "One line per seed. The checkpoint that is scored was selected on validation unless the matrix says "
                "`select: last`. Under a matched budget every strategy is trained for the same number of updates.",
                "training",
                training_figures.classifier_curves(curves, look, data.primary),
            )
