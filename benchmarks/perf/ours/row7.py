"""Inception features, and FID and KID from stored features, with the functions of the fidelity stage. Features in bf16
are measured too, but no reported FID uses them."""

from __future__ import annotations

import numpy as np
import torch
from side import arguments, now, report

from derm_bench.fidelity.distances import frechet_distance, kernel_distance
from derm_bench.fidelity.score import extract
from derm_bench.stages.runtime import prepare
from derm_bench_plugins.metrics.inception import extractor
from derm_bench_plugins.metrics.inception_options import InceptionOptions


def values(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """Return FID and KID without intervals, which torch-fidelity does not compute."""
    return {
        "fid": frechet_distance(real, fake, groups=0).value,
        "kid": kernel_distance(real, fake, groups=0).value,
    }


def main() -> None:
    given = arguments(__doc__, images=None, features=None, weights=None)
    prepare(given.device, given.threads, given.precision)
    images = torch.from_numpy(np.load(given.images, allow_pickle=False))
    network = extractor(InceptionOptions(weights=given.weights), given.device)
    extract(network, images[:8])
    began = now(given.device)
    features = extract(network, images)
    seconds = now(given.device) - began

    with torch.autocast(torch.device(given.device).type, dtype=torch.bfloat16):
        extract(network, images[:8])
        began = now(given.device)
        in_bf16 = extract(network, images)
        bf16_seconds = now(given.device) - began

    stored = np.load(given.features, allow_pickle=False)
    began = now(given.device)
    of_stored = values(stored[0].astype(np.float64), stored[1].astype(np.float64))
    report(
        rate=len(images) / seconds,
        statistics_seconds=now(given.device) - began,
        bf16_rate=len(images) / bf16_seconds,
        of_images=values(*np.split(features, 2)),
        of_images_bf16=values(*np.split(in_bf16, 2)),
        of_stored={"fid": of_stored["fid"]},
    )


if __name__ == "__main__":
    main()
