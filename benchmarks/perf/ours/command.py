"""The command line, run by this Python."""

import sys

DERM_BENCH = [sys.executable, "-c", "from derm_bench.cli import main; main()"]
