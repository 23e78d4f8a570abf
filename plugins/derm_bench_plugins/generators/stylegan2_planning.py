"""What planning knows of the StyleGAN2 generators: impossible sides and files of weights. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from derm_bench.weights_header import shapes_in
from derm_bench_plugins.generators.sizes import powers_of_two
from derm_bench_plugins.generators.stylegan2_names import by_part


def preflight(options: Any) -> Iterator[str]:
    """Yield the problems of the side and of the file of weights."""
    yield from powers_of_two(options)
    if options.weights is not None:
        yield from _of_weights(options)


def _of_weights(options: Any) -> Iterator[str]:
    if options.weights.suffix != ".safetensors":
        yield (
            f"{options.weights} is no .safetensors file; a pickle of the authors is never opened, as it may hold "
            "code: docs/stylegan2.md says how to export it"
        )
        return
    try:
        shapes = shapes_in(options.weights)
    except (OSError, ValueError) as error:
        yield str(error)
        return
    networks = by_part(shapes)
    if "generator" not in networks:
        yield f"{options.weights} has no StyleGAN2 generator: its names begin with generator. or G_ema."
