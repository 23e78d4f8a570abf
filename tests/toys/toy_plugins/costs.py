"""A metric of predictions that reads a file of the user's."""

import json


class Cost:
    def __init__(self, options, task):
        self.costs = json.loads(options.costs.read_text())

    def compute(self, labels, proba, groups, classes):
        wrong = proba.argmax(axis=1) != labels
        return {"toy-cost": float(sum(self.costs[classes[k]] for k in labels[wrong]) / len(labels))}


class Flat:
    """Every wrong answer costs one."""

    def __init__(self, options, task):
        self.task = task

    def compute(self, labels, proba, groups, classes):
        return {"toy-cost": float((proba.argmax(axis=1) != labels).mean())}
