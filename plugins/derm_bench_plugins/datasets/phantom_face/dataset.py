"""phantom-face-acne: procedural photographs of faces in four grades of acne. It needs no download."""

from __future__ import annotations

from derm_bench_plugins.datasets.phantom.rendered import Rendered
from derm_bench_plugins.datasets.phantom_face.grades import FACE_CLASSES
from derm_bench_plugins.datasets.phantom_face.people import draw_person
from derm_bench_plugins.datasets.phantom_face.render import render


class PhantomFaceAcne(Rendered):
    """Groups are the people. The photographs of a person are of one visit: face, tone, hair, clothes and lesions are
    the same, and with them the grade; pose, light, gaze and background are not.

    Masks are those of the lesions, empty for a healthy face without a comedone. Attributes: tone (Fitzpatrick type 1 to
    6), age (years), sex.
    """

    prefix = "face"
    by_prevalence = FACE_CLASSES
    draw = staticmethod(draw_person)
    render = staticmethod(render)
    attributes = ("tone", "age", "sex")
    ordinal = True
