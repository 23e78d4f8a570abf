"""Overhead of benchopt: a run of no-op solvers, a second run from its cache, and `--help`."""

import tempfile
from pathlib import Path

from side import arguments, report
from timed import timed, timed_help

FILES = {
    "objective": """
from benchopt import BaseObjective
class Objective(BaseObjective):
    name = "nothing"
    min_benchopt_version = "1.6"
    def set_data(self, x): self.x = x
    def evaluate_result(self, y): return dict(value=float(y))
    def get_one_result(self): return dict(y=0)
    def get_objective(self): return dict(x=self.x)
""",
    "datasets/nothing": """
from benchopt import BaseDataset
class Dataset(BaseDataset):
    name = "nothing"
    def get_data(self): return dict(x=0)
""",
    "solvers/nothing": """
from benchopt import BaseSolver
class Solver(BaseSolver):
    name = "nothing"
    sampling_strategy = "run_once"
    parameters = {"k": list(range(CELLS))}
    def set_objective(self, x): self.x = x
    def run(self, _): self.y = self.k
    def get_result(self): return dict(y=self.y)
""",
}


def main():
    opt = arguments(__doc__, cells=1000, planned=0, benchopt=None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in FILES.items():
            path = folder / "benchmark" / f"{file}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("CELLS", str(opt.cells)))
        benchopt = [str(opt.benchopt)]
        run = [*benchopt, "run", "benchmark", "--no-plot", "--no-html", "-n", "1", "-r", "1"]
        report(
            help_seconds=timed_help(benchopt, folder),
            cell_ms=timed(run, folder) / opt.cells * 1000,
            cached_ms=timed(run, folder) / opt.cells * 1000,
        )


if __name__ == "__main__":
    main()
