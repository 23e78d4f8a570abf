"""The photograph of a lesion: hair, gel, light, optics and sensor of a clinic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw


@dataclass(frozen=True)
class Camera:
    """A clinic's device.

    field: width of the image in mm; white: gains of R, G, B; vignette: light lost in the corners; tube: probability
    that the round edge of the optics is visible; grain: standard deviation of sensor noise.
    """

    field: float
    white: tuple[float, float, float]
    vignette: float
    tube: float
    grain: float


CAMERAS = {
    "clinic-a": Camera(field=11.0, white=(1.0, 1.0, 1.0), vignette=0.12, tube=0.08, grain=0.012),
    "clinic-b": Camera(field=13.0, white=(0.93, 1.0, 1.07), vignette=0.32, tube=0.45, grain=0.02),
}


def photograph(rgb: np.ndarray, hairs: float, camera: Camera, shot: np.random.Generator) -> np.ndarray:
    """Add hair and gel, then light, optics and sensor noise. Returns float32 [3,S,S] in 0..1."""
    side = rgb.shape[-1]
    rgb = _hair(rgb, int(shot.poisson(hairs)), shot)
    line = np.linspace(-1, 1, side, dtype=np.float32)
    x, y = line[None, :], line[:, None]
    if shot.random() < 0.12:
        _bubble(rgb, x, y, shot)
    slope = shot.normal(0, 0.05, 2)
    corner = x * x + y * y
    light = shot.uniform(0.82, 1.1) * (
        1 + slope[0] * x + slope[1] * y - camera.vignette * shot.uniform(0.6, 1.4) * corner / 2
    )
    if shot.random() < camera.tube:
        light = light * np.clip((shot.uniform(1.02, 1.25) - np.sqrt(corner)) * side / 5, 0.03, 1)
    return expose(rgb, light.astype(np.float32), camera, shot)


def expose(rgb: np.ndarray, light: np.ndarray, camera: Camera, shot: np.random.Generator) -> np.ndarray:
    """Multiply by `light` float32 [S,S] and the white balance, then blur and add sensor noise. Returns float32 [3,S,S]
    in 0..1. Changes `rgb`."""
    white = np.array(camera.white) * (1 + shot.normal(0, 0.04, 3))
    rgb *= light
    rgb *= white.astype(np.float32)[:, None, None]
    rgb = _blur(rgb, shot.uniform(0.05, 0.22))
    rgb += camera.grain * shot.standard_normal(rgb.shape, np.float32)
    return np.asarray(np.clip(rgb, 0, 1))


def _blur(rgb: np.ndarray, share: float) -> np.ndarray:
    """Blur with weights (share, 1 - 2 share, share) along the last two axes. The outermost pixels do not change."""
    for _ in range(2):
        rgb = rgb.swapaxes(1, 2)
        soft = (1 - 2 * share) * rgb
        soft[:, :, 1:-1] += share * (rgb[:, :, 2:] + rgb[:, :, :-2])
        soft[:, :, (0, -1)] += 2 * share * rgb[:, :, (0, -1)]
        rgb = soft
    return rgb


def _hair(rgb: np.ndarray, count: int, shot: np.random.Generator) -> np.ndarray:
    if count == 0:
        return rgb
    side = rgb.shape[-1]
    fine = 2 * side
    canvas = Image.new("L", (fine, fine))
    draw = ImageDraw.Draw(canvas)
    comb, steps = shot.uniform(0, 2 * np.pi), np.linspace(-1, 1, 9)
    for _ in range(min(count, 40)):
        middle, angle = shot.uniform(0, fine, 2), comb + shot.normal(0, 0.5)
        reach, bend = fine * shot.uniform(0.2, 0.7), fine * shot.normal(0, 0.08)
        xs = middle[0] + reach * steps * np.cos(angle) - bend * steps**2 * np.sin(angle)
        ys = middle[1] + reach * steps * np.sin(angle) + bend * steps**2 * np.cos(angle)
        thick = max(1, round(fine / 190 * shot.choice([1, 2], p=[0.55, 0.45])))
        draw.line(list(np.stack([xs, ys], 1).ravel()), fill=int(shot.uniform(120, 235)), width=thick)
    cover = np.asarray(canvas.reduce(2), np.float32) / 255
    colour = np.array([0.20, 0.13, 0.10], np.float32) * np.float32(shot.uniform(0.6, 1.8))
    return np.asarray(rgb + cover * (colour[:, None, None] - rgb))


def _bubble(rgb: np.ndarray, x: np.ndarray, y: np.ndarray, shot: np.random.Generator) -> None:
    """Add air bubbles in the contact gel, as bright rims."""
    for _ in range(int(shot.integers(1, 4))):
        middle, radius = shot.uniform(-1, 1, 2), shot.uniform(0.05, 0.2)
        away = np.hypot(x - middle[0], y - middle[1])
        rgb += 0.22 * np.exp(-(((away - radius) / 0.025) ** 2)).astype(np.float32)
