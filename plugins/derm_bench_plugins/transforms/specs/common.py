"""What the specs of several transforms share."""

from __future__ import annotations

from derm_bench.specs import Options, TransformSpec


def image_spec(name: str, summary: str, place: str, options: type[Options], scalar: str) -> TransformSpec:
    """The spec of a transform of images; `place` is `module:class` in `derm_bench_plugins.transforms`, `scalar` the
    option that a bare value in a matrix sets."""
    create = f"derm_bench_plugins.transforms.{place}"
    return TransformSpec(
        name=name, summary=summary, create=create, options=options, phase="image", scalar=scalar
    )
