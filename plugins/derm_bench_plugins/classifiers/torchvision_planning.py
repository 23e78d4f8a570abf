"""What planning can tell of torchvision's networks: sides that are too small, files that were not published. Imports no
torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from derm_bench.fingerprint import UNREADABLE, file_digests
from derm_bench.weights_header import problem_of_shapes
from derm_bench_plugins.classifiers.known_layers import TORCHVISION
from derm_bench_plugins.classifiers.known_sides import problem_of_side, smallest_known
from derm_bench_plugins.classifiers.torchvision_names import published

if TYPE_CHECKING:
    from derm_bench_plugins.classifiers.specs.epolstm_pdl import EpolstmPdlOptions
    from derm_bench_plugins.classifiers.specs.torchvision import TorchvisionOptions

SMALLEST = {
    r"inception_v3": 75,
    r"alexnet": 63,
    r"vgg\d+(_bn)?": 32,
    r"convnext_\w+": 32,
    r"densenet\d+": 29,
    r"squeezenet1_0": 21,
    r"squeezenet1_1": 17,
    r"googlenet": 15,
}
"""The smallest side in pixels that networks accept, measured; others accept 8, or are not known here."""


def preflight(options: TorchvisionOptions) -> Iterator[str]:
    """Yield the problems of the side `input_size`, if it is known, of the tensors in `weights`, and of a file that is
    said to be published."""
    smallest = smallest_known(options.model, SMALLEST)
    if problem := problem_of_side(options.model, options.input_size, smallest):
        yield problem
    if options.weights is not None:
        problem = problem_of_shapes(options.weights, options.model, TORCHVISION.get(options.model, {}))
        if problem:
            yield problem
    if options.pretrained and options.weights is not None:
        digest = file_digests({"file": options.weights})["file"]
        known = [file.digest for file in published(options.model)]
        if digest != UNREADABLE and not digest.startswith(tuple(known)):
            yield (
                f"{options.weights} is not a file that torchvision published for {options.model}: its SHA-256 begins "
                f"with {digest[:8]}, not with {' or '.join(known)}; write pretrained: false for weights of your own"
            )


def preflight_epolstm(options: EpolstmPdlOptions) -> Iterator[str]:
    """Yield the problems of the side `input_size`, if it is known, and of the tensors in `weights`, of each network."""
    for model in options.networks:
        if problem := problem_of_side(model, options.input_size, smallest_known(model, SMALLEST)):
            yield problem
    for model, file in (options.weights or {}).items():
        if problem := problem_of_shapes(file, model, TORCHVISION.get(model, {})):
            yield problem
