"""The made-up run directory of the tests of reports."""

from tests.report.conftest import make_run, strategies, whole_run

__all__ = ["make_run", "strategies", "whole_run"]
