"""Several runs of one matrix on one store at once."""

import json
import os
import subprocess
import sys
from collections import Counter

from tests.cli.test_run import without_times


def test_two_runs_at_once_execute_each_stage_once_and_end_alike(write_matrix, tmp_path, toys):
    """Each in its own process, stages and all: workers would take the same locks."""
    matrix = write_matrix(seeds=[0])
    code = [sys.executable, "-c", "from derm_bench.cli import main; main()"]
    runs = [
        subprocess.Popen(
            [*code, "run", str(matrix), "--out", name, "--executor", "inline"],
            cwd=tmp_path,
            env=os.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ("a", "b")
    ]
    printed = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], printed
    assert without_times(tmp_path / "a/results.csv") == without_times(tmp_path / "b/results.csv")
    attempts = Counter(
        json.loads(line)["key"]
        for path in (tmp_path / "store/records").rglob("*.jsonl")
        for line in path.read_text().splitlines()
        if json.loads(line)["title"] != "draw figures"
    )
    assert set(attempts.values()) == {1}, attempts
