"""A right data set of noise, and one wrong in each way."""

import itertools
from pathlib import Path

import numpy as np

from derm_bench.specs import DatasetDescription, RawImage, Recognised

CALLS = itertools.count()


class Right:
    def __init__(self, options, task):
        self.reads = 0

    def describe(self, options):
        return DatasetDescription(ids=self.ids(), labels=["a", "b"] * 5, classes=self.classes())

    def ids(self):
        return [f"i{k}" for k in range(10)]

    def classes(self):
        return ["a", "b"]

    def fingerprint(self, options):
        return {name: f"digest of {name}" for name in self.ids()}

    def read(self, ids):
        for name in ids:
            self.reads += 1
            yield RawImage(self.pixels(int(name[1:])))

    def pixels(self, seed):
        return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)


class Twice(Right):
    def ids(self):
        return ["i0", *(f"i{k}" for k in range(9))]


class EmptyClass(Right):
    def classes(self):
        return ["a", "b", "c"]


class Unstable(Right):
    def fingerprint(self, options):
        return {name: f"digest {next(CALLS)}" for name in self.ids()}


class Grey(Right):
    def pixels(self, seed):
        return super().pixels(seed)[..., 0]


class Order(Right):
    def pixels(self, seed):
        return super().pixels(self.reads)


class Uncovered(Right):
    def fingerprint(self, options):
        return dict.fromkeys(self.ids()[:-1], "digest")


class ClaimsAll(Right):
    pass


class OtherOptions(Right):
    pass


class LostPaths(Right):
    def paths(self, options):
        return {name: Path("gone") / name for name in self.ids()}


def nothing(folder):
    return None


def anything(folder):
    return Recognised("a folder", 1.0)


def its_own_folder(folder):
    if Path(folder) == Path(__file__).parent:
        return Recognised("the folder of this file", 0.9, {"folder": folder})
    return None
