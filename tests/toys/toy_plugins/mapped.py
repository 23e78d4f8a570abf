"""Toys that look at data derived from the images: a map of how bright each pixel is."""

import torch

from toy_plugins.nets import Centroid, Mean


def light(images, gain):
    """The brightness of each pixel, float32 [n,S,S], of uint8 images [n,3,S,S]."""
    return images.float().mean(1) * gain


class Looking:
    """A run whose batches are seen to have the map of each of their images."""

    def __init__(self, run, gain):
        self.run, self.gain = run, gain

    def __getattr__(self, name):
        return getattr(self.run, name)

    def batches(self, train):
        for batch in self.run.batches(train):
            pixels = (batch.images * 127.5 + 127.5).round().byte()
            torch.testing.assert_close(batch.data["light"], light(pixels, self.gain))
            yield batch


class Mapped(Mean):
    def fit(self, train, run):
        assert train.data["light"].shape == (len(train.images), *train.images.shape[2:])
        super().fit(train, Looking(run, self.options.gain))


class Mapper(Centroid):
    def fit(self, train, val, run):
        assert val.data["light"].shape == (len(val.images), *val.images.shape[2:])
        super().fit(train, val, Looking(run, self.options.gain))
