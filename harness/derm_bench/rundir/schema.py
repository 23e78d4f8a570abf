"""The layout of a run directory: its files, and the columns of its tables with dtype, unit and meaning.

`docs/run-directory.md` has the same content, and a test compares the two. This file is long because every column of
every table stands in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SCHEMA = 2
"""The version of this layout, stated in the manifest as `schema`. It is increased when readers must change."""

Dtype = Literal["text", "integer", "real"]
"""`text` is never missing but may be empty; `integer` is int64, `real` float64, and both may be missing."""


@dataclass(frozen=True)
class Column:
    """One column: its name (`<...>` stands for any number of columns), dtype, unit ("" for none) and meaning."""

    name: str
    dtype: Dtype
    unit: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """One table: its file, the meaning of a row, its columns in order, and the columns that may follow them."""

    file: str
    rows: str
    columns: tuple[Column, ...]
    more: tuple[Column, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that every such table has."""
        return tuple(column.name for column in self.columns)

    def dtype(self, name: str) -> Dtype:
        """Return the dtype of a column. A name that is not in `columns` has the dtype of `more`."""
        known = {column.name: column.dtype for column in self.columns}
        return known[name] if name in known else self.more[0].dtype


_DATASET = Column("dataset", "text", "", "Label of the data set.")
_FRACTION = Column(
    "train_fraction", "real", "share", "Share of the training images that are used, in (0, 1]."
)
_STRATEGY = Column("strategy", "text", "", "Name of the strategy.")
_SPLIT_SEED = Column("split_seed", "integer", "", "Seed of the split; with kfold the fold, counted from 0.")
_GENERATOR_SEED = Column("generator_seed", "integer", "", "Seed of the generator; missing if there is none.")

RESULTS = Table(
    "results.csv",
    "One row per cell and test set, including failed cells.",
    (
        Column(
            "cell", "text", "", "Name of the cell: `<dataset>[@<fraction>]/<strategy>/<classifier>/<seed>`."
        ),
        _DATASET,
        _FRACTION,
        _STRATEGY,
        Column("generator", "text", "", "Label of the strategy's generator; empty if it has none."),
        Column("classifier", "text", "", "Label of the classifier."),
        Column("seed", "integer", "", "Seed listed in the matrix."),
        _SPLIT_SEED,
        _GENERATOR_SEED,
        Column("classifier_seed", "integer", "", "Seed of the classifier."),
        Column("protocol", "text", "", "`fair`, or `paper` followed by its permits in brackets."),
        Column("test_set", "text", "", "Name of the test set."),
        Column(
            "status", "text", "", "`done`, `failed`, `timeout`, `oom`, `diverged`, `skipped` or `pending`."
        ),
        Column("error", "text", "", "Why the cell is not done; empty if it is done."),
        Column("n_train_real", "integer", "images", "Real images that the classifier was trained on."),
        Column(
            "n_train_synthetic", "integer", "images", "Synthetic images that the classifier was trained on."
        ),
        Column("n_test", "integer", "images", "Images of the test set."),
        Column(
            "updates",
            "integer",
            "updates",
            "Batches that the classifier was trained on; fewer than the budget if `patience` stopped it.",
        ),
        Column("generator_seconds", "real", "s", "Time to fit and sample the generators of the cell."),
        Column(
            "generator_seconds_shared",
            "real",
            "s",
            "The same, with the time of each stage divided by the number of cells that share it.",
        ),
        Column("train_seconds", "real", "s", "Time of the training and of the trainings it depends on."),
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
            "A classification metric; `metrics` in the manifest has its direction.",
        ),
    ),
)

SUMMARY = Table(
    "summary.csv",
    "One row per data set, training fraction, test set, strategy, classifier, metric and baseline.",
    (
        _DATASET,
        _FRACTION,
        Column("test_set", "text", "", "Name of the test set; empty for an image metric."),
        _STRATEGY,
        Column("classifier", "text", "", "Label of the classifier; empty for an image metric."),
        Column("metric", "text", "", "Name of the metric."),
        Column("baseline", "text", "", "The baseline of the comparison; empty in the row of a baseline."),
        Column("n_seeds", "integer", "seeds", "Number of distinct finished runs in the mean."),
        Column("mean", "real", "", "Mean of the metric over seeds."),
        Column("std", "real", "", "Sample standard deviation (n - 1); missing for one seed."),
        Column(
            "ci_low", "real", "", "Lower end of the mean's interval; missing with fewer than three seeds."
        ),
        Column(
            "ci_high", "real", "", "Upper end of the mean's interval; missing with fewer than three seeds."
        ),
        Column("delta", "real", "", "Mean difference to the baseline, paired by seed; missing if a run is."),
        Column("delta_ci_low", "real", "", "Lower end of the difference's interval."),
        Column("delta_ci_high", "real", "", "Upper end of the difference's interval."),
        Column("p_value", "real", "", "p value of the comparison; missing if no test was made."),
        Column("p_holm", "real", "", "p value after Holm's correction."),
        Column(
            "verdict",
            "text",
            "",
            "`helps`, `hurts`, `equivalent` or `inconclusive`; empty if there is none.",
        ),
        Column("n_planned", "integer", "seeds", "Number of planned runs of the arm."),
        Column("df", "real", "", "Degrees of freedom of the difference's interval."),
        Column("variance_seed", "real", "", "Part of the difference's variance that is due to the seeds."),
        Column("variance_split", "real", "", "The same of repeated splits or folds."),
        Column("variance_generator", "real", "", "The same of generator seeds that are crossed with others."),
        Column(
            "variance_classifier", "real", "", "The same of classifier seeds that are crossed with others."
        ),
        Column("variance_test", "real", "", "The same of the choice of the test images."),
        Column(
            "false_claim",
            "real",
            "probability",
            "Probability that the true difference is zero or has the other sign.",
        ),
        Column("rank_low", "integer", "", "Best rank that the arm may have among the arms of its test set."),
        Column("rank_high", "integer", "", "Worst rank that the arm may have."),
        Column("rank_groups", "text", "", "Letters; arms that share one cannot be told apart."),
        Column("reason", "text", "", "Why the verdict is what it is."),
    ),
)

FIDELITY = Table(
    "fidelity.csv",
    "One row per generator, seed, class, metric and step. The strategy of `real-holdout` and `noise` is `control`.",
    (
        _DATASET,
        _FRACTION,
        Column("strategy", "text", "", "Name of the strategy, or `control`."),
        Column("generator", "text", "", "Name of the generator, or of the control."),
        _SPLIT_SEED,
        _GENERATOR_SEED,
        Column(
            "class", "text", "", "Name of the class; `all` for a generator that does not distinguish classes."
        ),
        Column("metric", "text", "", "Name of the image metric."),
        Column("step", "text", "updates", "Update of the snapshot, or `last` for the end of the fit."),
        Column(
            "value",
            "real",
            "",
            "Value of the metric; missing if the score failed, or for the reason in `note`.",
        ),
        Column("ci_low", "real", "", "Lower end of the interval; missing if the metric gives none."),
        Column("ci_high", "real", "", "Upper end of the interval; missing if the metric gives none."),
        Column(
            "extractor", "text", "", "Network that computes the features, with the digest of its weights."
        ),
        Column("reference", "text", "", "Real images that the synthetic ones are compared with."),
        Column("n_real", "integer", "images", "Real images in the comparison."),
        Column("n_synthetic", "integer", "images", "Synthetic images in the comparison."),
        Column("note", "text", "", "Why there is no value, or what to know of it; otherwise empty."),
    ),
)

COMPOSITION = Table(
    "composition.csv",
    "One row per training set, split and class.",
    (
        _DATASET,
        _FRACTION,
        _STRATEGY,
        Column("generator", "text", "", "Label of the strategy's generator; empty if it has none."),
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
        Column("name", "text", "", "Name of the trained network: a strategy, or `<strategy>/<classifier>`."),
        Column(
            "class", "text", "", "Classes that a generator was fitted on, joined by `+`; otherwise empty."
        ),
        Column("seed", "integer", "", "Seed of the generator or classifier."),
        Column("step", "integer", "updates", "Updates so far: batches that were trained on."),
        Column("images", "integer", "images", "Training images shown so far."),
        Column("epoch", "real", "epochs", "Passes through the training set so far."),
        Column(
            "split",
            "text",
            "",
            "`train`: mean over the steps since the previous row; `val`: on the validation images.",
        ),
        Column("metric", "text", "", "Name of a loss or a classification metric."),
        Column("value", "real", "", "Value of the metric."),
    ),
)

PREDICTIONS = Table(
    "predictions.parquet",
    "One row per cell, test set and image. Images of `val` occur once per cell.",
    (
        Column("cell", "text", "", "Name of the cell."),
        Column("split", "text", "", "`val` or `test`."),
        Column("test_set", "text", "", "Name of the test set; empty in rows of `val`."),
        Column("image_id", "text", "", "Id of the image in its data set."),
        Column("group", "text", "", "Lesion or patient of the image."),
        Column("label", "text", "", "True class."),
        Column("predicted", "text", "", "Class with the largest probability."),
    ),
    (
        Column("p_<class>", "real", "probability", "Probability of the class; each row sums to 1."),
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
    "One row per image that the matrix uses, sorted by id. The SHA-256 of the file is the digest of the split.",
    (
        Column("image_id", "text", "", "Id of the image in its data set."),
        Column("group", "text", "", "Lesion or patient of the image; a group is never in two parts."),
        Column("label", "text", "", "Class of the image, after the matrix's merging of classes."),
        Column("split", "text", "", "`train`, `val`, `test` or `reserve`."),
    ),
)

SUBGROUPS = Table(
    "subgroups.csv",
    "One row per data set, training fraction, test set, strategy, classifier, attribute, its value, and metric.",
    (
        _DATASET,
        _FRACTION,
        Column("test_set", "text", "", "Name of the test set."),
        _STRATEGY,
        Column("classifier", "text", "", "Label of the classifier."),
        Column("attribute", "text", "", "`site`, `tone`, `sex` or `age`."),
        Column(
            "subgroup",
            "text",
            "",
            "Value of the attribute, such as `female`; of age a band, such as `45-59`.",
        ),
        Column("metric", "text", "", "Name of the metric."),
        Column("n_images", "integer", "images", "Test images of the subgroup, in one run."),
        Column("n_groups", "integer", "", "Lesions or patients of the subgroup."),
        Column("n_rarest", "integer", "images", "Images of its rarest class."),
        Column("n_seeds", "integer", "seeds", "Number of finished runs in the mean."),
        Column(
            "mean",
            "real",
            "",
            "Mean of the metric over seeds; missing if the subgroup has images of one class only.",
        ),
        Column(
            "ci_low", "real", "", "Lower end of the mean's interval; missing with fewer than three seeds."
        ),
        Column(
            "ci_high", "real", "", "Upper end of the mean's interval; missing with fewer than three seeds."
        ),
        Column(
            "few", "text", "", "`few` if a class has fewer than ten lesions or patients; otherwise empty."
        ),
    ),
)

PAIRS = Table(
    "pairs.csv",
    "One row per comparison, pair of trained models, test and class.",
    (
        _DATASET,
        _FRACTION,
        Column("test_set", "text", "", "Name of the test set."),
        _STRATEGY,
        Column("classifier", "text", "", "Label of the classifier."),
        Column("baseline", "text", "", "The baseline of the comparison."),
        Column("cell", "text", "", "Name of the cell of the first model."),
        Column("baseline_cell", "text", "", "Name of the cell of the baseline's model."),
        Column("test", "text", "", "`mcnemar`, or `delong` of a class against the others."),
        Column("class", "text", "", "The class of DeLong's test; empty for McNemar's."),
        Column("n_images", "integer", "images", "Test images, one per lesion or patient."),
        Column(
            "value",
            "real",
            "",
            "McNemar's test: images that only the first model gets right; DeLong's: its area under the ROC curve.",
        ),
        Column("baseline_value", "real", "", "The same of the baseline's model."),
        Column("p_value", "real", "", "Two-sided p value, without a correction for the number of tests."),
        Column("note", "text", "", "Why there is no p value; otherwise empty."),
    ),
)

ATTRIBUTES = ("age", "sex", "site", "tone")
"""The attributes of images that subgroups are made of, as columns of the predictions."""

TABLES: Mapping[str, Table] = {
    "results": RESULTS,
    "summary": SUMMARY,
    "subgroups": SUBGROUPS,
    "pairs": PAIRS,
    "fidelity": FIDELITY,
    "composition": COMPOSITION,
    "history": HISTORY,
}
"""The tables that are CSV files, by name, in the order in which they are written."""

LATER = ("pairs",)
"""The tables that directories of earlier versions lack; they are read as empty."""

OTHER_FILES: Mapping[str, str] = {
    "samples/*.png": "Sheets of images: samples of generators, their nearest real neighbours, preprocessing.",
    "samples/index.json": "What each sheet shows.",
    "audit/<dataset>-s<seed>.json": "What the audit of a data set under a split found: severity, sentence, "
    "counts, ids.",
    "audit/*.png": "Contact sheets of the real images that a finding is about.",
    "manifest.json": "The matrix, the machine and the versions of the run, and the digests of the other files.",
    "figures/*.svg": "The figures of the report.",
    "figures/figures.json": "Title and caption of each figure.",
    "report.md": "The report as Markdown, with links to the other files.",
    "report.html": "The report as one self-contained page.",
}
"""The files that are not tables, and their content."""

MANIFEST_KEYS: Mapping[str, str] = {
    "schema": "Version of this layout.",
    "derm_bench": "Version of derm-bench that wrote the directory.",
    "protocol_version": "Version of the rules that determine stage keys.",
    "command": "The command line of the run.",
    "selection": "Name of the selection (`--preset`, `--set`, `--only`), as in the folder; empty for the whole matrix.",
    "distributions": "Version of every distribution that was used, by name.",
    "environment": "The same with every distribution that these require; `export` makes a list for pip of it.",
    "machine": "Device, precision and where it is from (and that of generators that `auto` does not fit in bf16), "
    "threads, Python and system.",
    "git": "Commit and dirty flag of the repository that holds the matrix; null if there is none.",
    "matrix": "The resolved matrix; `file` is its file name without the folder.",
    "datasets": "Licence and citation of each data set, by label.",
    "notes": "What data sets set aside, and what was done to images besides decoding: `text`, `count`, first `names`.",
    "metrics": "`higher_is_better` and `level` (`predictions` or `images`) of each metric in the tables.",
    "splits": "Digest of each split, by `<dataset>/<seed>`.",
    "weights": "Source and digest of the initial weights of each classifier that did not start from random weights.",
    "warnings": "Warnings that a reader should know before relying on the tables.",
    "health": "Health of the samples at the end of each fit, one entry per class.",
    "memorization": "The screen for copies of training images: tests and `flagged` of each fit and class.",
    "files": "SHA-256 of every file of the directory except the manifest.",
    "plan": "The stage of the store that each row comes from; `report` uses it to rebuild the tables.",
}
"""The keys of manifest.json."""

INDEX_KEYS: Mapping[str, str] = {
    "file": "Name of the sheet in `samples/`.",
    "shows": "`last` (end of training), `snapshots`, `neighbours`, `copies`, `interpolation`, `fitted_on` (samples of "
    "another generator that a network of this one was fitted on) or `preprocessing`.",
    "dataset": "Label of the data set.",
    "strategy": "Name of the strategy; null for preprocessing.",
    "generator": "Name of the generator; null for preprocessing.",
    "class": "Name of the class; `all` for a generator that does not distinguish classes.",
    "seed": "Seed of the generator; null for preprocessing.",
    "step": "Update whose samples are shown; null for the end of the fit and for several updates.",
    "real": "Whether the sheet shows real images.",
    "licence": "Licence of the real images; empty if there are none or if the data set states none.",
}
"""The keys of each entry of samples/index.json."""
