"""Options and spec of the control `shuffled-label`."""

from __future__ import annotations

from pydantic import model_validator

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.control_options import ControlOptions


class ShuffledLabelOptions(ControlOptions):
    """Labels are drawn over all classes, so that neither `classes` nor a scope per class is accepted."""

    @model_validator(mode="after")
    def _draws_from_all_classes(self) -> ShuffledLabelOptions:
        if self.classes is not None:
            raise ValueError(
                "classes: shuffled-label draws from all classes; synthetic.per_class sets which classes get images"
            )
        if self.scope not in (None, "pooled"):
            raise ValueError(
                "scope: shuffled-label draws from all classes at once (pooled); leave this option out"
            )
        return self


SPEC = GeneratorSpec(
    name="shuffled-label",
    summary="control: real training images drawn again, labels drawn from the training prior",
    create="derm_bench_plugins.generators.controls.shuffled_label:ShuffledLabel",
    options=ShuffledLabelOptions,
    parts=("order",),
    conditional=True,
    conditions_on="images",
    trains=False,
    presets={"tiny": {}, "smoke": {}},
    finite="derm_bench_plugins.generators.specs.control_options:without_end",
)
