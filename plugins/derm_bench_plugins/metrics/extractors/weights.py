"""Finds the weights of extractors. Imports no torch and downloads nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench_plugins.metrics import inception_weights

if TYPE_CHECKING:
    from derm_bench_plugins.metrics.extractors.options import FeatureOptions

VGG16 = "vgg16-397923af.pth"


def place(options: FeatureOptions) -> Path | None:
    """Return the absolute path at which the weights of vgg16 or of a network of timm are looked for; None if the user
    has to name one."""
    if options.weights is not None:
        return options.weights.expanduser().absolute()
    if options.extractor != "vgg16":
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("TORCH_HOME") or cache / "torch")
    return home.expanduser().absolute() / "hub" / "checkpoints" / VGG16


def found(options: FeatureOptions) -> Path | None:
    """Return the file of the weights, or None."""
    if options.extractor == "inception":
        return inception_weights.find_weights(options)
    path = place(options)
    return path if path is not None and path.is_file() else None


def used_weights(options: FeatureOptions) -> dict[str, str]:
    """Return the digest of the weights that would be used, on which the values depend in addition to the options."""
    path = found(options)
    return {options.extractor: inception_weights.digest(path)} if path else {}


def named(options: FeatureOptions) -> Path:
    """Return the file of the weights. Raises UserError if there is none."""
    path = found(options)
    if path is None:
        looked = place(options)
        where = f"; looked at {looked}" if looked else ""
        raise UserError(
            f"the weights of {options.model or options.extractor} are missing{where}",
            hint="write weights: PATH",
        )
    return path
