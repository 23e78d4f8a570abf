"""Renders a photograph of a phantom person: background, hair, neck, clothes, face and acne, then the camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from derm_bench_plugins.datasets.phantom.camera import CAMERAS, expose
from derm_bench_plugins.datasets.phantom.textures import look, noise
from derm_bench_plugins.datasets.phantom_face.acne import draw_acne
from derm_bench_plugins.datasets.phantom_face.features import (
    ears,
    hair_before,
    hair_behind,
    hair_colour,
    paint_brows,
    paint_eyes,
    paint_mouth,
    paint_nostrils,
)
from derm_bench_plugins.datasets.phantom_face.lesion_fields import lesion_fields
from derm_bench_plugins.datasets.phantom_face.pose import draw_pose, pixels_of, plane
from derm_bench_plugins.datasets.phantom_face.skin import draw_light, paint_skin, relief, shading

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.phantom_face.lesion_fields import LesionFields
    from derm_bench_plugins.datasets.phantom_face.people import Person
    from derm_bench_plugins.datasets.phantom_face.pose import Plane
    from derm_bench_plugins.datasets.phantom_face.skin import Light

WALLS = ((0.62, 0.66, 0.70), (0.78, 0.77, 0.74), (0.40, 0.47, 0.52), (0.55, 0.60, 0.54), (0.86, 0.87, 0.88))


def render(person: Person, view: int, domain: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the image, uint8 [side,side,3], and the mask of its lesions, uint8 [side,side] of 0 and 255."""
    own = np.random.default_rng([7, *person.key])
    shot = np.random.default_rng([8, *person.key, view])
    pose, light = draw_pose(shot, side), draw_light(shot)
    at = plane(person.shape, pose, side)
    acne = draw_acne(person)
    lesions = lesion_fields(acne, *pixels_of(person.shape, pose, acne.place), pose.scale, side)
    rgb = _wall(at, light, shot)
    hair = hair_colour(person, at, light.x)
    _cover(rgb, 0.8 * hair, hair_behind(person, at))
    _cover(rgb, _face(person, at, lesions, light, (own, shot)), _skin(person, at))
    _cover(rgb, _cloth(person, at, own), _clothes(at))
    _cover(rgb, hair, hair_before(person, at))
    camera = CAMERAS[domain]
    corner = (at.u * at.u + at.v * at.v) / 2.2
    level = shot.uniform(0.88, 1.12) * (1 - camera.vignette * shot.uniform(0.3, 1.0) * corner / 2)
    rgb = expose(rgb, level.astype(np.float32), camera, shot)
    mask = np.where(lesions.mask, 255, 0).astype(np.uint8)
    return np.ascontiguousarray((rgb * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)), mask


def _cover(rgb: np.ndarray, colour: np.ndarray, opacity: np.ndarray) -> None:
    rgb += opacity.astype(np.float32) * (colour - rgb)


def _wall(at: Plane, light: Light, shot: np.random.Generator) -> np.ndarray:
    """A wall out of focus, brighter on the side of the light."""
    colour = np.array(WALLS[shot.integers(len(WALLS))]) * shot.uniform(0.75, 1.1)
    cloud = look(noise(0, 1.7), at.u / 5 + shot.random(), at.v / 5 + shot.random())
    level = 0.95 + 0.12 * light.x * at.u + 0.1 * light.y * at.v + 0.03 * cloud
    return np.asarray(colour.astype(np.float32)[:, None, None] * level, np.float32)


def _skin(person: Person, at: Plane) -> np.ndarray:
    """The opacity of head, ears and neck."""
    neck = at.within(0.40 + 0.12 * np.clip(at.v - 1.0, 0, 1) - np.abs(at.u)) * (at.v > 0.5)
    head = at.within(0.75 * (1 - at.far))
    shoulders = at.within(at.v - _shoulder(at))
    return np.asarray(np.maximum(np.maximum(head, neck), np.maximum(ears(person, at), shoulders)))


def _shoulder(at: Plane) -> np.ndarray:
    beside = np.clip(np.abs(at.u) - 0.42, 0, None)
    return np.asarray(1.16 + 0.22 * beside + 0.5 * np.clip(0.42 - np.abs(at.u), 0, None))


def _clothes(at: Plane) -> np.ndarray:
    """The opacity of clothes: below the shoulders, round the neck."""
    neckline = 1.42 - 1.6 * np.clip(np.abs(at.u) - 0.28, 0, 0.3)
    return at.within(at.v - np.maximum(neckline, _shoulder(at) - 0.01), 1.5)


def _cloth(person: Person, at: Plane, own: np.random.Generator) -> np.ndarray:
    folds = look(noise(4, 2.0), at.u / 2 + own.random(), at.v / 3 + own.random())
    colour = np.array(person.clothes, np.float32)[:, None, None]
    return np.asarray(colour * (0.95 + 0.10 * folds), np.float32)


def _face(
    person: Person,
    at: Plane,
    lesions: LesionFields,
    light: Light,
    draws: tuple[np.random.Generator, np.random.Generator],
) -> np.ndarray:
    """Skin in its light, with all features, float32 [3,S,S]. `draws`: of the person, and of the photograph."""
    own, shot = draws
    canvas = paint_skin(person, at, lesions, own)
    matt, gloss = shading(relief(person, at) + lesions.height * at.pixel, at.pixel, light)
    beyond = at.far > 1
    # Neck and ears are round in their own way: the neck lies in the shadow of the chin.
    under = 0.62 + 0.25 * np.clip(at.v - 1.05, 0, 0.6)
    matt = np.where(beyond, np.where(at.v > 0.5, under * (1 + 0.35 * light.x * at.u), 0.72), matt)
    rim = np.clip((1.02 - at.far) / 0.16, 0, 1)
    canvas.shade((matt * np.where(beyond, 1, 0.80 + 0.20 * rim)).ravel())
    canvas.cover((1.0, 0.97, 0.94), (0.22 * gloss * ~beyond).ravel())
    paint_mouth(canvas, person, at, own, float(shot.uniform(0.0, 0.05)))
    paint_nostrils(canvas, person, at)
    paint_brows(canvas, person, at)
    paint_eyes(canvas, person, at, shot)
    return np.asarray(canvas.rgb.reshape(3, *at.u.shape))
