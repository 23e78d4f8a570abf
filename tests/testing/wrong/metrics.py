"""A right metric, and one wrong in each way."""

import numpy as np


class Right:
    """The share of correct predictions."""

    name = "metric-right"

    def __init__(self, options, task):
        pass

    def compute(self, labels, proba, groups, classes):
        return {self.name: float(np.mean(proba.argmax(1) == labels))}


class Backwards(Right):
    name = "metric-backwards"


class Nan(Right):
    name = "metric-nan"

    def compute(self, labels, proba, groups, classes):
        return super().compute(labels, proba, groups, classes) | {"f1_of_nobody": float("nan")}


class ChangesInput(Right):
    name = "metric-changes-input"

    def compute(self, labels, proba, groups, classes):
        proba *= 0.5
        return super().compute(labels, proba, groups, classes)


class Draws(Right):
    """Its bootstrap takes what it finds."""

    name = "metric-draws"

    def compute(self, labels, proba, groups, classes):
        np.random.permutation(len(labels))
        return super().compute(labels, proba, groups, classes)


class Renamed(Right):
    name = "accuracy"
