"""toy-centroid with moods: all the ways in which a third party's code goes wrong."""

import ctypes
import os
from pathlib import Path

import torch

from toy_plugins.nets import Centroid

MEGABYTE = 2**20
# Outlives the stage, as a leak does.
LEAKED = []


class Moody(Centroid):
    """Behaves as toy-centroid does but for its mood."""

    def fit(self, train, val, run):
        mood = getattr(self, "be_" + self.options.mood.replace("-", "_"), None)
        if mood is not None:
            mood(run)
        if self.options.mood == "own-loader":
            return self.train_on_my_own(train)
        if self.options.mood == "stops-at-half":
            return self.train_half(train, run)
        super().fit(train, val, run)
        if self.options.mood == "second-budget":
            super().fit(train, val, run)

    def train_on_my_own(self, train):
        """Ignores the batches of the harness, and so budget and augmentation."""
        head = torch.nn.Linear(3, len(self.centres))
        optimizer = torch.optim.Adam(head.parameters())
        for images, labels in zip(train.images.split(8), train.labels.split(8), strict=True):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(head(images.float().mean((2, 3))), labels).backward()
            optimizer.step()

    def train_half(self, train, run):
        for batch in run.batches(train):
            if 2 * batch.step >= run.budget:
                return

    def be_raises(self, run):
        raise RuntimeError("no mood for this")

    def be_hangs(self, run):
        """In C and with the interpreter's lock held: no Python code of this process runs any more."""
        ctypes.PyDLL(None).sleep(600)

    def be_segfaults(self, run):
        ctypes.string_at(0)

    def be_exits(self, run):
        os._exit(3)

    def be_allocates(self, run):
        held = []
        while True:
            held.append(b"x" * (64 * MEGABYTE))

    def be_nan_loss(self, run):
        run.log(1, loss=float("nan"))

    def be_overwrites_input(self, run):
        """Rewrites what another stage has published."""
        next(store().glob("objects/*/*/images.npy")).write_bytes(b"mine")

    def be_forces_input(self, run):
        """The same, after making it writable."""
        path = next(store().glob("objects/*/*/images.npy"))
        path.chmod(0o644)
        path.write_bytes(b"mine")

    def be_overwrites_output(self, run):
        """Rewrites the curves of a cell that has finished, after making them writable."""
        path = next(store().glob("objects/*/*/history.csv"))
        path.chmod(0o644)
        path.write_text("step,images,epoch,split,metric,value\n")

    def be_leaks(self, run):
        LEAKED.append(b"x" * (1024 * MEGABYTE))

    def be_prints(self, run):
        line = "a line of a chatty plugin\n" * 40_000
        for _ in range(10):  # 10 MB, more than any pipe holds
            print(line)

    def predict_proba(self, images):
        proba = super().predict_proba(images)
        mood = self.options.mood
        if mood == "nan-proba":
            return proba * torch.nan
        if mood == "wrong-shape":
            return proba[:, :2]
        return proba.argmax(1, keepdim=True).expand_as(proba) if mood == "wrong-dtype" else proba


def store():
    return Path(os.environ["DERM_BENCH_STORE"])
