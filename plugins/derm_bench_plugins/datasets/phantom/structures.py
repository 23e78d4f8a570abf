"""The dermoscopic structures of a phantom, one painter per structure, named as in pattern analysis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator

from derm_bench_plugins.datasets.phantom.canvas import ANGLES, BLOOD
from derm_bench_plugins.datasets.phantom.textures import TREES, cells, look, noise, tree

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.phantom.canvas import Canvas, Frame

SLATE = (0.40, 0.45, 0.55)
BLUE_GREY = (0.30, 0.32, 0.42)
SCAR = (0.93, 0.85, 0.82)
HORN = (0.95, 0.90, 0.72)
WAX = (0.72, 0.55, 0.36)
PLUG = (0.25, 0.16, 0.10)
CRUST = (0.42, 0.14, 0.08)
FOLLICLE = (0.96, 0.86, 0.70)
CLOT = (0.24, 0.08, 0.18)


@dataclass(frozen=True)
class Body:
    """The input of a painter: the drawn values of a lesion and the coordinates of the pixels."""

    values: dict[str, float]
    frame: Frame


def paint_structures(canvas: Canvas, values: dict[str, float], frame: Frame, own: Generator) -> None:
    """Paint the structures that are present. Each has a separate random stream, so that one does not change another."""
    seed, body = int(own.integers(2**31)), Body(values, frame)
    for stream, (name, paint) in enumerate(PAINTERS.items()):
        if values[name] > 0:
            paint(canvas, values[name], body, np.random.default_rng([4, seed, stream]))


def _spots(frame: Frame, rng: Generator, pitch: float, jitter: float = 0.8) -> tuple[np.ndarray, ...]:
    """Return cells of `pitch` mm: distance to the seed in mm, distance to the cell's edge in mm, chance."""
    texture, offset, scale = cells(jitter), rng.random(2), 1 / (16 * pitch)
    x, y = frame.bent_u * scale + offset[0], frame.bent_v * scale + offset[1]
    return look(texture.nearest, x, y) * pitch, look(texture.edge, x, y) * pitch, look(texture.chance, x, y)


def _disc(distance: np.ndarray, radius: float | np.ndarray, blur: float) -> np.ndarray:
    """Return 1 within the radius and 0 beyond, with a soft rim of `blur` mm."""
    return np.clip((radius - distance) / blur + 0.5, 0, 1)


def _cloud(frame: Frame, rng: Generator, span: float, cut: float) -> np.ndarray:
    """Return soft patches, 0..1, where smooth noise of `span` mm exceeds `cut` deviations."""
    offset = rng.random(2)
    field = look(noise(4, 2.0), frame.u / span + offset[0], frame.v / span + offset[1])
    return np.clip((field - cut) * 1.6, 0, 1)


def _network(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """Brown lines around pale holes: fine and regular, or broad and broken where the border is irregular."""
    wild = lesion.values["border"] > 0.45
    _, edge, chance = _spots(
        lesion.frame, rng, rng.uniform(0.62, 0.75) * (1.3 if wild else 1.0), 0.95 if wild else 0.45
    )
    width = 0.12 * (1 + (1.2 * chance if wild else 0))
    lines = np.exp(-((edge / width) ** 2))
    where = lesion.frame.inside * np.clip(lesion.frame.depth * 1.6 - 0.15, 0.15, 1)
    if wild:
        where = where * (0.25 + 0.75 * _cloud(lesion.frame, rng, 13, -0.3))
    canvas.shade(1 + strength * where * (0.18 - (0.45 + 0.35 * chance) * lines))


def _delicate(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """The faint, fine network around the patch of a dermatofibroma."""
    _, edge, _ = _spots(lesion.frame, rng, 0.62, 0.5)
    ring = np.exp(-(((lesion.frame.depth - 0.8) / 0.3) ** 2))
    lines = np.exp(-((edge / 0.12) ** 2))
    canvas.shade(1 - strength * ring * (0.10 + 0.38 * lines))


def _globules(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    near, _, chance = _spots(lesion.frame, rng, 0.7)
    blobs = _disc(near, 0.14 + 0.14 * chance, 0.12) * (chance > 0.3)
    canvas.shade(1 - (0.25 + 0.45 * chance) * strength * blobs * lesion.frame.inside)


def _dots(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """Black dots and blotches, unevenly spread and toward the border."""
    near, _, chance = _spots(lesion.frame, rng, 0.55, 1.0)
    where = (
        lesion.frame.inside * _cloud(lesion.frame, rng, 11, 0.0) * np.clip(lesion.frame.depth * 1.5, 0.2, 1)
    )
    canvas.shade(1 - 0.8 * strength * where * _disc(near, 0.10 + 0.10 * chance, 0.10) * (chance > 0.35))


def _streaks(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """Radial streaks and pseudopods over a part of the border."""
    angle = np.linspace(0, 2 * np.pi, ANGLES, dtype=np.float32)
    middle, spread = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 2.2)
    rays = np.zeros(ANGLES, np.float32)
    for centre in middle + np.linspace(-spread, spread, int(7 * spread)) + rng.normal(0, 0.06):
        away = np.angle(np.exp(1j * (angle - centre)))
        rays = np.maximum(rays, np.exp(-((away / rng.uniform(0.035, 0.07)) ** 2)) * rng.uniform(0.6, 1.0))
    ring = np.clip((lesion.frame.depth - 0.62) / 0.2, 0, 1) * np.clip(
        (1.28 - lesion.frame.depth) / 0.14, 0, 1
    )
    canvas.cover((0.20, 0.13, 0.10), 0.7 * strength * rays[lesion.frame.turn] * ring)


def _veil(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """Structureless blue-grey with a ground-glass haze."""
    where = (
        _cloud(lesion.frame, rng, 15, -0.1)
        * lesion.frame.inside
        * np.clip(1.5 - 1.3 * lesion.frame.depth, 0, 1)
    )
    canvas.cover(SLATE, 0.72 * strength * where)


def _regression(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """Scar-like white, with peppering of grey."""
    where = _cloud(lesion.frame, rng, 13, 0.25) * lesion.frame.inside
    near, _, chance = _spots(lesion.frame, rng, 0.42, 1.0)
    canvas.cover(SCAR, 0.62 * strength * where)
    canvas.cover(BLUE_GREY, 0.5 * strength * where * _disc(near, 0.09, 0.1) * (chance > 0.4))


def _ridges(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """Fissures and ridges of a brain-like surface."""
    offset = rng.random(2)
    field = look(noise(5, 1.6), lesion.frame.u / 7 + offset[0], lesion.frame.v / 7 + offset[1])
    fissures = np.exp(-((field / 0.22) ** 2))
    canvas.shade(1 + strength * lesion.frame.inside * (0.10 - 0.48 * fissures))


def _milia(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """Milia-like cysts: small bright white-yellow balls."""
    near, _, chance = _spots(lesion.frame, rng, 0.9, 1.0)
    where = (lesion.frame.depth < 0.9) * (chance < rng.uniform(0.35, 0.7))
    canvas.cover(HORN, (0.4 + 0.7 * chance) * strength * where * _disc(near, 0.10 + 0.22 * chance, 0.18))


def _comedo(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """Comedo-like openings: sharp, round, brown to black plugs of several sizes."""
    near, _, chance = _spots(lesion.frame, rng, 1.15, 1.0)
    where = (lesion.frame.depth < 0.88) * (chance > rng.uniform(0.3, 0.6))
    canvas.cover(PLUG, (0.35 + 0.55 * chance) * strength * where * _disc(near, 0.04 + 0.26 * chance**2, 0.12))


def _vessels(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """Arborising vessels: bright red trunks in focus that branch into thin ones."""
    angle, reach = rng.uniform(0, 2 * np.pi), 2.5 * lesion.values["radius"]
    x = (lesion.frame.u * np.cos(angle) - lesion.frame.v * np.sin(angle)) / reach + 0.5
    y = (lesion.frame.u * np.sin(angle) + lesion.frame.v * np.cos(angle)) / reach + 0.5
    picture = tree(int(rng.integers(TREES)))
    last = picture.shape[0] - 1
    rows, columns = (np.clip(z * last, 0, last).astype(np.int32) for z in (y, x))
    vessel = picture[rows, columns] * np.clip((1.25 - lesion.frame.depth) * 3, 0, 1)
    canvas.absorb(1.4 * strength * vessel, np.array([0.28, 1.0, 0.80], np.float32))


def _nests(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """Blue-grey ovoid nests and globules, apart from each other."""
    near, _, chance = _spots(lesion.frame, rng, 1.5, 0.9)
    where = (chance > rng.uniform(0.3, 0.55)) * np.clip((1.05 - lesion.frame.depth) * 5, 0, 1)
    canvas.cover(BLUE_GREY, (0.4 + 0.4 * chance) * strength * where * _disc(near, 0.2 + 0.45 * chance, 0.3))


def _ulcer(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """A red-brown crust over an erosion."""
    where = _cloud(lesion.frame, rng, 12, 0.7) * lesion.frame.inside * (lesion.frame.depth < 0.8)
    canvas.cover(CRUST, 0.85 * strength * np.clip(where * 2.5, 0, 1))


def _strawberry(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """Red pseudonetwork around yellow-white follicles, each with its plug."""
    near, _, chance = _spots(lesion.frame, rng, rng.uniform(0.8, 1.05), 0.8)
    red = lesion.frame.inside * np.clip(near / 0.4, 0, 1) ** 2
    canvas.absorb(0.55 * strength * red, BLOOD)
    canvas.cover(
        FOLLICLE,
        (0.35 + 0.35 * chance) * strength * lesion.frame.inside * _disc(near, 0.16 + 0.12 * chance, 0.2),
    )
    canvas.cover((0.62, 0.42, 0.28), 0.6 * strength * lesion.frame.inside * _disc(near, 0.08, 0.09))


def _scale(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """White flakes on the surface."""
    offset = rng.random(2)
    flakes = look(noise(6, 1.1), lesion.frame.u / 8 + offset[0], lesion.frame.v / 8 + offset[1])
    where = _cloud(lesion.frame, rng, 12, -0.4) * np.clip((1.1 - lesion.frame.depth) * 4, 0, 1)
    canvas.cover((0.97, 0.95, 0.91), 0.8 * strength * where * np.clip(flakes * 1.6 - 0.5, 0, 1))


def _lacunae(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """Red to purple or black lakes with pale septa between them."""
    _, edge, chance = _spots(lesion.frame, rng, rng.uniform(1.1, 1.6), 0.85)
    lake = np.clip((edge - 0.08) / 0.3, 0, 1) * np.clip((1.04 - lesion.frame.depth) * 9, 0, 1)
    pale = (1 - np.clip(edge / 0.22, 0, 1)) * np.clip((1.02 - lesion.frame.depth) * 9, 0, 1)
    canvas.cover((0.80, 0.52, 0.52), 0.38 * strength * pale)
    canvas.absorb(strength * lake * (0.5 + 0.9 * chance), np.array([0.45, 0.9, 0.6], np.float32))
    canvas.cover(CLOT, 0.7 * strength * lake * (chance > rng.uniform(0.5, 0.95)))


def _patch(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """The central white scar-like patch of a dermatofibroma."""
    offset = rng.random(2)
    rough = look(noise(4, 2.0), lesion.frame.u / 10 + offset[0], lesion.frame.v / 10 + offset[1])
    canvas.cover(SCAR, 0.72 * strength * np.clip((0.6 + 0.14 * rough - lesion.frame.depth) * 2.2, 0, 1))


def _keratin(canvas: Canvas, strength: float, lesion: Body, rng: Generator) -> None:
    """The waxy, dull yellow-brown of a horny surface."""
    canvas.cover(
        WAX,
        np.clip(0.75 * strength, 0, 0.8)
        * lesion.frame.inside
        * (0.55 + 0.45 * _cloud(lesion.frame, rng, 10, -0.6)),
    )


PAINTERS = {
    "keratin": _keratin,
    "ridges": _ridges,
    "network": _network,
    "delicate": _delicate,
    "globules": _globules,
    "veil": _veil,
    "regression": _regression,
    "patch": _patch,
    "streaks": _streaks,
    "dots": _dots,
    "nests": _nests,
    "lacunae": _lacunae,
    "strawberry": _strawberry,
    "ulcer": _ulcer,
    "vessels": _vessels,
    "comedo": _comedo,
    "milia": _milia,
    "scale": _scale,
}
