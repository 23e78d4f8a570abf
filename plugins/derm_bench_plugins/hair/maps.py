"""The four input maps of Hair-GAN from any photograph with a hair mask, computed on the device of the images.

After Zhang and Zheng (Hair-GAN, Visual Informatics 3(2), 2019) and the orientation maps of Chai et al. (ACM TOG
31(4), 2012): a difference of Gaussians, 32 even Gabor filters, and as strength how much the best orientation stands
out; they repeat this on the strength, three times. The following differs from their recipe, or is left open by it; each
was chosen by the error on rendered strands.

- There is one pass (`passes`). The magnitude of the response to regular lines repeats twice as often as the lines,
  which further passes do not resolve: three were off by up to 27 degrees on plain stripes, and no better on strands.
- Their wavelength of 4 pixels is for heads of about 1,024 pixels. Lengths shrink with the side of the picture down to
  the values in `Filters`, below which a pixel grid does not resolve a line.
- Contrast is relative to its standard deviation nearby, so that hair in shadow counts as much as hair in light.
- Filters have a mean of zero, and the magnitude of their response counts: a dark line between bright hairs has the same
  direction as the hairs.
- Orientations are smoothed as tensors (strength times the double angle), so that opposite directions do not cancel out,
  and only then get a sign. The papers take it from a user's strokes; here it agrees with hair that grows away from the
  crown and hangs down (`growth`).
- Confidence is how much the orientations around a pixel agree: the norm of the smoothed tensor over the smoothed
  strength. It tells wrong directions better than the strength of the response does.
- The bust of a photograph is unknown. Its depth is that of an ellipsoid with the width of the hair (`fitted_depth`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from derm_bench_plugins.hair.head import AXES, DEPTH

ORIENTATIONS = 32
FULL = 1024  # the side that the lengths of the papers are for
LUMA = (0.299, 0.587, 0.114)
LEAST = 1e-3  # weight of an orientation without any strength
FLAT = 0.01  # standard deviation of gray, in 0..1, below which contrast is not raised


@dataclass(frozen=True)
class Filters:
    """Lengths at side FULL, in pixels, each with the least value at which it is used; and numbers.

    fine, coarse: sigmas of the difference of Gaussians; across, along: sigmas of the Gabor filters; wave: their
    wavelength; smooth: sigma of the final smoothing; passes: how often orientations are searched; low, high: strength
    over the image's largest that becomes 0 and 1.
    """

    fine: tuple[float, float] = (0.4, 0.4)
    coarse: tuple[float, float] = (10.0, 2.5)
    across: tuple[float, float] = (1.8, 1.6)
    along: tuple[float, float] = (2.4, 3.0)
    wave: tuple[float, float] = (4.0, 4.0)
    smooth: tuple[float, float] = (4.0, 3.0)
    passes: int = 1
    low: float = 0.01
    high: float = 0.8

    def at(self, name: str, side: int) -> float:
        """Return a length in pixels for pictures of `side`."""
        full, least = getattr(self, name)
        return float(max(least, full * side / FULL))


FILTERS = Filters()


def photo_maps(images: torch.Tensor, masks: torch.Tensor, filters: Filters = FILTERS) -> torch.Tensor:
    """Return the maps of photographs with hair masks.

    images: uint8 or float 0..1 [N,3,S,S]; masks: [N,1,S,S], uint8 or float, hair where above half of their range.
    Returns float32 [N,4,S,S] in 0..1: direction x and y as (v + 1)/2, confidence, bust depth. Direction and confidence
    are 0 outside of the mask.
    """
    hair = as_mask(masks)
    oriented = orientation(images, hair, growth(hair), filters)
    return torch.cat([oriented, fitted_depth(hair)], 1)


def as_mask(masks: torch.Tensor) -> torch.Tensor:
    """Return float32 masks of 0 and 1 for masks of any dtype: uint8 from 128, others from 0.5."""
    limit = 127.5 if masks.dtype == torch.uint8 else 0.5
    return (masks.float() > limit).float()


def orientation(
    images: torch.Tensor, hair: torch.Tensor, flow: torch.Tensor, filters: Filters = FILTERS
) -> torch.Tensor:
    """Return direction x, y as (v + 1)/2, and confidence, float32 [N,3,S,S] in 0..1, 0 outside of `hair` [N,1,S,S].
    `flow` [N,2,S,S] decides which of the two directions of an orientation is meant."""
    turn, strength = _best(_contrast(_gray(images), hair, filters), hair, filters)
    weight = (strength + LEAST) * hair
    smooth = filters.at("smooth", images.shape[-1])
    doubled = _blur(torch.cat([torch.cos(2 * turn), torch.sin(2 * turn)], 1) * weight, smooth)
    confidence = doubled.norm(dim=1, keepdim=True) / _blur(weight, smooth).clamp(min=LEAST**2)
    turn = torch.atan2(doubled[:, 1:], doubled[:, :1]) / 2
    vector = torch.cat([torch.sin(turn), -torch.cos(turn)], 1)
    agrees = (vector * flow).sum(1, keepdim=True) >= 0
    vector = torch.where(agrees, vector, -vector)
    return torch.cat([(vector + 1) / 2, confidence.clamp(max=1)], 1) * hair


def _contrast(gray: torch.Tensor, hair: torch.Tensor, filters: Filters) -> torch.Tensor:
    """Return the difference of Gaussians in units of its standard deviation nearby, 0 outside of the hair."""
    side = gray.shape[-1]
    fine, coarse = (_blur(gray, filters.at(name, side)) for name in ("fine", "coarse"))
    lines, around = (fine - coarse) * hair, 1.5 * filters.at("coarse", side)
    share = _blur(hair, around).clamp(min=0.05)
    return lines / (torch.sqrt(_blur(lines * lines, around) / share) + FLAT)


def growth(hair: torch.Tensor, gravity: float = 0.6) -> torch.Tensor:
    """Return the direction in which hair is expected to grow, float32 [N,2,S,S]: away from the crown, near the top of
    the masked hair [N,1,S,S], blended with down."""
    top, left, right, height = _box(hair)
    side = hair.shape[-1]
    line = (torch.arange(side, device=hair.device, dtype=torch.float32) + 0.5) / side
    x = line[None, None, :] - ((left + right) / 2)[:, None, None]
    y = line[None, :, None] - (top + 0.12 * height)[:, None, None]
    x, y = torch.broadcast_tensors(x, y)
    norm = torch.sqrt(x * x + y * y).clamp(min=1e-6)
    return torch.stack([(1 - gravity) * x / norm, (1 - gravity) * y / norm + gravity], 1)


def fitted_depth(hair: torch.Tensor) -> torch.Tensor:
    """Return the depth of a head that fits the masked hair, over the depth of the box, float32 [N,1,S,S]; 0 beside it.
    The head is an ellipsoid as wide as the hair, and as high unless the hair hangs down below it."""
    top, left, right, height = _box(hair)
    side = hair.shape[-1]
    wide = ((right - left) / 2).clamp(min=1 / side)
    tall = torch.minimum(height / 2, wide * AXES[1] / AXES[0] * 1.1).clamp(min=1 / side)
    deep = (wide * AXES[2] / AXES[0]).clamp(max=0.48 * DEPTH)
    line = (torch.arange(side, device=hair.device, dtype=torch.float32) + 0.5) / side
    x = (line[None, None, :] - ((left + right) / 2)[:, None, None]) / wide[:, None, None]
    y = (line[None, :, None] - (top + tall)[:, None, None]) / tall[:, None, None]
    rest = 1 - x * x - y * y
    z = 0.5 - deep[:, None, None] * torch.sqrt(rest.clamp(min=0)) / DEPTH
    return torch.where(rest > 0, z.clamp(1e-3, 1), torch.zeros_like(z))[:, None]


def _box(hair: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return top, left, right and height, [N] in sides, of the middle 98% of each mask; the whole picture if empty."""
    rows, columns = hair.sum((1, 3)), hair.sum((1, 2))
    (top, bottom), (left, right) = _middle(rows), _middle(columns)
    return top, left, right, bottom - top


def _middle(weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    side = weights.shape[1]
    total = weights.sum(1, keepdim=True)
    share = weights.cumsum(1) / total.clamp(min=1e-9)
    first = (share < 0.01).sum(1) / side
    last = ((share < 0.99).sum(1) + 1).clamp(max=side) / side
    empty = total[:, 0] == 0
    return torch.where(empty, 0.0, first), torch.where(empty, 1.0, last)


def _gray(images: torch.Tensor) -> torch.Tensor:
    pixels = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    weights = torch.tensor(LUMA, device=images.device)[None, :, None, None]
    return (pixels * weights).sum(1, keepdim=True)


def _blur(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """Blur [N,C,S,S] with a Gaussian of `sigma` pixels; edges are repeated."""
    reach = min(max(1, math.ceil(3 * sigma)), x.shape[-1] - 1)
    at = torch.arange(-reach, reach + 1, device=x.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = kernel / kernel.sum()
    flat = x.reshape(-1, 1, *x.shape[2:])
    flat = F.pad(flat, (reach, reach, reach, reach), mode="replicate")
    flat = F.conv2d(F.conv2d(flat, kernel[None, None, None, :]), kernel[None, None, :, None])
    return flat.reshape(x.shape)


def gabor_bank(across: float, along: float, wave: float, device: torch.device) -> torch.Tensor:
    """Return even Gabor filters with a mean of 0 and a norm of 1, float32 [32,1,K,K]. Filter k finds lines at right
    angles to (cos t, sin t), t = k pi/32, in x to the right and y down."""
    reach = max(3, math.ceil(2.7 * max(across, along)))
    at = torch.arange(-reach, reach + 1, device=device, dtype=torch.float32)
    y, x = torch.meshgrid(at, at, indexing="ij")
    turn = (torch.arange(ORIENTATIONS, device=device) * (math.pi / ORIENTATIONS))[:, None, None]
    u, v = x * torch.cos(turn) + y * torch.sin(turn), y * torch.cos(turn) - x * torch.sin(turn)
    window = torch.exp(-0.5 * ((u / across) ** 2 + (v / along) ** 2))
    bank = window * torch.cos(2 * math.pi * u / wave)
    bank = bank - window * (bank.sum((1, 2), keepdim=True) / window.sum((1, 2), keepdim=True))
    norms: torch.Tensor = bank.flatten(1).norm(dim=1)
    return (bank / norms[:, None, None])[:, None]


def _best(image: torch.Tensor, hair: torch.Tensor, filters: Filters) -> tuple[torch.Tensor, torch.Tensor]:
    """Return orientation t in radians (lines run along (sin t, -cos t)) and confidence in 0..1, [N,1,S,S] each."""
    side = image.shape[-1]
    across, along, wave = (filters.at(name, side) for name in ("across", "along", "wave"))
    bank = gabor_bank(across, along, wave, image.device)
    best, turn = torch.full_like(image, -1.0), torch.zeros_like(image)
    for _ in range(filters.passes):
        found, confidence = _respond(image, bank)
        largest = (confidence * hair).flatten(1).amax(1).clamp(min=1e-12)[:, None, None, None]
        image = ((confidence / largest - filters.low) / (filters.high - filters.low)).clamp(0, 1)
        turn = torch.where(image > best, found, turn)
        best = torch.maximum(best, image)
    return turn, best


def _respond(image: torch.Tensor, bank: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the orientation with the largest response and how much it stands out, [N,1,S,S] each."""
    reach = bank.shape[-1] // 2
    size = min(reach, image.shape[-1] - 1)
    padded = F.pad(image, (size,) * 4, mode="reflect")
    padded = F.pad(padded, (reach - size,) * 4, mode="replicate")
    response = F.conv2d(padded, bank).abs()
    most, index = response.max(1, keepdim=True)
    steps = torch.arange(ORIENTATIONS, device=image.device)
    gap = torch.minimum(steps, ORIENTATIONS - steps) * (math.pi / ORIENTATIONS)
    spread = torch.zeros_like(most)
    for k in range(ORIENTATIONS):
        spread += gap[(k - index) % ORIENTATIONS] * (response[:, k : k + 1] - most) ** 2
    return index * (math.pi / ORIENTATIONS), torch.sqrt(spread)
