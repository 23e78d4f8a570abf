"""How many synthetic images each class gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from derm_bench.errors import UserError
from derm_bench.matrix.model import Synthetic


def quotas(synthetic: Synthetic, counts: Mapping[str, int], classes: Sequence[str]) -> dict[str, int]:
    """Synthetic images for each of `classes`; `counts` are the real training images of every class.

    balance: true fills each class to the largest one, balance: N to N; ratio r: r times the class's real count;
    per_class: as stated; total: shared evenly, the remainder to the first classes.
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
