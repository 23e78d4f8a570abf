"""The names of StyleGAN2's tensors by resolution, as in the authors' PyTorch code (stylegan2-ada-pytorch, stylegan3).

    synthesis.ups.1.conv.weight  <->  G  synthesis.b16.conv0.weight
    blocks.0.skip.weight         <->  D  b64.skip.weight               for a D of side 64

Two networks of different sides have the same names at the same resolution, and a file of either code can be loaded.
Imports no torch, because the parent process checks files of weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

START = 4
PREFIXES = {
    "generator": ("generator.", "G_ema.", "G."),
    "discriminator": ("discriminator.", "D."),
}
"""The beginnings of the names of each network in a file: ours, and those of an export of the authors' networks."""

_LAYERS = {"conv.weight": "weight", "strength": "noise_strength", "noise": "noise_const"}


def by_part(tensors: Mapping[str, T]) -> dict[str, dict[str, T]]:
    """Return the tensors of a file (or anything else by name) by network and by their names by resolution. Of several
    generators, the first in the order of `PREFIXES` counts. A network without tensors is left out."""
    found: dict[str, dict[str, T]] = {}
    for part, prefixes in PREFIXES.items():
        for prefix in prefixes:
            inner = {
                name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)
            }
            if inner:
                found[part] = by_resolution(inner, part)
                break
    return found


def by_resolution(tensors: Mapping[str, T], part: str) -> dict[str, T]:
    """Return the tensors of one network under their names by resolution. Names that are such already are kept."""
    rename = _of_generator if part == "generator" else _of_discriminator
    side = _side(tensors)
    return {rename(name, side): value for name, value in tensors.items() if "resample_filter" not in name}


def _side(names: Iterable[str]) -> int:
    """The side of the images of a discriminator with our names; a generator's names do not depend on it."""
    blocks = {match[1] for name in names if (match := re.match(r"blocks\.(\d+)\.", name))}
    return int(START * 2 ** len(blocks))


def _of_generator(name: str, side: int) -> str:
    name = re.sub(r"^mapping\.layers\.(\d+)", r"mapping.fc\1", name).replace(
        "mapping.average", "mapping.w_avg"
    )
    if name == "synthesis.start":
        return "synthesis.b4.const"
    match = re.match(r"synthesis\.(first|(ups|convs|to_rgb)\.(\d+))\.(.+)$", name)
    if match is None:
        return name
    kind, place, rest = match[1], match[3], match[4]
    kind = kind.partition(".")[0]
    number = int(place or 0) + (kind in ("ups", "convs"))
    layer = {"ups": "conv0", "to_rgb": "torgb"}.get(kind, "conv1")
    rest = _LAYERS.get(rest, rest.replace("conv.affine", "affine"))
    return f"synthesis.b{START * 2**number}.{layer}.{rest}"


def _of_discriminator(name: str, side: int) -> str:
    name = re.sub(r"^mapping\.layers\.(\d+)", r"mapping.fc\1", name)
    if match := re.match(r"blocks\.(\d+)\.(.+)$", name):
        return f"b{side // 2 ** int(match[1])}.{match[2]}"
    ends = {"from_rgb": f"b{side}.fromrgb", "conv": "b4.conv", "dense": "b4.fc", "out": "b4.out"}
    first, _, rest = name.partition(".")
    return f"{ends[first]}.{rest}" if first in ends else name
