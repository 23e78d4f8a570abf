"""A photograph of a head with hair: skin of any tone, the shade of hair on the scalp, strands, light, a background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from derm_bench_plugins.datasets.phantom.canvas import BARE_SKIN, BLOOD, MELANIN
from derm_bench_plugins.datasets.phantom.render import TONE_MELANIN
from derm_bench_plugins.datasets.phantom.textures import look as texel
from derm_bench_plugins.datasets.phantom.textures import noise
from derm_bench_plugins.datasets.phantom_face.people import CLOTHES, HAIR_COLOURS, HAIR_SHARES
from derm_bench_plugins.datasets.phantom_face.render import WALLS
from derm_bench_plugins.hair.head import cast, margin
from derm_bench_plugins.hair.patches import NO_PATCHES
from derm_bench_plugins.hair.render import FINE, Light, paint

if TYPE_CHECKING:
    from derm_bench_plugins.hair.head import Head
    from derm_bench_plugins.hair.patches import Patches
    from derm_bench_plugins.hair.strands import Strands

# Parts of a body beside the head, in its own frame: half axes and centre.
NECK = ((0.13, 0.26, 0.14), (0.0, 0.28, 0.05))
EARS = (((0.03, 0.065, 0.045), (-0.245, -0.03, 0.03)), ((0.03, 0.065, 0.045), (0.245, -0.03, 0.03)))
SHOULDERS = ((0.50, 0.22, 0.22), (0.0, 0.62, 0.06))
CLEARANCE = 0.004  # hair lies on the scalp, not in it


class Photograph(NamedTuple):
    """picture: float32 [S,S,3] in 0..1; cover: opacity of strands, float32 [S,S]; hair: where strands are, or the scalp
    is dense with roots, bool [S,S]."""

    picture: np.ndarray
    cover: np.ndarray
    hair: np.ndarray


@dataclass(frozen=True)
class Look:
    """Colours of a person and a photograph, R, G, B in 0..1. tone: Fitzpatrick type; hair: its albedo; uneven: how much
    bundles and strands differ; coat: how dark hair makes the scalp below it, 0 to 1; regrowth: the share of that in
    bald patches; offset: float64 [4], where in the textures the skin lies."""

    tone: int
    melanin: float
    blood: float
    hair: tuple[float, float, float]
    uneven: float
    coat: float
    regrowth: float
    wall: tuple[float, float, float]
    cloth: tuple[float, float, float]
    light: Light
    offset: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, tone: int | None = None) -> Look:
        """Draw a person of `tone` (any, if None) and the light of a photograph."""
        tone = tone or 1 + int(rng.integers(6))
        colour = list(HAIR_COLOURS.values())[rng.choice(5, p=HAIR_SHARES[tone - 1])]
        hair = (0.75 * np.array(colour) + 0.25 * np.mean(colour)) * rng.uniform(0.8, 1.15)
        return cls(
            tone=tone,
            melanin=max(0.0, TONE_MELANIN[tone - 1] * 1.05 + float(rng.normal(0, 0.02))),
            blood=max(0.0, 0.24 + float(rng.normal(0, 0.03))),
            hair=(float(hair[0]), float(hair[1]), float(hair[2])),
            uneven=float(rng.uniform(0.14, 0.24)),
            coat=float(rng.uniform(0.72, 0.88)),
            regrowth=0.0,
            wall=WALLS[rng.integers(len(WALLS))],
            cloth=CLOTHES[rng.integers(len(CLOTHES))],
            light=draw_light(rng),
            offset=rng.random(4),
        )


def draw_light(rng: np.random.Generator) -> Light:
    """Draw the light of a photograph: from above, and from the side of the camera."""
    x, y = rng.uniform(-0.6, 0.6), rng.uniform(-0.9, -0.3)
    return Light(
        toward=(float(x), float(y), -0.8),
        ambient=float(rng.uniform(0.32, 0.5)),
        diffuse=float(rng.uniform(0.6, 0.8)),
        gloss=float(rng.uniform(0.12, 0.32)),
        power=float(rng.uniform(20, 60)),
    )


def photograph(
    head: Head,
    strands: Strands,
    points: np.ndarray,
    look: Look,
    side: int,
    rng: np.random.Generator,
    patches: Patches = NO_PATCHES,
    mirrored: bool = False,
) -> Photograph:
    """Photograph a head.

    points: float32 [n,P,3], the strands before the camera; patches: where the scalp has no shade of hair, in the frame
    of the head, or of its mirror image; rng: colours of single strands.
    """
    skin, depth, coat = bare(head, look, side, patches, mirrored)
    behind = np.repeat(np.repeat(depth, FINE, 0), FINE, 1) + np.float32(CLEARANCE)
    picture, cover = paint(points, strand_colours(strands, look, rng), skin, look.light, behind)
    return Photograph(picture, cover, (cover >= 0.4) | (coat >= 0.5))


def strand_colours(strands: Strands, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Return the albedo of each strand, float64 [n,3]: bundles differ, and strands of a bundle a little."""
    bundles = rng.normal(0, look.uneven, int(strands.bundle.max(initial=0)) + 1)
    level = np.exp(bundles[strands.bundle] + rng.normal(0, 0.5 * look.uneven, len(strands)))
    return np.asarray(np.clip(np.array(look.hair) * level[:, None], 0.01, 0.95))


def bare(
    head: Head, look: Look, side: int, patches: Patches = NO_PATCHES, mirrored: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a picture without strands, float32 [S,S,3]; the depth of the head, infinite beside it, [S,S]; and where it
    bears hair, 0 to 1, [S,S]."""
    line = ((np.arange(side) + 0.5) / side - 0.5).astype(np.float32)
    slope = 1 + 0.25 * line[None, :] * look.light.toward[0] + 0.25 * line[:, None] * look.light.toward[1]
    picture = np.array(look.wall, np.float32) * slope[..., None]
    depth = np.full((side, side), np.inf, np.float32)
    for (axes, centre), cloth in ((SHOULDERS, True), (NECK, False), (EARS[0], False), (EARS[1], False)):
        part = replace(head, axes=axes, centre=centre)
        z, hits = cast(part, side)
        front = z < depth
        rows, columns = _covered(front)
        if rows.start == rows.stop:
            continue
        front, near = front[rows, columns], hits[:, rows, columns]
        colour = np.array(look.cloth, np.float32) if cloth else _skin(look, near)
        lit = _lit(part, near, look.light)
        # The neck lies in the shadow of the head.
        lit = lit * (0.75 if axes is NECK[0] else 0.9)
        picture[rows, columns] = np.where(front[..., None], colour * lit[..., None], picture[rows, columns])
        depth[rows, columns] = np.where(front, z[rows, columns], depth[rows, columns])
    z, hits = cast(head, side)
    coat = np.zeros((side, side), np.float32)
    rows, columns = _covered(np.isfinite(z))
    if rows.start < rows.stop:
        near = hits[:, rows, columns]
        front = (z < depth)[rows, columns]
        scalp, left = _bears(head, near, patches, mirrored)
        coated = scalp * (left + look.regrowth * (1 - left))
        colour = _scalp(look, near, coated) * _lit(head, near, look.light)[..., None]
        picture[rows, columns] = np.where(front[..., None], colour, picture[rows, columns])
        coat[rows, columns] = np.where(front, scalp * left, 0)
    return picture, z, coat


def _covered(where: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of the smallest rectangle around what is covered."""
    found = []
    for axis in (1, 0):
        lines = np.flatnonzero(where.any(axis))
        found.append(slice(lines[0], lines[-1] + 1) if len(lines) else slice(0, 0))
    return found[0], found[1]


def _lit(part: Head, hits: np.ndarray, light: Light) -> np.ndarray:
    """Return the light that skin returns, float32 [h,w], with a faint gloss."""
    normal = np.tensordot(part.pose / np.array(part.axes), hits, 1).astype(np.float32)
    normal /= np.sqrt((normal * normal).sum(0)) + np.float32(1e-6)
    toward = np.array(light.toward, np.float32)
    toward /= np.linalg.norm(toward)
    half = toward + np.array([0, 0, -1], np.float32)
    half /= np.linalg.norm(half)
    matt = np.clip(np.tensordot(toward, normal, 1), 0, None)
    gloss = np.clip(np.tensordot(half, normal, 1), 0, None) ** np.float32(24)
    rim = np.clip(-normal[2] / np.float32(0.35), 0.55, 1)
    return np.asarray((light.ambient + 0.8 * light.diffuse * matt + 0.1 * gloss) * rim, np.float32)


def _skin(look: Look, hits: np.ndarray) -> np.ndarray:
    """Return the albedo of skin, float32 [h,w,3]."""
    x, y, z = hits
    patchy = texel(noise(1, 1.8), (x + z) / 3 + look.offset[0], y / 3 + look.offset[1])
    grain = texel(noise(2, 0.9), (x + z) + look.offset[2], y + look.offset[3])
    melanin = look.melanin * (1.0 + 0.05 * patchy + 0.05 * grain)
    blood = look.blood * (1.0 + 0.12 * patchy)
    density = MELANIN * melanin[..., None] + BLOOD * blood[..., None]
    return np.asarray(BARE_SKIN * np.exp(-density), np.float32)


def _bears(
    head: Head, hits: np.ndarray, patches: Patches, mirrored: bool
) -> tuple[np.ndarray, np.ndarray | float]:
    """Return where the head has a scalp, and where patches leave hair on it, float32 [h,w] in 0..1, with soft edges."""
    own = np.moveaxis(hits, 0, -1)
    if mirrored:
        own = own * np.array([-1, 1, 1], np.float32)
    scalp = np.clip(margin(own, head.hairline) / 0.08, 0, 1).astype(np.float32)
    if not len(patches.radii):
        return scalp, 1.0
    edge = max(0.12 * patches.level, 1e-3)
    return scalp, np.clip(patches.distance(own) / edge + 0.3, 0, 1).astype(np.float32)


def _scalp(look: Look, hits: np.ndarray, coat: np.ndarray) -> np.ndarray:
    """Return the albedo of the head: skin, darker where the roots of hair are."""
    shade = 0.45 * np.array(look.hair, np.float32)
    skin = _skin(look, hits)
    return np.asarray(skin + np.float32(look.coat) * coat[..., None] * (shade - skin), np.float32)
