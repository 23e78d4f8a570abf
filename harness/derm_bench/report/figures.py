"""All figures of a report: which there are, what they are called and how each is to be read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.report import plots, score_figures, training_figures
from derm_bench.report.data import CONTROL, ReportData, Row, Scored, group_title, number, text, unique
from derm_bench.rundir.files import read_json, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INDEX = "figures.json"
Group = tuple[str, str, str]


@dataclass(frozen=True)
class FigureFile:
    """A figure on disk: `file` is its name in the folder, `section` one of scores, classes, fidelity,
    training, data."""

    name: str
    title: str
    caption: str
    section: str
    file: str


Drawn = tuple[str, str, str, str, "Figure | None"]
"""name, title, caption, section, figure."""


def make_figures(data: ReportData, out: Path) -> list[FigureFile]:
    """Draws every figure that `data` has numbers for into `out` (made if missing) as SVG, and figures.json.

    Needs no display, touches no global state of matplotlib, and gives the same bytes for the same data.
    """
    out.mkdir(parents=True, exist_ok=True)
    files: list[FigureFile] = []
    with plots.style():
        for name, title, caption, section, figure in _draw(data):
            if figure is None:
                continue
            file = f"{len(files) + 1:02d}-{slug(name)}.svg"
            plots.save(figure, out / file)
            files.append(FigureFile(name, title, caption, section, file))
    write_text(json.dumps([asdict(file) for file in files], indent=1, ensure_ascii=False) + "\n", out / INDEX)
    return files


def read_figures(folder: Path) -> list[FigureFile]:
    """What `make_figures` wrote into a folder; [] where there is no figures.json. Raises UserError for another form."""
    index = folder / INDEX
    try:
        found = [FigureFile(**entry) for entry in read_json(index)]
    except FileNotFoundError:
        return []
    except TypeError as error:
        raise UserError(f"no list of figures: {error}", file=index) from error
    for figure in found:
        if not re.fullmatch(r"[\w.@=-]{1,120}\.svg", str(figure.file)):
            raise UserError(f"names a file that is no figure: {str(figure.file)[:60]!r}", file=index)
    return found


def slug(name: str) -> str:
    """A file name of plain letters for any label."""
    return re.sub(r"[^a-zA-Z0-9.@=]+", "-", name).strip("-.")[:80] or "figure"


def _draw(data: ReportData) -> Iterator[Drawn]:
    classes, scored = data.scored()
    done = [
        group
        for group in data.groups
        if any(r["status"] == "done" for r in data.of_group(data.results, group))
    ]
    for group in done:
        yield from _score_figures(data, group)
    for dataset, test_set in unique((group[0], group[2]) for group in done):
        if len({g[1] for g in done if (g[0], g[2]) == (dataset, test_set)}) > 1:
            yield (
                f"fractions-{dataset}-{test_set}",
                f"{dataset}: {plots.metric_label(data.primary)} against the amount of training data",
                "Mean over seeds on the same validation and test images; training subsets are nested.",
                "scores",
                score_figures.fractions(data, dataset, test_set),
            )
    for group in done:
        yield from _class_figures(data, group, classes, scored)
    for place in unique((text(r["dataset"]), text(r["train_fraction"])) for r in data.fidelity):
        yield from _fidelity_figures(data, place)
    for place in unique((text(r["dataset"]), text(r["train_fraction"])) for r in data.history):
        yield from _training_figures(data, place)
    for place in unique((text(r["dataset"]), text(r["train_fraction"])) for r in data.composition):
        rows = data.of_group(data.composition, place)
        yield (
            f"composition-{'-'.join(place)}",
            f"{group_title(place)}: training images, real and synthetic",
            "Images that one classifier was trained on, a class and a strategy; means over seeds. "
            "Validation and test images are the same for every strategy.",
            "data",
            training_figures.composition(rows, unique([*data.strategies, *(r["strategy"] for r in rows)])),
        )


def _score_figures(data: ReportData, group: Group) -> Iterator[Drawn]:
    metric, title, stem = plots.metric_label(data.primary), group_title(group), "-".join(group)
    yield (
        f"forest-{stem}",
        f"{title}: {metric} by strategy",
        "Filled marks are means over seeds, bars their 95% Student-t intervals, hollow marks single "
        "seeds; the dashed "
        "line is the baseline's mean. A bar that leaves the panel is wider than the axis; the table has "
        "its ends. "
        "Overlapping bars do not decide a paired comparison: read the differences for that.",
        "scores",
        score_figures.forest(data, group),
    )
    for baseline in data.baselines:
        yield (
            f"delta-{stem}-{baseline}",
            f"{title}: difference in {metric} to {baseline}",
            f"Mean paired difference, strategy minus {baseline} under the same seeds, with its 95% "
            f"Student-t interval. "
            f"Right of zero is better; the shaded band is ±{data.margin:g}, the margin within which a "
            f"difference "
            "counts as none. With few seeds the interval is wide because little is known.",
            "scores",
            score_figures.deltas(data, group, baseline),
        )


def _class_figures(
    data: ReportData,
    group: Group,
    classes: Sequence[str],
    scored: dict[tuple[str, str], Scored],
) -> Iterator[Drawn]:
    look, title, stem = plots.looks(data), group_title(group), "-".join(group)
    strategies, classifiers = score_figures.arms(data, group)
    rows = data.of_group(data.summary, group)
    recall = [
        m
        for m in unique(r["metric"] for r in rows)
        if m.startswith("recall_") and m != "recall_macro" and m != "recall_weighted"
    ]
    runs = {(s, c): score_figures.runs_of(data, group, s, c, scored) for s in strategies for c in classifiers}
    for classifier in classifiers:
        yield (
            f"recall-{stem}-{classifier}",
            f"{title}, {classifier}: recall of each class",
            "What a strategy gains in one class it may lose in another. Marks and bars as above.",
            "classes",
            score_figures.recalls(data, group, classifier, [m[7:] for m in recall]) if recall else None,
        )
        panels = [(s, runs[s, classifier]) for s in strategies if runs[s, classifier]]
        if not panels:
            continue
        yield (
            f"confusion-{stem}-{classifier}",
            f"{title}, {classifier}: confusion matrices",
            "Rows are true classes. Large numbers and colour: the share of that class's images that got "
            "the label of "
            "the column; small numbers: images, mean over seeds.",
            "classes",
            score_figures.confusions(panels, classes),
        )
        aucs = {
            (r["strategy"], r["metric"][4:]): value
            for r in rows
            if r["classifier"] == classifier
            and r["metric"].startswith("auc_")
            and (value := number(r["mean"])) is not None
        }
        for part, names in enumerate(plots.chunks([s for s, _ in panels], data.baselines)):
            yield (
                f"roc-{stem}-{classifier}-{part}",
                f"{title}, {classifier}: ROC curves, each class against the rest",
                "True positive rates averaged over seeds at equal false positive rates; AUC is the mean "
                "over seeds.",
                "classes",
                score_figures.roc_curves([(s, runs[s, classifier]) for s in names], classes, look, aucs),
            )
    for part, names in enumerate(
        plots.chunks([s for s in strategies if any(runs[s, c] for c in classifiers)], data.baselines)
    ):
        yield (
            f"reliability-{stem}-{part}",
            f"{title}: reliability",
            "Ten bins of equally many test images, ordered by the probability of the predicted class, "
            "seeds pooled. "
            "Below the diagonal a classifier is surer than it is right.",
            "classes",
            score_figures.reliability([(c, [(s, runs[s, c]) for s in names]) for c in classifiers], look),
        )


def _fidelity_figures(data: ReportData, place: tuple[str, str]) -> Iterator[Drawn]:
    look, rows, title = plots.looks(data), data.of_group(data.fidelity, place), group_title(place)
    last = training_figures.ends(data.of_group(data.history, place))
    for metric in unique(r["metric"] for r in rows if r["strategy"] != CONTROL):
        label, stem = plots.metric_label(metric), f"{'-'.join(place)}-{metric}"
        yield (
            f"fidelity-{stem}",
            f"{title}: {label} of the synthetic images",
            "A mark a seed. The solid line is the other half of the real training images of the class "
            "(as good as it "
            "gets at this number of images), the dotted line uniform noise.",
            "fidelity",
            training_figures.fidelity(rows, metric, data.strategies, look),
        )
        yield (
            f"fidelity-steps-{stem}",
            f"{title}: {label} while the generators train",
            "Each snapshot, and the end of training, compared with the same real images; a line a seed. The black "
            "line is the other half of the real training images.",
            "fidelity",
            training_figures.fidelity_steps(rows, metric, data.strategies, look, last),
        )


def _training_figures(data: ReportData, place: tuple[str, str]) -> Iterator[Drawn]:
    look, rows, title = plots.looks(data), data.of_group(data.history, place), group_title(place)
    for name in unique(r["name"] for r in rows if r["role"] == "generator"):
        own = [r for r in rows if r["role"] == "generator" and r["name"] == name]
        yield (
            f"generator-{'-'.join(place)}-{name}",
            f"{title}, {name}: losses of the generator's networks",
            "A line a seed, thinned by averaging. The losses of an adversarial pair do not fall like a "
            "classifier's: "
            "look for a discriminator near zero (it has won, the generator learns nothing) or for jumps.",
            "training",
            training_figures.generator_losses(own),
        )
        yield (
            f"discriminator-{'-'.join(place)}-{name}",
            f"{title}, {name}: what the discriminator says",
            "Means over a batch. Probabilities that an image is real: both near one half where it cannot tell them "
            "apart, at 1 and 0 where it always can; a critic (WGAN) has any numbers.",
            "training",
            training_figures.generator_beliefs(own),
        )
    histories: dict[str, list[Row]] = {}
    for row in rows:
        if row["role"] == "classifier":
            histories.setdefault(row["name"], []).append(row)
    for classifier in unique(r["classifier"] for r in data.results):
        curves = {
            s: histories[f"{s}/{classifier}"] for s in data.strategies if f"{s}/{classifier}" in histories
        }
        for part, names in enumerate(plots.chunks(list(curves), data.baselines)):
            yield (
                f"curves-{'-'.join(place)}-{classifier}-{part}",
                f"{title}, {classifier}: training curves",
                "A line a seed. The checkpoint that is scored was chosen on validation unless the matrix "
                "says "
                "select: last; updates are equally many in every arm under a matched budget.",
                "training",
                training_figures.classifier_curves(
                    {name: curves[name] for name in names}, look, data.primary
                ),
            )
