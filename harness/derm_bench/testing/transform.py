"""The rules for transforms."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from derm_bench.run import Batch
from derm_bench.testing.calls import ABOUT_CALLS, CallCase
from derm_bench.testing.phantoms import phantoms
from derm_bench.testing.rules import NotApplicable, Rule, require
from derm_bench.testing.spec import ABOUT_SPECS

SEEDS = range(4)
N = 16


class TransformCase(CallCase):
    """A transform of any phase on phantoms. `apply` gives its outcome as one float tensor."""

    def given(self) -> torch.Tensor:
        """float32 [16,3,size,size] in [0,1]."""
        return phantoms(size=self.size).images[:N].float() / 255

    def apply(self, seed: int = 0, images: torch.Tensor | None = None) -> torch.Tensor:
        images = self.given() if images is None else images
        generator = torch.Generator().manual_seed(seed)
        phase: str = self.spec.phase
        if phase == "preprocess":
            pixels = (images[0].permute(1, 2, 0) * 255).byte().numpy()
            return torch.from_numpy(np.asarray(self.call("preprocessing", lambda: self.made(pixels))))
        if phase == "image":
            return torch.as_tensor(self.call("the call", lambda: self.made(images, generator)))
        if phase == "batch":
            mixed, targets = self.call("the call", lambda: self.made(images, self.targets(), generator))
            return torch.cat([mixed.flatten(1), targets], 1)
        return torch.as_tensor(self.loss())

    def targets(self) -> torch.Tensor:
        return nn.functional.one_hot(torch.arange(N) % 3).float()

    @cached_property
    def net(self) -> nn.Module:
        """Logits of three classes, for a regulariser to reach into."""
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * self.size**2, 3))

    def loss(self) -> Any:
        batch = Batch((self.given() - 0.5) / 0.5, self.targets(), torch.ones(N), step=1)
        return self.call("the call", lambda: self.made(self.net, batch))

    @property
    def may_draw(self) -> bool:
        """A regulariser is given no generator; the harness seeds the global ones."""
        return self.spec.phase == "regulariser"

    def use(self) -> None:
        self.apply()


def output_fits_its_phase(case: TransformCase) -> None:
    """Shape, dtype and range are those of the input."""
    {"preprocess": _preprocess, "image": _image, "batch": _batch, "regulariser": _regulariser}[
        case.spec.phase
    ](case)


def equal_generators_give_equal_outputs(case: TransformCase) -> None:
    """Under one seed, one outcome."""
    if case.may_draw:
        raise NotApplicable("a regulariser draws from the global generators, which the harness seeds")
    require(
        torch.equal(case.apply(0), case.apply(0)),
        f"{case.name}: two calls under one seed differ; draw from the torch.Generator that is passed in, and no other",
    )


def other_seeds_give_other_outputs(case: TransformCase) -> None:
    """What draws at all draws anew under another seed."""
    if case.spec.phase not in ("image", "batch"):
        raise NotApplicable(f"a {case.spec.phase} transform is given no generator")
    first = case.apply(0)
    if not _draws(case):
        raise NotApplicable("it draws nothing")
    require(
        any(not torch.equal(first, case.apply(seed)) for seed in SEEDS),
        f"{case.name}: draws from the generator, but seeds 0 to 3 give the same; let what is drawn reach the images",
    )


def images_are_changed_one_by_one(case: TransformCase) -> None:
    """Parameters are drawn for each image by itself."""
    if case.spec.phase != "image":
        raise NotApplicable(f"a {case.spec.phase} transform may treat all alike")
    if not _draws(case):
        raise NotApplicable("it draws nothing")
    copies = case.given()[:1].expand(N, -1, -1, -1).contiguous()
    outputs = [case.apply(seed, copies) for seed in SEEDS]
    require(
        any(not torch.equal(out, out[:1].expand_as(out)) for out in outputs),
        f"{case.name}: {N} copies of one image come out alike; draw n parameters, one for each image of the batch",
    )


def inputs_stay_as_they_are(case: TransformCase) -> None:
    """The images that are passed in are not changed: others read them too."""
    if case.spec.phase == "regulariser":
        raise NotApplicable("a regulariser gives a loss")
    images = case.given()
    kept = images.clone()
    case.apply(0, images)
    require(torch.equal(kept, images), f"{case.name}: changes its input in place; work on a copy")


def bare_value_is_an_option(case: TransformCase) -> None:
    """`{rotate: 30}` sets the option that `scalar` names."""
    scalar = case.spec.scalar
    require(
        scalar is None or scalar in case.subject.model.model_fields,
        f"{case.name}: scalar='{scalar}' names no option; name one of {', '.join(case.subject.model.model_fields)}",
    )


RULES: tuple[Rule, ...] = (
    *ABOUT_SPECS,
    bare_value_is_an_option,
    output_fits_its_phase,
    equal_generators_give_equal_outputs,
    other_seeds_give_other_outputs,
    images_are_changed_one_by_one,
    inputs_stay_as_they_are,
    *ABOUT_CALLS,
)


def _preprocess(case: TransformCase) -> None:
    out = case.apply()
    require(
        out.dtype == torch.uint8 and out.ndim == 3 and out.shape[2] == 3,
        f"{case.name}: preprocessing gave {out.dtype} {list(out.shape)}; return uint8 [H,W,3]",
    )


def _image(case: TransformCase) -> None:
    for seed in SEEDS:
        _in_range(case, case.apply(seed), case.given())


def _batch(case: TransformCase) -> None:
    generator = torch.Generator().manual_seed(0)
    out = case.call("the call", lambda: case.made(case.given(), case.targets(), generator))
    require(
        isinstance(out, tuple) and len(out) == 2,
        f"{case.name}: returned {type(out).__name__}; return (images, targets)",
    )
    _in_range(case, out[0], case.given())
    sums = out[1].sum(1)
    require(
        out[1].shape == case.targets().shape and torch.allclose(sums, torch.ones_like(sums), atol=1e-4),
        f"{case.name}: targets {list(out[1].shape)} with rows that sum to {float(sums.min()):.3g} or more; return "
        f"{list(case.targets().shape)}, mixed by shares that sum to 1",
    )


def _regulariser(case: TransformCase) -> None:
    loss = case.loss()
    require(
        isinstance(loss, torch.Tensor) and loss.ndim == 0 and bool(loss.isfinite()) and loss.requires_grad,
        f"{case.name}: returned {loss!r}; return a finite scalar tensor that carries gradients to the model",
    )


def _in_range(case: TransformCase, out: torch.Tensor, given: torch.Tensor) -> None:
    require(
        out.shape == given.shape and out.dtype == given.dtype,
        f"{case.name}: made {out.dtype} {list(out.shape)} of {given.dtype} {list(given.shape)}; keep both",
    )
    low, high = float(out.min()), float(out.max())
    require(
        low >= -1e-4 and high <= 1 + 1e-4,
        f"{case.name}: images from {low:.3g} to {high:.3g}; stay in [0,1] (clamp(0, 1))",
    )


def _draws(case: TransformCase) -> bool:
    """Whether a call moves its generator."""
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    given = (case.given(),) if case.spec.phase == "image" else (case.given(), case.targets())
    case.call("the call", lambda: case.made(*given, generator))
    return not torch.equal(before, generator.get_state())
