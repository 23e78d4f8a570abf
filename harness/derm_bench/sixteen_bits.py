"""Samples of 16 bits in PNG and TIFF files, as 8 bits. Pillow keeps the upper 8 bits of colours only, so that data of
12 bits would be nearly black."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

SIXTEEN = "samples of 16 bits were scaled to 8 bits"
NARROW = "samples of 16 bits of which {bits} are used were scaled from 0..{largest} to 8 bits"

# Sample depths of cameras that are stored in 16 bits.
_DEPTHS = (8, 10, 12, 14, 16)
_FULL = 2**16 - 1
_PNG_DEPTH = 24  # where a PNG file states its bits per sample
_BITS_PER_SAMPLE, _PHOTOMETRIC, _LARGEST_SAMPLE = 258, 262, 281
_WHITE_IS_ZERO = 0
# The number of channels of the modes in which Pillow opens such files.
_CHANNELS = {"RGB": 3, "RGBX": 3, "RGBA": 4, "LA": 2}


@dataclass(frozen=True)
class Deep:
    """`samples` uint16 [H,W,C], C = 1 to 4; the last of 2 or 4 channels is alpha. `largest` is the largest value of a
    colour that the file states, if it does. `inverted` states that 0 is white."""

    samples: np.ndarray
    largest: int | None = None
    inverted: bool = False

    def eight_bits(self) -> tuple[Image.Image, str]:
        """The image in mode L, LA, RGB or RGBA, and the note about it.

        Colours are scaled by `largest`, else by the smallest of 255, 1023, 4095, 16383 and 65535 that none exceeds.
        """
        channels = self.samples.shape[2]
        colours = self.samples[..., : 1 if channels <= 2 else 3]
        largest = self.largest
        if largest is None:
            top = int(colours.max(initial=0))
            largest = next(2**bits - 1 for bits in _DEPTHS if top < 2**bits)
        scaled = _levels(largest)[colours]
        scaled = 255 - scaled if self.inverted else scaled
        if channels in (2, 4):
            scaled = np.concatenate([scaled, _levels(_FULL)[self.samples[..., -1:]]], axis=2)
        pixels = np.ascontiguousarray(scaled[..., 0] if channels == 1 else scaled)
        note = NARROW.format(bits=largest.bit_length(), largest=largest) if largest < _FULL else SIXTEEN
        return Image.fromarray(pixels), note


def deep_samples(file: BinaryIO, image: Image.Image) -> Deep | None:
    """The samples of a loaded PNG or TIFF `image` of 16 bits, read from its `file`; None for other images.

    Raises ValueError if the samples cannot be read, or if they are not those that Pillow has loaded.
    """
    tags = getattr(image, "tag_v2", {})
    grey = image.mode.startswith("I;16")
    if not grey and (image.mode not in _CHANNELS or _bits(file, image) != 16):
        return None
    samples = np.asarray(image).astype(np.uint16)[..., None] if grey else _of_colours(file, image)
    stated = tags.get(_LARGEST_SAMPLE)
    stated = max(stated) if isinstance(stated, tuple) and stated else stated
    bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    if bits < 16:  # Pillow unpacks greys of 12 bits
        stated = 2**bits - 1
    colours = samples[..., : 1 if samples.shape[2] <= 2 else 3]
    if not isinstance(stated, int) or not max(1, colours.max(initial=0)) <= stated <= _FULL:
        stated = None
    return Deep(_keyed(samples, image), stated, tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO)


def _bits(file: BinaryIO, image: Image.Image) -> int:
    if image.format == "TIFF":
        return int(image.tag_v2.get(_BITS_PER_SAMPLE, (8,))[0])  # type: ignore[attr-defined]
    if image.format != "PNG":
        return 8
    file.seek(_PNG_DEPTH)
    return file.read(1)[0]


def _of_colours(file: BinaryIO, image: Image.Image) -> np.ndarray:
    """Colours uint16 [H,W,C], read with OpenCV and compared with the upper bits that Pillow has read."""
    import cv2

    file.seek(0)
    read: np.ndarray | None = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if read is None or read.dtype != np.uint16 or read.ndim != 3:
        raise ValueError("samples of 16 bits cannot be read")
    channels = _CHANNELS[image.mode]
    order = {2: [0, 3], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    samples: np.ndarray = read[..., [k for k in order if k < read.shape[2]]]
    upper = np.asarray(image)[..., :channels]
    if samples.shape != upper.shape or not np.array_equal(np.right_shift(samples, 8), upper):
        raise ValueError("samples of 16 bits are read in two ways")
    return samples


def _keyed(samples: np.ndarray, image: Image.Image) -> np.ndarray:
    """The samples with an alpha channel, if the file names a transparent colour."""
    key = image.info.get("transparency")
    if not isinstance(key, int | tuple) or samples.shape[2] in (2, 4):
        return samples
    opaque = (samples != np.asarray(key, np.int64)).any(axis=2, keepdims=True)
    return np.concatenate([samples, np.where(opaque, _FULL, 0).astype(np.uint16)], axis=2)


@functools.lru_cache(maxsize=16)
def _levels(largest: int) -> np.ndarray:
    """The level of 8 bits of each value of 16 bits, rounded: uint8 [65536]."""
    return np.minimum((np.arange(_FULL + 1) * 255 + largest // 2) // largest, 255).astype(np.uint8)
