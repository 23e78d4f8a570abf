"""Further sizes of the rows: those of benchmarks/gpu/check.sh, and toy ones for its dry run on a CPU."""

from __future__ import annotations

from collections.abc import Mapping

_GAN = {"images": 512, "batch": 64, "warmup": 20, "parity_batch": 64, "pairs": 3}
_TOY = {"images": 16, "batch": 4, "updates": 3, "warmup": 1, "parity_batch": 2, "parity_steps": 2, "pairs": 1}

SIZES: Mapping[str, Mapping[int, Mapping[str, int]]] = {
    # Rows with a DataLoader have few updates, because the plain script reads about 800 images per second. The others
    # have many, because 100 updates take our side a fraction of a second. All warm-ups contain the recording of the
    # graphs: row 3 records the step of G at its 16th update.
    "gpu-check": {
        1: _GAN | {"updates": 80},
        2: _GAN | {"updates": 600},
        3: _GAN | {"updates": 400},
        # All variants of the step are recorded after 49 updates.
        4: {
            "images": 256, "batch": 32, "updates": 96, "warmup": 64, "base": 16384, "parity_batch": 16,
            "parity_steps": 20, "pairs": 3,
        },
        5: {
            "images": 60, "side": 256, "base": 256, "batch": 10, "updates": 60, "warmup": 20, "parity_batch": 4,
            "parity_steps": 10, "pairs": 3,
        },
        6: _GAN | {"updates": 80},
        7: {"images": 1024, "features": 3000, "pairs": 3},
        9: {
            "images": 200, "batch": 32, "updates": 20, "generators": 1, "classifiers": 2, "seeds": 1, "pairs": 3,
        },
    },
    "toy": {
        1: _TOY,
        2: _TOY,
        3: _TOY,
        4: _TOY | {"base": 256},
        5: _TOY | {"side": 128, "base": 16},
        6: _TOY,
        7: {"images": 16, "features": 40, "pairs": 1},
        9: {
            "images": 24, "batch": 2, "updates": 2, "generators": 1, "classifiers": 1, "seeds": 1, "pairs": 1,
        },
    },
}  # fmt: skip
