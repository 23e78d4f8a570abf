"""A toy generator that can misbehave in many ways, and a toy classifier."""

import errno
import os
import time
from pathlib import Path

import torch
from torch import nn

from derm_bench.errors import Waiting
from derm_bench.images import Samples


class Mean(nn.Module):
    def __init__(self, options, task):
        super().__init__()
        self.options, self.task = options, task
        self.register_buffer("mean", torch.zeros(3, task.size, task.size))

    def fit(self, train, run):
        trouble(self.options.trouble, run)
        for batch in run.batches(train):
            time.sleep(self.options.seconds / run.budget)
            self.mean += (batch.images.mean(0) - self.mean) / batch.step
            run.log(batch.step, loss=float(batch.images.square().mean()))
            run.snapshot(batch.step, self.state)

    def sample(self, request, train=None):
        generator = torch.Generator().manual_seed(request.seed)
        noise = torch.randn(request.n, *self.mean.shape, generator=generator) * 0.2
        images = ((self.mean + noise).clamp(-1, 1) * 127.5 + 127.5).byte()
        if self.options.trouble == "dtype":
            images = images.float()
        if self.options.trouble == "shape":
            images = images[:, :2]
        if self.options.trouble == "needed":
            images = images[: request.needed]
        places = {"place": list(range(request.start, request.start + len(images)))}
        return Samples(images, None, places)

    def parts(self):
        return {"net": self}

    def state(self):
        return {"mean": self.mean.clone()}

    def load_state(self, state):
        self.mean.copy_(state["mean"])


class Spelled(Mean):
    def fit(self, train, run):
        (first, *_) = list(run.batches(train))
        assert len(first.images) == self.options.batch


def trouble(kind, run):
    if kind == "raise":
        raise RuntimeError("the discriminator is on strike")
    if kind == "exit":
        os._exit(3)
    if kind == "segfault":
        import ctypes

        ctypes.string_at(0)
    if kind == "hang":
        time.sleep(600)
    if kind == "nan":
        run.log(1, loss=float("nan"))
    if kind == "memory":
        raise MemoryError("no more memory")
    if kind == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if kind == "wait" and not Path("sorted").exists():
        raise Waiting("sort the images into the folder sorted, and run again")
    if kind == "print":
        print("line of a chatty plugin\n" * 200_000)


class Centroid(nn.Module):
    def __init__(self, options, task):
        super().__init__()
        self.options, self.task = options, task
        self.register_buffer("centres", torch.randn(len(task.classes), 3) * 0.01)

    def fit(self, train, val, run):
        if self.options.trouble == "raise":
            raise RuntimeError("no idea")
        for batch in run.batches(train):
            time.sleep(self.options.seconds / run.budget)
            colours = batch.images.mean((2, 3))
            seen = batch.targets.sum(0)[:, None]
            mean = batch.targets.T @ colours / seen.clamp(min=1e-6)
            self.centres += 0.3 * (seen > 0) * (mean - self.centres)
            run.log(batch.step, loss=float((colours - batch.targets @ self.centres).square().mean()))
            run.evaluate(batch.step, self.predict_proba, self.state)
        best = run.selected()
        if best is not None:
            self.load_state(best)

    def predict_proba(self, images):
        distance = (images.mean((2, 3))[:, None] - self.centres[None]).square().sum(-1)
        return torch.softmax(-5 * distance, dim=1)

    def parts(self):
        return {"net": self}

    def state(self):
        return {"centres": self.centres.clone()}

    def load_state(self, state):
        self.centres.copy_(state["centres"])
