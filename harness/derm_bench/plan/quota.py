"""The number of synthetic images per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from derm_bench.errors import UserError
from derm_bench.matrix.model import Synthetic

WINDOW = 128
"""The number of samples among which a filter chooses. What is kept of a window does not depend on later ones, so that
the images of a small quota are the first of those of a large one."""


def kept_of_window(keep: float) -> int:
    """The number of samples that a filter with this share keeps of each window, at least one."""
    return max(1, round(keep * WINDOW))


def drawn_for(n: int, keep: float, there: float) -> int | None:
    """The number of samples to draw such that a filter keeps at least `n` of them: whole windows, or all `there` are if
    that is fewer. None if `there` are too few."""
    kept = kept_of_window(keep)
    whole = -(-n // kept) * WINDOW
    if whole <= there:
        return whole
    windows, rest = divmod(int(there), WINDOW)
    enough = windows * kept + -(-kept * rest // WINDOW) >= n
    return int(there) if enough else None


def quotas(synthetic: Synthetic, counts: Mapping[str, int], classes: Sequence[str]) -> dict[str, int]:
    """The number of synthetic images for each of `classes`; `counts` are the real training images of every class.

    `balance: true` fills each class to the size of the largest class, `balance: N` to N images. `ratio: r` adds r times
    the real images of the class. `per_class` gives the numbers directly. `total` is divided evenly, with the remainder
    added to the first classes. Raises UserError for a class that the generator does not make.
    """
    if synthetic.balance is not None and synthetic.balance is not False:
        target = max(counts.values()) if synthetic.balance is True else int(synthetic.balance)
        return {name: max(0, target - counts[name]) for name in classes}
    if synthetic.ratio is not None:
        return {name: round(synthetic.ratio * counts[name]) for name in classes}
    if isinstance(synthetic.per_class, Mapping):
        unknown = [name for name in synthetic.per_class if name not in classes]
        if unknown:
            raise UserError(
                f"synthetic.per_class names '{unknown[0]}', which the generator does not make",
                hint="it makes " + ", ".join(classes),
            )
        return {name: synthetic.per_class.get(name, 0) for name in classes}
    if synthetic.per_class is not None:
        return dict.fromkeys(classes, synthetic.per_class)
    total = synthetic.total or 0
    share, rest = divmod(total, len(classes))
    return {name: share + (k < rest) for k, name in enumerate(classes)}
