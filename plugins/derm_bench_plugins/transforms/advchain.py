"""AdvChain: Chen et al., "Enhancing MR image segmentation with realistic adversarial data augmentation", Medical Image
Analysis 2022, as a regulariser of classifiers.

The prediction for an image should not change when a chain of noise, illumination, warping and an affine map is applied
in random order. The parameters of the chain take one step in the direction of the largest change of the prediction:
loss = supervised + weight * consistency.

| link | parameters per image | settings |
|---|---|---|
| noise | one number per value, added | norm 1 (`noise`), one power iteration from norm 1e-6 (`xi`) |
| bias | control points half a side apart, cubic B-spline, exp, multiplied | at most 30% (`bias`) |
| morph | velocities 16 pixels apart, cubic B-spline, integrated by scaling and squaring | `morph` 1.5 |
| affine | rotation, size and shift of both axes | 30 degrees, 20%, 10% of half the side |

Choices where the paper is about segmentation or states nothing:
- Consistency is KL(p of the image || p of the changed image) of the class probabilities, which are the softmax of the
  logits in float32. It is averaged over the batch, and no gradient flows through the first argument. Warps are not
  undone, because a class has no position.
- Images are first converted to pixels in 0 to 1, and at the end clipped and normalised again. The bounds thus mean the
  same for every normalisation, and light is multiplied as in a photograph.
- The parameters of bias, morph and affine start uniformly within their bounds, take a step along the gradient, whose
  root mean square is scaled to `step` in units of the bound, and are then clipped to the bound. The noise is its
  gradient, scaled to `noise`.
- `morph` is in 64ths of the side: the paper's 1.5 is in grid units, whose length depends on the size of its images.
- The order is drawn once per batch, on the device. Each position in the chain applies an illumination and noise, which
  may be none, and then a map, which may be the identity, so that the step can be captured in a CUDA graph.
- The weight is constant. The paper's ramp would need the number of the update, to which a captured step has no access.
- BatchNorm uses the statistics of the changed batch, but only plain batches update its running statistics.
- In addition to the forward and backward pass of the loss, there are three forward and two backward passes, all in
  float32.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from derm_bench.training.engine import frozen

if TYPE_CHECKING:
    from derm_bench.run import Batch
    from derm_bench.specs import Task

SQUARINGS = 4
SPACING = 16  # pixels between velocities
HALF = (0.5, 0.5, 0.5)

# Parameters by link: [N,...], within [-1,1], except for noise, which is in pixel values.
Parameters = Mapping[str, torch.Tensor]


class AdvChain:
    """(model, batch) -> the weighted consistency loss, a float32 scalar from which gradients flow to the model."""

    def __init__(self, options: Any, task: Task) -> None:
        self.options, self.task = options, task
        self.light = spline_basis(task.size, 2).to(task.device)
        self.flow = spline_basis(task.size, max(1, task.size // SPACING)).to(task.device)
        # One number per parameter of the affine map: rotation, sizes, shifts.
        limits = [math.radians(options.rotation), *[options.scale] * 2, *[options.shift] * 2]
        self.limits = torch.tensor(limits, device=task.device)
        self.centre = _grid(task.size, task.device)
        self.normalised_with(HALF, HALF)

    def normalised_with(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Set the mean and standard deviation, for pixels in 0 to 1, with which batches are normalised."""
        self.mean = torch.tensor(mean, device=self.task.device).view(1, 3, 1, 1)
        self.std = torch.tensor(std, device=self.task.device).view(1, 3, 1, 1)

    def __call__(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        pixels = batch.images * self.std + self.mean
        order = torch.rand(len(self.options.chain), device=pixels.device).argsort()
        with running_statistics_kept(model):
            with torch.no_grad():
                clean = model(batch.images)
            with frozen(model):
                parameters = self.adversarial(model, pixels, clean, self.random(pixels), order)
            loss: torch.Tensor = self.options.weight * self.divergence(
                model, pixels, clean, parameters, order
            )
        return loss

    def random(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the initial parameters of the chain: uniform within the bounds, and noise of norm `xi`."""
        n, device = len(pixels), pixels.device
        lights, flows = self.light.shape[1], self.flow.shape[1]
        drawn = {
            "noise": _scaled(torch.randn_like(pixels), self.options.xi),
            "bias": torch.rand(n, 1, lights, lights, device=device) * 2 - 1,
            "morph": torch.rand(n, 2, flows, flows, device=device) * 2 - 1,
            "affine": torch.rand(n, 5, device=device) * 2 - 1,
        }
        return {link: drawn[link] for link in self.options.chain}

    def adversarial(
        self,
        model: nn.Module,
        pixels: torch.Tensor,
        clean: torch.Tensor,
        start: Parameters,
        order: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Return the parameters after one step along the gradient of the divergence, within their bounds."""
        leaves = {link: value.detach().requires_grad_() for link, value in start.items()}
        with torch.enable_grad():
            divergence = self.divergence(model, pixels, clean, leaves, order)
            gradients = torch.autograd.grad(divergence, list(leaves.values()))
        return {
            link: _scaled(gradient, self.options.noise)
            if link == "noise"
            else (value.detach() + _scaled(gradient, self.options.step, mean=True)).clamp(-1, 1)
            for (link, value), gradient in zip(leaves.items(), gradients, strict=True)
        }

    def divergence(
        self,
        model: nn.Module,
        pixels: torch.Tensor,
        clean: torch.Tensor,
        parameters: Parameters,
        order: torch.Tensor,
    ) -> torch.Tensor:
        """Return the mean KL divergence of the predictions for changed pixels from the logits `clean` [N,K]."""
        changed = (self.apply(pixels, parameters, order) - self.mean) / self.std
        logits = model(changed.contiguous(memory_format=torch.channels_last))
        target = F.log_softmax(clean.detach().float(), dim=1)
        return F.kl_div(F.log_softmax(logits.float(), dim=1), target, reduction="batchmean", log_target=True)

    def apply(self, pixels: torch.Tensor, parameters: Parameters, order: torch.Tensor) -> torch.Tensor:
        """Apply the links to pixels [N,3,S,S] in [0,1]. `order[k]` is the position in `chain` of the k-th link."""
        factor, offset = self.illumination(parameters), parameters.get("noise")
        maps = self.displacements(parameters)
        place = {link: k for k, link in enumerate(self.options.chain)}
        for link in order.unbind():
            # Multiplication replaces torch.where, which would copy a number from the host to the device.
            now = {name: (link == k).float() for name, k in place.items()}
            if factor is not None:
                pixels = pixels * (1 + now["bias"] * (factor - 1))
            if offset is not None:
                pixels = pixels + now["noise"] * offset
            if maps:
                moved = sum(now[name] * shift for name, shift in maps.items())
                pixels = _sample(pixels, self.centre + moved, "reflection")
        return pixels.clamp(0, 1)

    def illumination(self, parameters: Parameters) -> torch.Tensor | None:
        """Return the factor of each pixel, [N,1,S,S], in 1 / (1 + bias) to 1 + bias."""
        if "bias" not in parameters:
            return None
        return (self.light @ parameters["bias"] @ self.light.T * math.log1p(self.options.bias)).exp()

    def displacements(self, parameters: Parameters) -> dict[str, torch.Tensor]:
        """Return the displacement at which each pixel is read, by link: [N,S,S,2] (x, y), where the side has length
        2."""
        maps = {}
        if "morph" in parameters:
            # The longest vector has both components at their bound.
            longest = self.options.morph / 64 * 2 / math.sqrt(2)
            velocity = self.flow @ parameters["morph"] @ self.flow.T * longest
            maps["morph"] = integrated(velocity, self.centre).permute(0, 2, 3, 1)
        if "affine" in parameters:
            maps["affine"] = self._affine(parameters["affine"]) - self.centre
        return maps

    def _affine(self, parameters: torch.Tensor) -> torch.Tensor:
        """Return the position at which each pixel is read, [N,S,S,2], for parameters [N,5] within [-1,1]."""
        angle, size_x, size_y, x, y = (parameters * self.limits).unbind(dim=1)
        cos, sin = angle.cos(), angle.sin()
        first = torch.stack([cos * (1 + size_x), -sin * (1 + size_y), x], dim=1)
        second = torch.stack([sin * (1 + size_x), cos * (1 + size_y), y], dim=1)
        size = self.task.size
        return F.affine_grid(
            torch.stack([first, second], dim=1), [len(parameters), 1, size, size], align_corners=False
        )


def spline_basis(size: int, cells: int) -> torch.Tensor:
    """Return the weight of each control point of a uniform cubic B-spline with `cells` cells at the centres of `size`
    pixels, float32 [size, cells + 3].

    The weights are not negative and each row sums to 1, so that a spline stays within the bounds of its points.
    """
    place = (torch.arange(size) + 0.5) / size * cells
    cell = place.long()
    t = (place - cell).view(-1, 1)
    weights = torch.cat(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], dim=1
    )
    return torch.zeros(size, cells + 3).scatter_(1, cell.view(-1, 1) + torch.arange(4), weights / 6)


def integrated(velocity: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """Return the displacements [N,2,S,S] after unit time along velocities of that shape.

    The velocities are halved four times, and the map is then composed with itself as often (scaling and squaring),
    which keeps the map invertible.
    """
    moved: torch.Tensor = velocity / 2**SQUARINGS
    for _ in range(SQUARINGS):
        moved = moved + _sample(moved, centre + moved.permute(0, 2, 3, 1), "border")
    return moved


@contextlib.contextmanager
def running_statistics_kept(model: nn.Module) -> Iterator[None]:
    """Keep the running statistics of BatchNorm layers in train mode, which still normalise with the batch's
    statistics."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def _grid(size: int, device: str) -> torch.Tensor:
    """Return the (x, y) of each pixel's centre, [1,S,S,2], where the edges are at -1 and 1."""
    return F.affine_grid(torch.eye(2, 3, device=device)[None], [1, 1, size, size], align_corners=False)


def _sample(values: torch.Tensor, grid: torch.Tensor, beyond: str) -> torch.Tensor:
    return F.grid_sample(values, grid, mode="bilinear", padding_mode=beyond, align_corners=False)


def _scaled(values: torch.Tensor, to: float, mean: bool = False) -> torch.Tensor:
    """Scale each row so that its norm (with `mean`, its root mean square) is `to`. Zeros stay zeros."""
    rows = values.flatten(1)
    # Divided first: squares of tiny gradients would be lost in float32.
    rows = rows / rows.abs().amax(dim=1, keepdim=True).clamp(min=1e-30)
    length = rows.square().mean(dim=1, keepdim=True) if mean else rows.square().sum(dim=1, keepdim=True)
    return (to * rows / length.sqrt().clamp(min=1e-12)).view_as(values)
