"""Toys that are built on others: a classifier on a generator, a committee of classifiers, a generator on a grader."""

import torch

from toy_plugins.nets import Centroid, Mean


class Built(Centroid):
    """toy-centroid that begins at the mean colour of a generator's network; its state shows what it was given."""

    def __init__(self, options, task):
        super().__init__(options, task)
        mean = task.part("from").mean
        self.register_buffer("given", mean.mean((1, 2)).repeat(len(task.classes), 1))
        self.register_buffer("trunk", torch.zeros(3))
        self.centres.copy_(self.given)

    def fit(self, train, val, run):
        self.trunk += run.seed % 97
        super().fit(train, val, run)

    def state(self):
        return super().state() | {"given": self.given.clone(), "trunk": self.trunk.clone()}

    def load_state(self, state):
        super().load_state(state)
        self.given.copy_(state["given"])
        self.trunk.copy_(state["trunk"])


class Committee:
    """The mean of what its members say."""

    def __init__(self, options, task):
        self.options, self.task = options, task
        self.members = [task.inputs[f"member {k}"] for k in range(len(options.members))]

    def fit(self, train, val, run):
        run.evaluate(run.budget, self.predict_proba, self.state)

    def predict_proba(self, images):
        return torch.stack([member.predict_proba(images) for member in self.members]).mean(0)

    def parts(self):
        return {}

    def state(self):
        return {}

    def load_state(self, state):
        pass


class Pupil(Centroid):
    """toy-centroid that looks at what its teacher says before it is fitted, and has none afterwards."""

    def fit(self, train, val, run):
        assert torch.isfinite(self.task.inputs["teacher"].predict_proba(torch.zeros(1, 3, 8, 8))).all()
        super().fit(train, val, run)


class Graded(Mean):
    """toy-mean that asks a classifier and looks at samples before it is fitted."""

    def fit(self, train, run):
        assert torch.isfinite(self.task.inputs["grader"].predict_proba(torch.zeros(1, 3, 8, 8))).all()
        samples = self.task.inputs["samples"]
        assert samples.classes == ("red", "green", "blue") and samples.images.shape == (15, 3, 8, 8)
        assert samples.labels.bincount().tolist() == [5, 5, 5]
        super().fit(train, run)
