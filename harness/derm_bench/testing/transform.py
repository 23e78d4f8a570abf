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
    """A transform of any phase with phantoms. `apply` returns its output as one float tensor."""

    def given(self) -> torch.Tensor:
        """Return input images, float32 [16,3,size,size] in [0,1]."""
        return phantoms(size=self.size).images[:N].float() / 255

    def apply(self, seed: int = 0, images: torch.Tensor | None = None) -> torch.Tensor:
        images = self.given() if images is None else images
        generator = torch.Generator().manual_seed(seed)
        phase: str = self.spec.phase
        if phase == "preprocess":
            pixels = self.pixels()
            return torch.from_numpy(np.array(self.call("preprocessing", lambda: self.made(pixels))))
        if phase == "image":
            return torch.as_tensor(self.call("the call", lambda: self.made(images, generator)))
        if phase == "batch":
            mixed, targets = self.call("the call", lambda: self.made(images, self.targets(), generator))
            return torch.cat([mixed.flatten(1), targets], 1)
        return torch.as_tensor(self.loss())

    def pixels(self) -> np.ndarray:
        """Return the first image as preprocessing receives it, uint8 [height,size,3]: a square, or the shape of a
        photograph if the transform runs before the resize to a square."""
        high = self.size * 3 // 4 if getattr(self.made, "before_resize", False) else self.size
        return np.ascontiguousarray((self.given()[0, :, :high].permute(1, 2, 0) * 255).round().byte().numpy())

    def targets(self) -> torch.Tensor:
        return nn.functional.one_hot(torch.arange(N) % 3).float()

    @cached_property
    def net(self) -> nn.Module:
        """A network with logits of three classes for regularisers, with statistics that a pass in train mode
        changes."""
        return nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * self.size**2, 3))

    @cached_property
    def training_batch(self) -> Batch:
        """A batch as a step receives it: normalised, and without the number of the update."""
        return Batch((self.given() - 0.5) / 0.5, self.targets(), torch.ones(N))

    def loss(self) -> Any:
        return self.call("the call", lambda: self.made(self.net, self.training_batch))

    @property
    def may_draw(self) -> bool:
        """Whether the transform is a regulariser, which has no generator and draws from the seeded global ones."""
        return self.spec.phase == "regulariser"

    def use(self) -> None:
        self.apply()


def output_fits_its_phase(case: TransformCase) -> None:
    """The output has the shape, dtype and range of the input."""
    {"preprocess": _preprocess, "image": _image, "batch": _batch, "regulariser": _regulariser}[
        case.spec.phase
    ](case)


def equal_generators_give_equal_outputs(case: TransformCase) -> None:
    """Equal generators give equal outputs."""
    if case.may_draw:
        before = torch.get_rng_state()
        first = case.apply()
        torch.set_rng_state(before)
        require(
            torch.equal(first, case.apply()),
            f"{case.name}: two calls with the same state of torch's global generator differ; draw only from it, "
            "and keep no state between calls",
        )
        return
    require(
        torch.equal(case.apply(0), case.apply(0)),
        f"{case.name}: two calls with the same seed differ; draw only from the torch.Generator that is passed in",
    )


def other_seeds_give_other_outputs(case: TransformCase) -> None:
    """A transform that draws random numbers returns another output for another seed."""
    if case.spec.phase not in ("image", "batch"):
        raise NotApplicable(f"a {case.spec.phase} transform has no generator")
    first = case.apply(0)
    if not _draws(case):
        raise NotApplicable("the transform draws no random numbers")
    require(
        any(not torch.equal(first, case.apply(seed)) for seed in SEEDS),
        f"{case.name}: draws from the generator, but seeds 0 to 3 give the same output; use the drawn numbers",
    )


def images_are_changed_one_by_one(case: TransformCase) -> None:
    """Parameters are drawn for each image separately."""
    if case.spec.phase != "image":
        raise NotApplicable(f"a {case.spec.phase} transform may treat all images alike")
    if not _draws(case):
        raise NotApplicable("the transform draws no random numbers")
    copies = case.given()[:1].expand(N, -1, -1, -1).contiguous()
    outputs = [case.apply(seed, copies) for seed in SEEDS]
    require(
        any(not torch.equal(out, out[:1].expand_as(out)) for out in outputs),
        f"{case.name}: {N} copies of one image have equal outputs; draw n parameters, one for each image of the batch",
    )


def inputs_stay_as_they_are(case: TransformCase) -> None:
    """The input tensors are not changed, as other code reads them too."""
    generator = torch.Generator().manual_seed(0)
    batch, pixels = case.training_batch, torch.from_numpy(case.pixels())
    images, targets = case.given(), case.targets()
    given, arguments = {
        "preprocess": ([pixels], (pixels.numpy(),)),
        "image": ([images], (images, generator)),
        "batch": ([images, targets], (images, targets, generator)),
        "regulariser": ([batch.images, batch.targets], (case.net, batch)),
    }[case.spec.phase]
    kept = [value.clone() for value in given]
    case.call("the call", lambda: case.made(*arguments))
    unchanged = all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))
    require(unchanged, f"{case.name}: changes its input in place; work on a copy")


def the_model_stays_as_it_is(case: TransformCase) -> None:
    """A regulariser does not change the model; only the training step changes weights and statistics."""
    if case.spec.phase != "regulariser":
        raise NotApplicable("only a regulariser receives the model")
    for training in (True, False):
        case.net.zero_grad(set_to_none=True)
        before = _model(case.net.train(training))
        case.loss()
        changed = [name for name, value in _model(case.net).items() if not _same(value, before[name])]
        require(
            not changed,
            f"{case.name}: changes {', '.join(changed)} of the model; compute gradients with torch.autograd.grad, and "
            "do not let BatchNorm update its statistics",
        )


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
    the_model_stays_as_it_is,
    *ABOUT_CALLS,
)


def _preprocess(case: TransformCase) -> None:
    out, given = case.apply(), case.pixels()
    require(
        out.dtype == torch.uint8 and out.ndim == 3 and out.shape[2] == 3,
        f"{case.name}: preprocessing returned {out.dtype} {list(out.shape)}; return uint8 [H,W,3]",
    )
    before = getattr(case.made, "before_resize", False)
    enlarged = before and abs(out.shape[0] * given.shape[1] / out.shape[1] - given.shape[0]) <= 1
    require(
        tuple(out.shape) == given.shape or enlarged,
        f"{case.name}: preprocessing returned {list(out.shape)} for {list(given.shape)}; keep the size, as masks do, "
        "or set before_resize = True and enlarge both sides equally",
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
        f"{case.name}: returned {out.dtype} {list(out.shape)} for {given.dtype} {list(given.shape)}; keep both",
    )
    low, high = float(out.min()), float(out.max())
    require(
        low >= -1e-4 and high <= 1 + 1e-4,
        f"{case.name}: output images range from {low:.3g} to {high:.3g}; keep them in [0,1] (clamp(0, 1))",
    )


def _model(net: nn.Module) -> dict[str, Any]:
    """Return all state of the model that a call could change, by name."""
    found: dict[str, Any] = {name: value.clone() for name, value in net.state_dict().items()}
    for name, value in net.named_parameters():
        found |= {f"gradient of {name}": value.grad, f"requires_grad of {name}": value.requires_grad}
    for name, module in net.named_modules():
        flags = {
            flag: getattr(module, flag, None) for flag in ("training", "track_running_stats", "momentum")
        }
        found |= {f"{flag} of '{name}'": value for flag, value in flags.items()}
    return found


def _same(a: Any, b: Any) -> bool:
    both = isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor)
    return torch.equal(a, b) if both else a is b or (not isinstance(a, torch.Tensor) and a == b)


def _draws(case: TransformCase) -> bool:
    """Return whether a call draws from its generator."""
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    given = (case.given(),) if case.spec.phase == "image" else (case.given(), case.targets())
    case.call("the call", lambda: case.made(*given, generator))
    return not torch.equal(before, generator.get_state())
