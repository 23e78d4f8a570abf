"""What planning can tell of extractors: weights that are missing or of another network, and sides that are too small.
Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench.weights_header import problem_of_shapes
from derm_bench_plugins.classifiers.known_layers import BOTH, TIMM
from derm_bench_plugins.classifiers.known_sides import problem_of_side
from derm_bench_plugins.classifiers.timm_planning import smallest_side
from derm_bench_plugins.metrics import inception_weights
from derm_bench_plugins.metrics.extractors.weights import VGG16, found, place

if TYPE_CHECKING:
    from derm_bench_plugins.metrics.extractors.options import FeatureOptions

SOURCE = f"https://download.pytorch.org/models/{VGG16}"


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
