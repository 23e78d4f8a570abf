"""What planning can tell of timm's networks: sides that are too small, published weights that cannot be had, and files
of other weights. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from derm_bench.weights_header import problem_of_shapes
from derm_bench_plugins.classifiers.known_layers import TIMM
from derm_bench_plugins.classifiers.known_sides import problem_of_side, smallest_known
from derm_bench_plugins.classifiers.published_weights import problem_of_published

if TYPE_CHECKING:
    from derm_bench_plugins.classifiers.specs.mobilenet_lstm import MobilenetLstmOptions
    from derm_bench_plugins.classifiers.specs.timm import TimmOptions

SMALLEST = {
    r"inception_(v3|v4|resnet_v2)": 75,
    r"vgg\d+(_bn)?": 32,
    r"dla\d+x?(_\w+)?": 31,
    r"convnext\w+_ols": 29,
    r"convnext(v2)?_\w+": 32,
    r"densenet\w+": 29,
    r"hrnet_\w+": 29,
}
"""The smallest side in pixels that networks accept, measured; others accept 8, or are not known here."""

PATCH = re.compile(r"_patch(\d+)_")


def preflight(options: TimmOptions) -> Iterator[str]:
    """Yield the problems of the side `input_size`, if it is known, of `pretrained`, and of the tensors in `weights`."""
    if problem := problem_of_side(options.model, options.input_size, smallest_side(options.model)):
        yield problem
    if options.pretrained and options.weights is None and (problem := problem_of_published(options.model)):
        yield problem
    architecture = options.model.partition(".")[0]
    if options.weights is not None:
        problem = problem_of_shapes(options.weights, architecture, TIMM.get(architecture, {}))
        if problem:
            yield problem


def preflight_mobilenet(options: MobilenetLstmOptions) -> Iterator[str]:
    """Yield the problem of `pretrained`."""
    if options.pretrained and options.weights is None:
        problem = problem_of_published(f"mobilenetv2_{options.width}")
        if problem:
            yield problem


def smallest_side(model: str) -> int:
    """Return the smallest side in pixels that a model may accept, 1 if nothing is known."""
    architecture = model.partition(".")[0]
    patch = PATCH.search(f"{architecture}_")
    return int(patch[1]) if patch else smallest_known(architecture, SMALLEST)
