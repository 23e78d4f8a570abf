"""What a run directory holds: its files, and the columns of its tables with dtype, unit and meaning.

`docs/run-directory.md` says the same, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SCHEMA = 1
"""The version of this layout, stated in the manifest as `schema`. It is raised when readers have to change."""

Dtype = Literal["text", "integer", "real"]
"""`text` is never missing but may be empty; `integer` is int64, `real` float64, and both may be missing."""


@dataclass(frozen=True)
class Column:
    """One column: its name (`<...>` stands for one column each), dtype, unit ("" for none) and meaning."""

    name: str
    dtype: Dtype
    unit: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """One table: its file, what one row is, its columns in order, and the columns that may follow them."""

    file: str
    rows: str
    columns: tuple[Column, ...]
    more: tuple[Column, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that are always there."""
        return tuple(column.name for column in self.columns)

    def dtype(self, name: str) -> Dtype:
        """The dtype of a column; that of the columns that may follow where it is none of the fixed ones."""
        known = {column.name: column.dtype for column in self.columns}
        return known[name] if name in known else self.more[0].dtype


_DATASET = Column("dataset", "text", "", "Label of the data set.")
_FRACTION = Column("train_fraction", "real", "share", "Share of the training images that is used, in (0, 1].")
_STRATEGY = Column("strategy", "text", "", "Name of the strategy.")
_SPLIT_SEED = Column("split_seed", "integer", "", "Seed of the split.")
_GENERATOR_SEED = Column("generator_seed", "integer", "", "Seed of the generator; missing without one.")

RESULTS = Table(
    "results.csv",
    "One row per cell and test set, failed ones too.",
    (
        Column(
            "cell", "text", "", "Name of the cell: `<dataset>[@<fraction>]/<strategy>/<classifier>/<seed>`."
        ),
        _DATASET,
        _FRACTION,
        _STRATEGY,
        Column("generator", "text", "", "Label of the strategy's generator; empty without one."),
        Column("classifier", "text", "", "Label of the classifier."),
        Column("seed", "integer", "", "Seed as the matrix lists it."),
        _SPLIT_SEED,
        _GENERATOR_SEED,
        Column("classifier_seed", "integer", "", "Seed of the classifier."),
        Column("protocol", "text", "", "`fair`, or `paper` with what it permitted in brackets."),
        Column("test_set", "text", "", "Name of the test set."),
        Column(
            "status", "text", "", "`done`, `failed`, `timeout`, `oom`, `diverged`, `skipped` or `pending`."
        ),
        Column("error", "text", "", "Why the cell is not done; empty where it is."),
        Column("n_train_real", "integer", "images", "Real images that the classifier was trained on."),
        Column(
            "n_train_synthetic", "integer", "images", "Synthetic images that the classifier was trained on."
        ),
        Column("n_test", "integer", "images", "Images of the test set."),
        Column("updates", "integer", "updates", "Optimizer steps of the classifier."),
        Column(
            "generator_seconds", "real", "s", "Time that fitting and sampling the cell's generators took."
        ),
        Column(
            "generator_seconds_shared",
            "real",
            "s",
            "The same, each stage divided by the cells that share it.",
        ),
        Column(
            "train_seconds", "real", "s", "Time of the training and of the trainings that it is built on."
        ),
        Column("eval_seconds", "real", "s", "Time of the evaluation."),
        Column("peak_memory_mb", "real", "MB", "Peak resident memory of training and evaluation."),
        Column(
            "peak_device_mb", "real", "MB", "Peak device memory of training and evaluation; 0 on the CPU."
        ),
    ),
    (
        Column(
            "<metric>",
            "real",
            "",
            "A classification metric; the manifest's `metrics` says which way is better.",
        ),
    ),
)

SUMMARY = Table(
    "summary.csv",
    "One row per data set, training fraction, test set, strategy, classifier, metric and baseline.",
    (
        _DATASET,
        _FRACTION,
        Column("test_set", "text", "", "Name of the test set; empty for a metric of images."),
        _STRATEGY,
        Column("classifier", "text", "", "Label of the classifier; empty for a metric of images."),
        Column("metric", "text", "", "Name of the metric."),
        Column("baseline", "text", "", "What the row compares with; empty in the baseline's own row."),
        Column("n_seeds", "integer", "seeds", "Distinct finished runs that the mean is taken over."),
        Column("mean", "real", "", "Mean of the metric over seeds."),
        Column("std", "real", "", "Sample standard deviation (n - 1); missing for one seed."),
        Column("ci_low", "real", "", "Lower end of the mean's Student-t interval."),
        Column("ci_high", "real", "", "Upper end of the mean's Student-t interval."),
        Column("delta", "real", "", "Mean difference to the baseline, paired by seed."),
        Column("delta_ci_low", "real", "", "Lower end of the difference's Student-t interval."),
        Column("delta_ci_high", "real", "", "Upper end of the difference's Student-t interval."),
        Column("p_value", "real", "", "p value of the comparison; missing where no test was made."),
        Column("p_holm", "real", "", "The same after Holm's correction."),
        Column(
            "verdict",
            "text",
            "",
            "`helps`, `hurts`, `equivalent` or `inconclusive`; empty without a verdict.",
        ),
    ),
)

FIDELITY = Table(
    "fidelity.csv",
    "One row per generator, seed, class, metric and step; `real-holdout` and `noise` under the strategy `control`.",
    (
        _DATASET,
        _FRACTION,
        Column("strategy", "text", "", "Name of the strategy, or `control`."),
        Column("generator", "text", "", "Name of the generator, or of the control."),
        _SPLIT_SEED,
        _GENERATOR_SEED,
        Column("class", "text", "", "The class; `all` for a generator that does not tell classes apart."),
        Column("metric", "text", "", "Name of the metric of images."),
        Column("step", "text", "updates", "Update of the snapshot, or `last` for the end of the fit."),
        Column("value", "real", "", "Value of the metric."),
        Column("ci_low", "real", "", "Lower end of its interval; missing where the metric gives none."),
        Column("ci_high", "real", "", "Upper end of its interval; missing where the metric gives none."),
        Column("extractor", "text", "", "Network whose features are compared."),
        Column("reference", "text", "", "Real images that the synthetic ones are compared with."),
        Column("n_real", "integer", "images", "Real images in the comparison."),
        Column("n_synthetic", "integer", "images", "Synthetic images in the comparison."),
    ),
)

COMPOSITION = Table(
    "composition.csv",
    "One row per training set, split and class.",
    (
        _DATASET,
        _FRACTION,
        _STRATEGY,
        Column("generator", "text", "", "Label of the strategy's generator; empty without one."),
        _SPLIT_SEED,
        _GENERATOR_SEED,
        Column("split", "text", "", "`train`, `val` or `test`."),
        Column("class", "text", "", "Name of the class."),
        Column("real", "integer", "images", "Real images."),
        Column("synthetic", "integer", "images", "Synthetic images."),
    ),
)

HISTORY = Table(
    "history.csv",
    "One row per point of a training curve.",
    (
        _DATASET,
        _FRACTION,
        Column("stage", "text", "", "First 12 hexadecimal digits of the stage's key."),
        Column("role", "text", "", "`generator` or `classifier`."),
        Column("name", "text", "", "Whose network it is: a strategy, or `<strategy>/<classifier>`."),
        Column("class", "text", "", "Classes that a generator was fitted on, joined by `+`; else empty."),
        Column("seed", "integer", "", "Seed of the generator or classifier."),
        Column("step", "integer", "updates", "Optimizer steps so far."),
        Column("images", "integer", "images", "Training images shown so far."),
        Column("epoch", "real", "epochs", "Passes through the training set so far."),
        Column(
            "split", "text", "", "`train`: a mean over the steps since the last row; `val`: on validation."
        ),
        Column("metric", "text", "", "What was measured: a loss, or a classification metric."),
        Column("value", "real", "", "Its value."),
    ),
)

PREDICTIONS = Table(
    "predictions.parquet",
    "One row per cell, test set and image; images of `val` once per cell.",
    (
        Column("cell", "text", "", "Name of the cell."),
        Column("split", "text", "", "`val` or `test`."),
        Column("test_set", "text", "", "Name of the test set; empty in rows of `val`."),
        Column("image_id", "text", "", "Id of the image in its data set."),
        Column("group", "text", "", "Lesion or patient of the image."),
        Column("label", "text", "", "True class."),
        Column("predicted", "text", "", "Class of the largest probability."),
    ),
    (
        Column("p_<class>", "real", "probability", "Probability of the class; a row sums to 1."),
        Column(
            "<attribute>",
            "text",
            "",
            "An attribute of the data set (text or real), such as age or site; `attribute_<name>` where its own "
            "name is that of another column.",
        ),
    ),
)

SPLITS = Table(
    "splits/<dataset>-s<seed>.csv",
    "One row per image that the matrix uses, by id. The file's SHA-256 is the split's digest.",
    (
        Column("image_id", "text", "", "Id of the image in its data set."),
        Column("group", "text", "", "Lesion or patient of the image: never in two parts."),
        Column("label", "text", "", "Class of the image, merged as the matrix says."),
        Column("split", "text", "", "`train`, `val`, `test` or `reserve`."),
    ),
)

TABLES: Mapping[str, Table] = {
    "results": RESULTS,
    "summary": SUMMARY,
    "fidelity": FIDELITY,
    "composition": COMPOSITION,
    "history": HISTORY,
}
"""The tables that are CSV files, by name, in the order in which they are written."""

OTHER_FILES: Mapping[str, str] = {
    "samples/*.png": "Sheets of images: samples of generators, their nearest real neighbours, preprocessing.",
    "samples/index.json": "What each sheet shows.",
    "manifest.json": "What was run, on what, with which versions; the digests of all other files.",
    "figures/*.svg": "The figures of the report.",
    "figures/figures.json": "Title and caption of each figure.",
    "report.md": "The report as Markdown, with links to the other files.",
    "report.html": "The report as one page that needs no network.",
}
"""The files that are no tables, and what they hold."""

MANIFEST_KEYS: Mapping[str, str] = {
    "schema": "Version of this layout.",
    "derm_bench": "Version of derm-bench that wrote the directory.",
    "protocol_version": "Version of the rules by which stages are keyed.",
    "command": "The command line of the run.",
    "distributions": "Version of every distribution that took part, by name.",
    "machine": "Device, precision, threads, Python and system.",
    "git": "Commit and dirty flag of the repository that holds the matrix; null outside of one.",
    "matrix": "The matrix, resolved; `file` is its name without a folder.",
    "datasets": "Licence and citation of each data set, by label.",
    "metrics": "For each metric of the tables `higher_is_better` and `level` (`predictions` or `images`).",
    "splits": "Digest of each split, by `<dataset>/<seed>`.",
    "weights": "Where classifiers started that did not start from nothing, with the digest of the weights.",
    "warnings": "What to know before trusting the tables.",
    "health": "What samples were like at the end of each fit, one entry per class.",
    "files": "SHA-256 of every file of the directory but the manifest and the reports.",
    "plan": "Which stage of the store each row comes from; `report` rebuilds the tables with it.",
}
"""The keys of manifest.json."""

INDEX_KEYS: Mapping[str, str] = {
    "file": "Name of the sheet in `samples/`.",
    "shows": "`last` (end of training), `snapshots`, `neighbours`, `interpolation` or `preprocessing`.",
    "dataset": "Label of the data set.",
    "strategy": "Name of the strategy; null for preprocessing.",
    "generator": "Name of the generator; null for preprocessing.",
    "class": "The class; `all` for a generator that does not tell classes apart.",
    "seed": "Seed of the generator; null for preprocessing.",
    "step": "The update whose samples are shown; null for the end of the fit, and for several.",
    "real": "Whether real images are on the sheet.",
    "licence": "Licence of the real images; empty without any, or where the data set states none.",
}
"""The keys of each entry of samples/index.json."""
