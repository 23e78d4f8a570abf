"""Which images the memorization screen takes, how many it needs, and when it flags a fit. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

FEWEST = 10
"""The fewest images, and groups, of each side for which there is a value."""

SAMPLES = 200
"""The number of samples that are screened, or more if more are scored."""

FEATURES, PIXELS = "features", "pixels"

FLAGS = (PIXELS,)
"""The spaces whose tests flag a fit. The reference networks are fitted to the training images, so that real images that
no one trained on need not be as near to training images as to held-out ones in their features: these are shown only."""

ALPHA = 0.05
"""A fit is flagged if a p value in a space of `FLAGS` is below this, after Holm's correction for its classes."""


def too_few(train: Sequence[str], control: Sequence[str], samples: int) -> str:
    """Return why there is no value for sides with these groups, one per image; an empty text if there is one."""
    for words, groups in (("training", train), ("held-out", control)):
        if len(groups) < FEWEST:
            return f"{len(groups)} {words} images are too few, {FEWEST} are needed"
        if len(set(groups)) < FEWEST:
            return f"{words} images of {len(set(groups))} groups are too few, {FEWEST} groups are needed"
    return "" if samples >= FEWEST else f"{samples} samples are too few, {FEWEST} are needed"
