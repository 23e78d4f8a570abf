"""Options and spec of `ensemble`, the mean of other classifiers' probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from derm_bench.specs import ClassifierSpec, ClassifierUse, Options, Ref
from derm_bench_plugins.classifiers.member_names import member_names


class EnsembleOptions(Options):
    """The members and their weights. Options of training belong to the members; the ensemble itself trains nothing."""

    members: tuple[ClassifierUse, ...] = Field(
        min_length=1,
        description="classifiers, written as under `classifiers`; each is trained as if it were listed there",
    )
    member_weights: tuple[float, ...] | None = Field(
        None, description="the weight of each member in the mean; default: equal weights"
    )
    select: Literal["best", "last"] = Field(
        "last", description="accepted as for any classifier; the mean has no checkpoints to select from"
    )

    @model_validator(mode="after")
    def _one_weight_each(self) -> EnsembleOptions:
        weights = self.member_weights
        if weights is not None and len(weights) != len(self.members):
            raise ValueError(f"{len(weights)} member_weights for {len(self.members)} members")
        if weights is not None and (min(weights) < 0 or not sum(weights)):
            raise ValueError("member_weights must be 0 or more, and not all 0")
        return self


def _members(options: EnsembleOptions) -> Mapping[str, Ref]:
    pairs = zip(member_names(len(options.members)), options.members, strict=True)
    return {name: Ref("classifier", member.name, member) for name, member in pairs}


_PAIR = [{"name": "dermagan-cnn", "preset": "tiny"}, {"name": "timm", "preset": "tiny"}]

SPEC = ClassifierSpec(
    name="ensemble",
    summary="the mean of the probabilities of other classifiers",
    paper="Hansen and Salamon 1990, Neural network ensembles",
    create="derm_bench_plugins.classifiers.ensemble:Ensemble",
    options=EnsembleOptions,
    requires=_members,
    trains=False,
    presets={"tiny": {"members": _PAIR}, "smoke": {"members": _PAIR}},
)
