"""Options and spec of `stylegan2-hierarchy`, the stages of paper 001."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from derm_bench.specs import Budget, GeneratorSpec, Ref
from derm_bench_plugins.generators.specs.graded import SortingOptions

HEALTHY = "base"
NETWORK = "stylegan2-unlabelled"


class HierarchyOptions(SortingOptions):
    """The classes, the networks and how samples of A are sorted."""

    healthy: str | None = Field(
        "healthy", description="the class of healthy skin, which the base makes; null: there is none"
    )
    grades: tuple[str, ...] = Field(
        ("mild", "moderate", "severe"), min_length=1, description="the classes of the disease, in order"
    )
    network: dict[str, Any] = Field(
        default_factory=dict,
        description="options of all networks, those of stylegan2-unlabelled; `preset: NAME` among them",
    )
    base: dict[str, Any] = Field(
        default_factory=dict,
        description="options of the base alone, such as weights: FILE with trained_on: ..., or classes: [...] to fit "
        "it on; default the healthy class, or all grades if there is none",
    )
    base_budget: Budget = Field(default=Budget(kimg=200), description="how long to fit the base")
    all_budget: Budget = Field(
        default=Budget(kimg=280), description="how long to fit A to all grades; the paper's 280"
    )
    grade_budget: Budget = Field(
        default=Budget(kimg=100), description="how long to fit each network of a grade"
    )
    start: Literal["paper", "chained"] = Field(
        "paper", description="what the networks of the grades start from; paper: the base, chained: A"
    )
    unlabelled: dict[str, Any] | None = Field(
        None,
        description="a data set whose images A is fitted to as well, without labels, as `extra_data` of a generator",
    )

    @model_validator(mode="after")
    def _classes_differ(self) -> HierarchyOptions:
        """Also sets `classes`, so that a class that no network makes is refused while planning."""
        names = [*([self.healthy] if self.healthy is not None else []), *self.grades]
        if len(set(names)) < len(names):
            raise ValueError("healthy and grades must be different classes")
        if self.classes is not None and set(self.classes) != set(names):
            raise ValueError(f"classes must be healthy and grades: {', '.join(names)}")
        object.__setattr__(self, "classes", self.classes or tuple(names))
        return self


def network_of(grade: str) -> str:
    """Return the name of the network of a grade among the requirements."""
    return f"B {grade}".replace("/", "-")


def requires(options: HierarchyOptions) -> Mapping[str, Ref]:
    """Return the base, and for each grade its network."""
    common = ({"size": options.size} if options.size else {}) | options.network
    base = {
        "classes": [options.healthy] if options.healthy is not None else list(options.grades),
        **common, "budget": options.base_budget.model_dump(exclude_none=True), **options.base,
    }  # fmt: skip
    whole = {
        "classes": list(options.grades), **common, "budget": options.all_budget.model_dump(exclude_none=True),
        "start": {"name": NETWORK, **base},
    }  # fmt: skip
    if options.unlabelled is not None:
        whole["extra_data"] = options.unlabelled
    sorting: dict[str, Any] = {
        "source": {"name": NETWORK, **whole},
        "classes": list(options.grades),
        **{
            name: getattr(options, name) for name in ("draws", "confidence", "least", "min_per_class", "keep")
        },
    }
    if options.sorted is not None:
        sorting["sorted"] = options.sorted
    elif options.grader is not None:
        sorting["grader"] = options.grader
    first = {"name": NETWORK, **(base if options.start == "paper" else whole)}
    found = {HEALTHY: Ref("generator", NETWORK, base)} if options.healthy is not None else {}
    for grade in options.grades:
        own = {
            "classes": [grade], **common, "budget": options.grade_budget.model_dump(exclude_none=True), "start": first,
        }  # fmt: skip
        samples = Ref("samples", "graded", sorting, n=options.keep)
        found[network_of(grade)] = Ref("generator", NETWORK, own, data=samples)
    return found


_TINY: dict[str, Any] = {
    "network": {"preset": "tiny"},
    "grader": {"name": "dermagan-cnn", "preset": "tiny"},
    "base_budget": {"updates": 3}, "all_budget": {"updates": 3}, "grade_budget": {"updates": 3},
    "draws": 64, "confidence": 0.5, "least": 0.0, "min_per_class": 4, "keep": 16,
}  # fmt: skip

SPEC = GeneratorSpec(
    name="stylegan2-hierarchy",
    summary="StyleGAN2 for all grades of a disease, whose sorted samples train one StyleGAN2 per grade",
    paper="paper 001",
    create="derm_bench_plugins.generators.hierarchy:Hierarchy",
    options=HierarchyOptions,
    requires=requires,
    parts=(),
    screen=True,
    conditional=True,
    trains=False,
    presets={"tiny": _TINY, "smoke": _TINY},
    finite="derm_bench_plugins.generators.specs.graded:without_end",
    depends_on="derm_bench_plugins.generators.sorted_names:digest",
    preflight="derm_bench_plugins.generators.sorted_names:preflight",
)
