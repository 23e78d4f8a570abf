"""DCGAN on images in memory: the plugin's fit."""

from __future__ import annotations

from ours.data import in_memory
from ours.dcgan import fit
from side import Clock, arguments


def main() -> None:
    given = arguments(__doc__, lr=2e-4, images=None)
    train = in_memory(given.images)
    fit(given, train, Clock(given.device))


if __name__ == "__main__":
    main()
