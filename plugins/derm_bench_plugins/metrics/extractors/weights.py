"""Finds the weights of extractors while planning, and says what is missing or wrong. Imports no torch and downloads
nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.weights_header import problem_of_shapes
from derm_bench_plugins.classifiers.known_layers import BOTH, TIMM
from derm_bench_plugins.classifiers.known_sides import problem_of_side
from derm_bench_plugins.classifiers.timm_planning import smallest_side
from derm_bench_plugins.metrics import inception_weights

if TYPE_CHECKING:
    from derm_bench_plugins.metrics.extractors.options import FeatureOptions

VGG16 = "vgg16-397923af.pth"
SOURCE = f"https://download.pytorch.org/models/{VGG16}"


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


def preflight(options: FeatureOptions) -> list[str]:
    """Return the problems that a run would have: missing weights, those of another network, and a side that the network
    does not take."""
    if options.extractor == "inception":
        return inception_weights.preflight(options)
    path = found(options)
    if path is None:
        return [_missing(options)]
    network = options.model or "vgg16"
    architecture = network.partition(".")[0]
    known = (TIMM if options.extractor == "timm" else BOTH).get(architecture, {})
    side = options.input_size
    problems = [problem_of_shapes(path, network, known)]
    if side is not None:
        problems.append(problem_of_side(network, side, smallest_side(network)))
    return [problem for problem in problems if problem]


def _missing(options: FeatureOptions) -> str:
    path = place(options)
    if options.extractor == "vgg16":
        said = f"the weights of VGG16 are missing; looked at {path}. Download {VGG16} from {SOURCE} and put it there, "
        return f"{said}or name it with the metric's option `weights: PATH`"
    if path is None:
        return (
            f"the features of {options.model} need its weights: write `weights: PATH`, a file of safetensors or torch "
            f"that was saved from this network (timm publishes some at https://huggingface.co/timm)"
        )
    return f"the weights of {options.model} are missing; looked at {path}"
