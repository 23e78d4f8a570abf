"""The derm-bench command line with this Python."""

import sys

DERM_BENCH = [sys.executable, "-c", "from derm_bench.cli import main; main()"]
