"""`python -m derm_bench` is the command `derm-bench`."""

from derm_bench.cli import main

if __name__ == "__main__":
    main()
