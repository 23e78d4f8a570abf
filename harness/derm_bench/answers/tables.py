"""Finds the comparisons of a question in summary.csv, and says what an inconclusive one would need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from derm_bench.answers.model import Comparison
from derm_bench.matrix.questions import Contrast
from derm_bench.report.data import ReportData, Row, number, text
from derm_bench.report.plots import bounded
from derm_bench.stats.estimate import FEWEST
from derm_bench.stats.seeds_needed import detectable_now, seeds_needed


@dataclass(frozen=True, eq=False)
class Finished:
    """The tables of a finished run, as questions read them."""

    data: ReportData

    @cached_property
    def _families(self) -> dict[tuple[str, str], int]:
        """The number of comparisons with a verdict on each (data set, test set)."""
        found: dict[tuple[str, str], int] = {}
        for row in self.data.summary:
            if row["metric"] == self.data.primary and row["baseline"]:
                key = (row["dataset"], row["test_set"])
                found[key] = found.get(key, 0) + 1
        return found

    @cached_property
    def _by_arm(self) -> dict[tuple[str, str], list[Row]]:
        """The rows of comparisons, by strategy and metric."""
        found: dict[tuple[str, str], list[Row]] = {}
        for row in self.data.summary:
            if row["baseline"]:
                found.setdefault((row["strategy"], row["metric"]), []).append(row)
        return found

    def compared(self, contrasts: Sequence[Contrast], metric: str = "") -> list[Comparison]:
        """Every comparison of these arms that summary.csv has, on one metric (default the primary one)."""
        return [
            self._comparison(row) for one in contrasts for row in self._rows(one, metric or self.data.primary)
        ]

    def absent(self, contrasts: Sequence[Contrast]) -> list[str]:
        """The strategies of comparisons that summary.csv does not have: a selection left them out."""
        names = {row["strategy"] for row in self.data.results}
        arms = [name for one in contrasts for name in (one.arm, one.base)]
        return [name for name in dict.fromkeys(arms) if name not in names]

    def _rows(self, one: Contrast, metric: str) -> Iterator[Row]:
        for row in self._by_arm.get((one.arm, metric), ()):
            if one.arm_classifier:
                labels = {f"{one.base}/{one.base_classifier}"}
            else:
                labels = {one.base, f"{one.base}/{row['classifier']}"}
            if row["baseline"] in labels and one.arm_classifier in ("", row["classifier"]):
                yield row

    def _comparison(self, row: Row) -> Comparison:
        primary = row["metric"] == self.data.primary
        found = Comparison(
            dataset=row["dataset"],
            train_fraction=number(row["train_fraction"]) or 1.0,
            test_set=row["test_set"],
            arm=row["strategy"],
            classifier=row["classifier"],
            baseline=row["baseline"],
            metric=row["metric"],
            delta=number(row["delta"]),
            ci_low=number(row["delta_ci_low"]),
            ci_high=number(row["delta_ci_high"]),
            p_holm=number(row["p_holm"]),
            verdict=(row.get("verdict") or "") if primary else "",
            n_seeds=int(number(row["n_seeds"]) or 0),
            n_planned=int(number(row.get("n_planned")) or 0),
            reason=text(row.get("reason") or ""),
            needs=self._needs(row) if primary else "",
        )
        return found

    def _needs(self, row: Row) -> str:
        """What an inconclusive comparison would need, as a sentence without a full stop."""
        if row.get("verdict") not in ("", "inconclusive"):
            return ""
        variance = self._variance(row)
        if variance is None:
            return self._without_interval(row)
        own, shared, df = variance
        whole = max(own + shared, self._shown_variance(row, df))
        margin, alpha = self.data.margin, self.data.alpha
        family = self._families[row["dataset"], row["test_set"]]
        seeds = int(number(row["n_seeds"]) or 0)
        now = detectable_now(whole, df, comparisons=family, alpha=alpha)
        said = f"with {seeds} seeds a true difference of {now:.3f} is found with 80% power"
        if now >= 1 and bounded(self.data.primary):
            said = f"with {seeds} seeds not even the largest difference is found with 80% power"
        if number(row["variance_seed"]) is None:
            return f"{said}; a smaller one needs more splits or seeds"
        needed = seeds_needed(
            margin,
            own * seeds,
            shared,
            comparisons=family,
            alpha=alpha,
            least=whole if whole > 1.0001 * (own + shared) else 0.0,
        )
        if needed is None:
            return f"{said}; one of {margin:g} needs more test images, as no number of seeds is enough"
        if needed <= seeds:
            return f"{said}; the difference lies near the margin of {margin:g}"
        return f"{said}; one of {margin:g} would need about {needed} seeds"

    def _without_interval(self, row: Row) -> str:
        keys = ("dataset", "test_set")
        arms = {row["strategy"], str(row["baseline"]).split("/")[0]}
        runs = [
            run
            for run in self.data.results
            if run["strategy"] in arms
            and all(run[key] == row[key] for key in keys)
            and text(run["train_fraction"]) == text(row["train_fraction"])
        ]
        if failed := [run for run in runs if run["status"] != "done"]:
            return f"{len(failed)} runs that are not done have to end well (`derm-bench run` with --retry-failed)"
        seeds = int(number(row["n_seeds"]) or 0)
        if seeds < FEWEST:
            return f"it has {seeds} of the at least {FEWEST} seeds of an interval"
        return str(row.get("reason") or "no interval could be computed")

    @staticmethod
    def _variance(row: Row) -> tuple[float, float, float] | None:
        """(the part of seeds and splits, the part of the test images, degrees of freedom); None without an interval."""
        df = number(row.get("df"))
        if df is None:
            return None
        own = sum(
            number(row.get(f"variance_{name}")) or 0.0
            for name in ("seed", "split", "generator", "classifier")
        )
        return own, number(row.get("variance_test")) or 0.0, df

    def _shown_variance(self, row: Row, df: float) -> float:
        """The variance that the interval of a difference was made with: at least the sum of its parts."""
        from scipy.special import stdtrit

        delta, low, high = (number(row[name]) for name in ("delta", "delta_ci_low", "delta_ci_high"))
        if delta is None or low is None or high is None:
            return 0.0
        return float((max(high - delta, delta - low) / stdtrit(df, 1 - self.data.alpha / 2)) ** 2)
