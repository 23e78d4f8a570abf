"""Linear maps of square images as small matrices: area resampling of crops, Gaussian blur, cosine transform.

An image x [S,S] is mapped to `m @ x @ n.T`, a whole batch at a time, which is faster than a loop of filters.
"""

from __future__ import annotations

import functools

import numpy as np


@functools.cache
def area(size: int, out: int, start: float = 0.0, stop: float | None = None) -> np.ndarray:
    """Float32 [out,size]: the means over `out` equal cells of the interval [start, stop] of an axis of `size` pixels.

    Cells that are smaller than a pixel take the value of the pixels that they lie in.
    """
    edges = np.linspace(start, size if stop is None else stop, out + 1)
    low, high, pixel = edges[:-1, None], edges[1:, None], np.arange(size)[None]
    weights = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
    made: np.ndarray = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return made


@functools.cache
def gauss(size: int, sigma: float) -> np.ndarray:
    """Float32 [size,size]: Gaussian blur of an axis, normalised at its ends."""
    place = np.arange(size)
    weights = np.exp(-0.5 * ((place[:, None] - place[None]) / sigma) ** 2)
    made: np.ndarray = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return made


@functools.cache
def cosine(size: int, low: int) -> np.ndarray:
    """Float32 [low,size]: the first `low` rows of the cosine transform (DCT-II), without scaling."""
    place = np.arange(size)
    made: np.ndarray = np.cos(np.pi * (place[None] + 0.5) * np.arange(low)[:, None] / size).astype(np.float32)
    return made


def applied(rows: np.ndarray, images: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
    """The images float32 [n,a,b] that `rows` [a,S] and `columns` [b,S] (default `rows`) make of images [n,S,S]."""
    return np.matmul(np.matmul(rows, images), (rows if columns is None else columns).T)


def grey(pixels: np.ndarray, size: int) -> np.ndarray:
    """The luminance 0..255 of uint8 [n,S,S,3] as float32 [n,size,size]."""
    luminance = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return luminance if luminance.shape[-1] == size else applied(area(luminance.shape[-1], size), luminance)
