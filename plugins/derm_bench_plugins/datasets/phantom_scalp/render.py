"""Renders a photograph of a phantom scalp: the person's strands, posed, lit and exposed by the camera of a clinic."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from derm_bench_plugins.datasets.phantom.camera import CAMERAS, expose
from derm_bench_plugins.datasets.phantom_face.render import WALLS
from derm_bench_plugins.datasets.phantom_scalp.people import seen_scalp, view_of
from derm_bench_plugins.hair.scene import draw_light, photograph
from derm_bench_plugins.hair.strands import Effort, grow

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.phantom_scalp.people import Person
    from derm_bench_plugins.hair.head import Head


def render(person: Person, view: int, domain: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the image, uint8 [side,side,3], and the mask of its hair, uint8 [side,side] of 0 and 255."""
    own = np.random.default_rng([23, *person.key])
    shot = np.random.default_rng([24, *person.key, view])
    head = _posed(person, shot)
    look = replace(person.look, light=draw_light(shot), wall=WALLS[shot.integers(len(WALLS))])
    strands = grow(person.head, person.style, own, person.patches, _effort(side))
    points = head.before_camera(strands.points).astype(np.float32)
    shown = photograph(head, strands, points, look, side, own, person.patches)
    line = np.linspace(-1, 1, side, dtype=np.float32)
    camera = CAMERAS[domain]
    corner = line[None, :] ** 2 + line[:, None] ** 2
    level = shot.uniform(0.9, 1.15) * (1 - camera.vignette * shot.uniform(0.3, 1.0) * corner / 2)
    rgb = expose(shown.picture.transpose(2, 0, 1).copy(), level.astype(np.float32), camera, shot)
    mask = np.where(shown.hair, 255, 0).astype(np.uint8)
    return np.ascontiguousarray((rgb * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)), mask


def _posed(person: Person, shot: np.random.Generator) -> Head:
    """Turn the head a little away from the person's view, and bring its scalp to the middle of the picture."""
    nod, turn, roll = shot.normal(0, (4, 6, 6))
    pose = view_of((person.turn[0] + nod, person.turn[1] + turn), roll)
    zoom = shot.uniform(1.15, 1.4)
    middle = person.head.outward(seen_scalp(person.head))[0].mean(0) @ pose.T
    shift = -0.75 * zoom * middle[:2] + shot.normal(0, 0.025, 2)
    return replace(person.head, pose=pose, zoom=float(zoom), shift=(float(shift[0]), float(shift[1]), 0.0))


def _effort(side: int) -> Effort:
    """More and finer strands for larger pictures."""
    return Effort(
        bundles=int(np.clip(3 * side, 80, 420)),
        strands=max(3, side // 32),
        points=int(np.clip(side // 6, 12, 64)),
    )
