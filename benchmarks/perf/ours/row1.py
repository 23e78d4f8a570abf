"""DCGAN from JPEG files: the decode stage, then the plugin's fit."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ours.data import decoded
from ours.dcgan import fit
from side import Clock, arguments


def main() -> None:
    given = arguments(__doc__, lr=2e-4, folder=None)
    clock = Clock(given.device)
    with tempfile.TemporaryDirectory() as store:
        fit(given, decoded(given.folder, Path(store), 64, given.threads), clock)


if __name__ == "__main__":
    main()
