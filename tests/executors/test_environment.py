"""What the environment of workers settles before anything is imported."""

import subprocess
import sys

from derm_bench.executors.base import ExecutorSettings
from derm_bench.executors.local import _environment
from derm_bench.machine import Machine


def test_opencv_does_not_take_all_cores_in_each_of_the_threads_that_preprocess(tmp_path):
    settings = ExecutorSettings(tmp_path, Machine("cpu", ("cpu",), "fp32", 2))
    code = "import cv2; print(cv2.getNumThreads())"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env=_environment("cpu", settings),
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "1"


def test_threads_that_wait_sleep_unless_the_user_says_otherwise(tmp_path, monkeypatch):
    settings = ExecutorSettings(tmp_path, Machine("cpu", ("cpu",), "fp32", 2))
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert _environment("cpu", settings)["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert _environment("cpu", settings)["OMP_WAIT_POLICY"] == "ACTIVE"
