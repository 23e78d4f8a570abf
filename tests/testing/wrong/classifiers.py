"""A right classifier of a few weights, and one wrong in each way."""

import torch
from torch import nn

from derm_bench.training.module_classifier import ModuleClassifier


class Right(ModuleClassifier):
    """Logits from the mean colour."""

    def __init__(self, options, task):
        net = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(3), nn.Linear(3, len(task.classes))
        )
        super().__init__(net, net[-1], options, task)


class WithoutLogits(Right):
    """Gives probabilities alone."""

    logits = None


class Shape(WithoutLogits):
    def predict_proba(self, images):
        return super().predict_proba(images)[..., None]


class Dtype(Right):
    def predict_proba(self, images):
        return super().predict_proba(images).double()


class Logits(WithoutLogits):
    def predict_proba(self, images):
        return super().predict_proba(images).log()


class Neighbours(WithoutLogits):
    """Whitens by the statistics of what it happens to be asked about."""

    def predict_proba(self, images):
        return super().predict_proba(images - images.mean(0, keepdim=True))


class Constant(WithoutLogits):
    def predict_proba(self, images):
        return super().predict_proba(torch.zeros_like(images))


class TrainsOnVal(Right):
    def fit(self, train, val, run):
        super().fit(train, val, run)
        with torch.no_grad():
            self.head.bias[0] += val.images.float().mean() / 255


class Flat(Right):
    """Its logits carry no gradient."""

    def logits(self, images):
        return super().logits(images.detach()) + 0 * images.mean()


class Unscaled(Right):
    """Its logits are those of images that are not normalised."""

    def logits(self, images):
        return super().logits(images * 0.5 + 0.5)


class Unevaluated(Right):
    def fit(self, train, val, run):
        optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1)
        for batch in run.batches(train):
            optimizer.zero_grad()
            nn.functional.cross_entropy(self.net(batch.images), batch.targets).backward()
            optimizer.step()


class Aliased(Unevaluated):
    """Its best state is always the last."""

    def fit(self, train, val, run):
        optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1)
        for batch in run.batches(train):
            self.net.train()
            optimizer.zero_grad()
            nn.functional.cross_entropy(self.net(batch.images), batch.targets).backward()
            optimizer.step()
            run.evaluate(batch.step, self.predict_proba, self.net.state_dict)
