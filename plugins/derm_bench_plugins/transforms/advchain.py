"""AdvChain: Chen et al., "Enhancing MR image segmentation with realistic adversarial data augmentation", Medical Image
Analysis 2022, as a regulariser of classifiers.

The prediction for an image should not change under a chain of noise, illumination, warping and an affine map in random
order, whose parameters take one step in the direction of the largest change:
loss = supervised + weight * consistency.

| link | parameters of an image | settings |
|---|---|---|
| noise | one number per value, added | norm 1 (`noise`), one power iteration from norm 1e-6 (`xi`) |
| bias | control points half a side apart, cubic B-spline, exp, multiplied | at most 30% (`bias`) |
| morph | velocities 16 pixels apart, cubic B-spline, integrated by scaling and squaring | `morph` 1.5 |
| affine | rotation, size and shift of both axes | 30 degrees, 20%, 10% of half the side |

Choices where the paper is about segmentation, or silent:
- Consistency is KL(p of the image || p of the changed image) of class probabilities, softmax of the logits in float32,
  mean over the batch; no gradient flows through the first. Warps are not undone: a class has no position.
- Images are converted to pixels in 0 to 1 first, clipped at the end and normalised again, so that the bounds mean the
  same under every normalisation and light is multiplied as in a photograph.
- bias, morph and affine start uniform within their bounds and step along the gradient, which has a root mean square of
  `step` in units of the bound, then are clipped to it. Noise is its gradient, scaled to `noise`.
- `morph` is in 64ths of the side: the paper's 1.5 is in grid units, whose length depends on the size of its images.
- The order is drawn once per batch, on the device. Each position in the chain applies an illumination and noise, which
  may be none, then a map, which may be the identity, so that a CUDA graph can hold the step.
- The weight is constant; the paper's ramp would need the number of the update, to which a recorded step has no access.
- BatchNorm uses the statistics of the changed batch, but its running statistics are updated by plain batches alone.
- In addition to the forward and backward pass of the loss there are three forward and two backward passes, all in
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

# By link: [N,...], within [-1,1] but for noise, which is in pixel values.
Parameters = Mapping[str, torch.Tensor]


class AdvChain:
    """(model, batch) -> the weighted consistency loss, a float32 scalar with gradients to the model."""

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
        """Sets the mean and standard deviation, of pixels in 0 to 1, with which batches are normalised."""
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
        """Where the chain starts: uniform within the bounds, noise of norm `xi`."""
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
        """The parameters after one step up the gradient of the divergence, within their bounds."""
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
        """Mean KL divergence of the predictions for changed pixels from the logits `clean` [N,K]."""
        changed = (self.apply(pixels, parameters, order) - self.mean) / self.std
        logits = model(changed.contiguous(memory_format=torch.channels_last))
        target = F.log_softmax(clean.detach().float(), dim=1)
        return F.kl_div(F.log_softmax(logits.float(), dim=1), target, reduction="batchmean", log_target=True)

    def apply(self, pixels: torch.Tensor, parameters: Parameters, order: torch.Tensor) -> torch.Tensor:
        """Pixels [N,3,S,S] in [0,1] through the links, `order[k]` being the position in `chain` of the k-th."""
        factor, offset = self.illumination(parameters), parameters.get("noise")
        maps = self.displacements(parameters)
        place = {link: k for k, link in enumerate(self.options.chain)}
        for link in order.unbind():
            # Multiplied instead of chosen by torch.where, which would copy a number from the host to the device.
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
        """The factor of each pixel: [N,1,S,S] in 1 / (1 + bias) to 1 + bias."""
        if "bias" not in parameters:
            return None
        return (self.light @ parameters["bias"] @ self.light.T * math.log1p(self.options.bias)).exp()

    def displacements(self, parameters: Parameters) -> dict[str, torch.Tensor]:
        """By link, how far from itself each pixel is read: [N,S,S,2] (x, y), the side being 2 long."""
        maps = {}
        if "morph" in parameters:
            # Both components at their bound are the longest vector.
            longest = self.options.morph / 64 * 2 / math.sqrt(2)
            velocity = self.flow @ parameters["morph"] @ self.flow.T * longest
            maps["morph"] = integrated(velocity, self.centre).permute(0, 2, 3, 1)
        if "affine" in parameters:
            maps["affine"] = self._affine(parameters["affine"]) - self.centre
        return maps

    def _affine(self, parameters: torch.Tensor) -> torch.Tensor:
        """Where each pixel is read, [N,S,S,2], of parameters [N,5] within [-1,1]."""
        angle, size_x, size_y, x, y = (parameters * self.limits).unbind(dim=1)
        cos, sin = angle.cos(), angle.sin()
        first = torch.stack([cos * (1 + size_x), -sin * (1 + size_y), x], dim=1)
        second = torch.stack([sin * (1 + size_x), cos * (1 + size_y), y], dim=1)
        size = self.task.size
        return F.affine_grid(
            torch.stack([first, second], dim=1), [len(parameters), 1, size, size], align_corners=False
        )


def spline_basis(size: int, cells: int) -> torch.Tensor:
    """float32 [size, cells + 3]: the weight of each control point of a uniform cubic B-spline of `cells` cells at the
    centres of `size` pixels. Rows are not negative and sum to 1, so that a spline stays within its points' bounds."""
    place = (torch.arange(size) + 0.5) / size * cells
    cell = place.long()
    t = (place - cell).view(-1, 1)
    weights = torch.cat(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], dim=1
    )
    return torch.zeros(size, cells + 3).scatter_(1, cell.view(-1, 1) + torch.arange(4), weights / 6)


def integrated(velocity: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
    """Displacements [N,2,S,S] after unit time along velocities of that shape: halved four times, then composed with
    itself as often (scaling and squaring), which keeps the map invertible."""
    moved: torch.Tensor = velocity / 2**SQUARINGS
    for _ in range(SQUARINGS):
        moved = moved + _sample(moved, centre + moved.permute(0, 2, 3, 1), "border")
    return moved


@contextlib.contextmanager
def running_statistics_kept(model: nn.Module) -> Iterator[None]:
    """BatchNorm layers in train mode go on using the batch's statistics, but do not average them."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def _grid(size: int, device: str) -> torch.Tensor:
    """[1,S,S,2]: the (x, y) of each pixel's centre, -1 to 1 from edge to edge."""
    return F.affine_grid(torch.eye(2, 3, device=device)[None], [1, 1, size, size], align_corners=False)


def _sample(values: torch.Tensor, grid: torch.Tensor, beyond: str) -> torch.Tensor:
    return F.grid_sample(values, grid, mode="bilinear", padding_mode=beyond, align_corners=False)


def _scaled(values: torch.Tensor, to: float, mean: bool = False) -> torch.Tensor:
    """Each row times a number, so that its norm (`mean`: its root mean square) is `to`; zeros stay zeros."""
    rows = values.flatten(1)
    # Divided first: squares of tiny gradients would be lost in float32.
    rows = rows / rows.abs().amax(dim=1, keepdim=True).clamp(min=1e-30)
    length = rows.square().mean(dim=1, keepdim=True) if mean else rows.square().sum(dim=1, keepdim=True)
    return (to * rows / length.sqrt().clamp(min=1e-12)).view_as(values)
