"""Adaptive discriminator augmentation (Karras et al. 2020, NeurIPS): all images that D sees are augmented, each
transform with probability p, and p follows how much D overfits.

    augment = AdaptiveAugment(engine.stream("ada"), AdaSettings(...), device)
    engine.keep("ada", augment)
    real, fake = discriminate(augment(images)), discriminate(augment(fake.detach()))
    augment.seen(real)                 # signs of D's logits for reals
    if adjust: augment.adjust()        # every `interval` updates

The heuristic is r = E[sign D(x)] over reals (their eq. 1, right): 0 for a D that does not overfit and 1 for one that
knows all reals. p rises by `interval` * batch / (1000 `speed_kimg`) if r is above the target, and falls as much if it
is below, never under 0.

The pipeline is `bgc` of the paper's table in appendix B: flip, quarter turns, whole-pixel translation; scale, rotation,
anisotropic scale, fractional translation; brightness, contrast, luma flip, hue, saturation. Luma flip is off and the
hue turns by at most `hue` here, as a photograph of skin is never a negative and never green.

Geometry is one bilinear resampling at twice the resolution, with reflected borders. As resampling is linear in the
image, its gradient is resampling again, which torch does not know for `grid_sample`: the two functions here define it,
so that the gradient penalty R1 can be computed through the augmentation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from derm_bench.training.augment import uniform
from derm_bench.training.constants import constant

BILINEAR, REFLECTION = 0, 2
TRANSLATION = 0.125
# The low-pass filter of the wavelet sym6 (Daubechies 1992, table 6.3), of norm 1, as in the authors' code. Enlarged and
# reduced with it, an image is what it was. CENTRE: the tap that falls on the first pixel of two.
SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
CENTRE = 5
LUMA = (1 / math.sqrt(3),) * 3
"""The axis of grey in RGB, of length 1."""


@dataclass(frozen=True)
class AdaSettings:
    """target: r at which p stays. speed_kimg: thousands of images in which p can rise from 0 to 1. interval: updates
    between adjustments. batch_size: images per update. hue: the largest turn of the hue in degrees. luma_flip: whether
    lightness is inverted. start: p at the beginning."""

    batch_size: int
    target: float = 0.6
    speed_kimg: float = 500.0
    interval: int = 4
    hue: float = 18.0
    luma_flip: bool = False
    start: float = 0.0


class AdaptiveAugment:
    """Images float32 or bfloat16 [N,3,S,S] in about [-1,1] -> images float32 of the same shape. `draws` is the
    generator of all random numbers, on the device of the images. p and the signs since the last adjustment are tensors,
    so that a CUDA graph can record their changes; they are in `state_dict`."""

    def __init__(self, draws: torch.Generator, settings: AdaSettings) -> None:
        self.draws, self.settings = draws, settings
        self.p = torch.full((), settings.start, device=draws.device)
        self.signs = torch.zeros((), device=draws.device)
        self.count = torch.zeros((), device=draws.device)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        wide = resample(images.float(), self._geometry(len(images), images.shape[-1]))
        return recolour(wide, self._colours(len(images)))

    @torch.no_grad()
    def seen(self, logits: torch.Tensor) -> None:
        """Add D's logits for reals [N] to r."""
        self.signs += logits.detach().float().sign().sum()
        self.count += logits.numel()

    @torch.no_grad()
    def adjust(self) -> torch.Tensor:
        """Move p by one step toward the target, and begin r anew. Returns r."""
        settings = self.settings
        r = self.signs / self.count.clamp(min=1)
        step = settings.batch_size * settings.interval / (settings.speed_kimg * 1000)
        self.p.add_((r - settings.target).sign() * step * (self.count > 0)).clamp_(min=0)
        self.signs.zero_()
        self.count.zero_()
        return r

    def state_dict(self) -> dict[str, Any]:
        return {"p": self.p, "signs": self.signs, "count": self.count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name in ("p", "signs", "count"):
            getattr(self, name).copy_(state[name])

    def _happens(self, n: int) -> torch.Tensor:
        """Draw for each image whether a transform is applied, bool [n]."""
        return torch.rand(n, generator=self.draws, device=self.draws.device) < self.p

    def _geometry(self, n: int, side: int) -> torch.Tensor:
        """Draw the matrices of all geometric transforms, float32 [n,3,3], from output to input coordinates."""
        draws, device = self.draws, self.draws.device

        def normal() -> torch.Tensor:
            return torch.randn(n, generator=draws, device=device)

        def where(value: torch.Tensor, otherwise: float) -> torch.Tensor:
            return torch.where(self._happens(n), value, otherwise)

        flip = where(1.0 - 2.0 * torch.randint(2, (n,), generator=draws, device=device), 1.0)
        matrix = scaling(flip, torch.ones_like(flip))
        turns = where(torch.randint(4, (n,), generator=draws, device=device).float(), 0.0)
        matrix = rotating(turns * (math.pi / 2)) @ matrix
        # A shift by one pixel is 2 / side in coordinates from -1 to 1.
        shifts = uniform(2 * n, -TRANSLATION, TRANSLATION, draws).view(2, n)
        whole = (shifts * side).round() * (2 / side) * where(torch.ones(n, device=device), 0.0)
        matrix = translating(*whole) @ matrix
        scale = where(torch.exp2(normal() * 0.2), 1.0)
        matrix = scaling(scale, scale) @ matrix
        # Rotations before and after the anisotropic scale, each with the probability for which one or both is p.
        part = 1 - (1 - self.p).clamp(min=0).sqrt()
        matrix = rotating(self._angle(n, part)) @ matrix
        stretch = where(torch.exp2(normal() * 0.2), 1.0)
        matrix = scaling(stretch, 1 / stretch) @ matrix
        matrix = rotating(self._angle(n, part)) @ matrix
        apply = where(torch.ones(n, device=device), 0.0)
        return (
            translating(normal() * (2 * TRANSLATION) * apply, normal() * (2 * TRANSLATION) * apply) @ matrix
        )

    def _angle(self, n: int, p: torch.Tensor) -> torch.Tensor:
        angle = uniform(n, -math.pi, math.pi, self.draws)
        happens = torch.rand(n, generator=self.draws, device=self.draws.device) < p
        return torch.where(happens, angle, 0.0)

    def _colours(self, n: int) -> torch.Tensor:
        """Draw the matrices of all colour transforms, float32 [n,4,4], on homogeneous RGB in [-1,1]."""
        draws, device = self.draws, self.draws.device

        def normal() -> torch.Tensor:
            return torch.randn(n, generator=draws, device=device)

        matrix = torch.eye(4, device=device).repeat(n, 1, 1)
        brightness = torch.where(self._happens(n), normal() * 0.2, 0.0)
        matrix[:, :3, 3] = brightness[:, None]
        contrast = torch.where(self._happens(n), torch.exp2(normal() * 0.5), 1.0)
        matrix = _linear(contrast[:, None, None] * torch.eye(3, device=device)) @ matrix
        axis = constant(LUMA, device)
        along = torch.outer(axis, axis)
        if self.settings.luma_flip:
            flips = torch.where(
                self._happens(n), torch.randint(2, (n,), generator=draws, device=device).float(), 0.0
            )
            matrix = _linear(torch.eye(3, device=device) - 2 * flips[:, None, None] * along) @ matrix
        if self.settings.hue:
            most = math.radians(self.settings.hue)
            angle = torch.where(self._happens(n), uniform(n, -most, most, draws), 0.0)
            matrix = _linear(_around_grey(angle, along)) @ matrix
        saturation = torch.where(self._happens(n), torch.exp2(normal()), 1.0)
        across = torch.eye(3, device=device) - along
        return _linear(along + saturation[:, None, None] * across) @ matrix


# -------------------------------------------------------------------------------------- matrices


def scaling(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return float32 [n,3,3] that enlarge by x and y."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _rows((1 / x, zero, zero), (zero, 1 / y, zero), (zero, zero, one))


def rotating(angle: torch.Tensor) -> torch.Tensor:
    """Return float32 [n,3,3] of rotations by `angle` [n] in radians."""
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    cos, sin = angle.cos(), angle.sin()
    return _rows((cos, -sin, zero), (sin, cos, zero), (zero, zero, one))


def translating(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return float32 [n,3,3] of shifts by x and y, where the image is 2 wide."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _rows((one, zero, -x), (zero, one, -y), (zero, zero, one))


def _rows(*rows: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _linear(matrix: torch.Tensor) -> torch.Tensor:
    """[n,3,3] -> [n,4,4] without translation."""
    padded = F.pad(matrix, (0, 1, 0, 1))
    padded[..., 3, 3] = 1
    return padded


def _around_grey(angle: torch.Tensor, along: torch.Tensor) -> torch.Tensor:
    """Return float32 [n,3,3] of rotations by `angle` [n] around the axis of grey (Rodrigues)."""
    u = LUMA[0]
    cross = constant(((0.0, -u, u), (u, 0.0, -u), (-u, u, 0.0)), angle.device)
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return cos * torch.eye(3, device=angle.device) + sin * cross + (1 - cos) * along


# -------------------------------------------------------------------------------------- images


def recolour(images: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """Apply colour matrices [N,4,4] to images float32 [N,3,S,S]."""
    flat = images.flatten(2)
    mixed = torch.baddbmm(matrices[:, :3, 3:], matrices[:, :3, :3], flat)
    return mixed.view(images.shape)


def resample(images: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """Sample images float32 [N,3,S,S] through `matrices` [N,3,3], bilinearly at twice the resolution, with reflected
    borders. Identity matrices change nothing. It can be differentiated twice."""
    side, more = images.shape[-1], len(SYM6) // 2
    # The borders are widened, since the filters see beyond the image: twice, for the one before and the one after.
    fine = _finer(_reflected(images, 2 * more))[..., 2 * more : -2 * more, 2 * more : -2 * more]
    wide = 2 * side + 4 * more
    place = (torch.arange(wide, device=images.device) - 2 * more + 0.5) / side - 1
    x, y = place.expand(wide, wide), place[:, None].expand(wide, wide)
    points = torch.stack([x, y, torch.ones_like(x)]).flatten(1)  # [3,wide^2], in coordinates of the image
    found = (matrices[:, :2] @ points).transpose(1, 2).reshape(-1, wide, wide, 2) * (side * 2 / wide)
    sampled: torch.Tensor = _Sampled.apply(fine, found)  # type: ignore[no-untyped-call]
    return _coarser(sampled)[..., more:-more, more:-more]


def _reflected(images: torch.Tensor, more: int) -> torch.Tensor:
    """Widen images by `more` pixels on all sides, as in a mirror that shows each pixel of the border once."""
    side = images.shape[-1]
    place = torch.arange(-more, side + more, device=images.device).remainder(2 * side - 2)
    place = torch.minimum(place, 2 * side - 2 - place)
    return images[:, :, place][:, :, :, place]


def _finer(x: torch.Tensor) -> torch.Tensor:
    """[N,C,H,W] -> [N,C,2H,2W]: zeros are put between the pixels, and SYM6 is applied along both axes."""
    n, c, height, width = x.shape
    spread = F.pad(x.reshape(n, c, height, 1, width, 1), (0, 1, 0, 0, 0, 1)).reshape(
        n, c, 2 * height, 2 * width
    )
    taps = constant(SYM6, x.device).flip(0) * math.sqrt(2)
    padded = F.pad(spread, (len(SYM6) - 1 - CENTRE, CENTRE) * 2)
    return _along_both(padded, taps, stride=1)


def _coarser(x: torch.Tensor) -> torch.Tensor:
    """[N,C,2H,2W] -> [N,C,H,W]: SYM6 the other way round, and every second pixel. Undoes `_finer` but at borders."""
    taps = constant(SYM6, x.device) / math.sqrt(2)
    return _along_both(F.pad(x, (CENTRE, len(SYM6) - 2 - CENTRE) * 2), taps, stride=2)


def _along_both(x: torch.Tensor, taps: torch.Tensor, stride: int) -> torch.Tensor:
    n, c = x.shape[:2]
    x = x.flatten(0, 1)[:, None]  # channels as images: torch takes second gradients of groups one by one
    for shape, strides in (((1, 1, -1, 1), (stride, 1)), ((1, 1, 1, -1), (1, stride))):
        x = F.conv2d(x, taps.view(shape), stride=strides)
    return x.unflatten(0, (n, c)).squeeze(2)


class _Sampled(torch.autograd.Function):
    """`grid_sample` of images; no gradient for the grid."""

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _Spread.apply(gradient, grid, ctx.shape), None  # type: ignore[no-untyped-call]


class _Spread(torch.autograd.Function):
    """The adjoint of `_Sampled`, whose gradient is `_Sampled` again."""

    @staticmethod
    def forward(ctx: Any, gradient: torch.Tensor, grid: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        ctx.save_for_backward(grid)
        # Of the images only the shape matters, since sampling is linear in them.
        images = gradient.new_zeros(()).expand(shape)
        spread: torch.Tensor = torch.ops.aten.grid_sampler_2d_backward(
            gradient, images, grid, BILINEAR, REFLECTION, False, [True, False]
        )[0]
        return spread

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _Sampled.apply(gradient, grid), None, None  # type: ignore[no-untyped-call]
