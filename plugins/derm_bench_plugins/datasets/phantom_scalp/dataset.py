"""phantom-scalp: procedural photographs of scalps in four severities of alopecia areata. It needs no download."""

from __future__ import annotations

from derm_bench_plugins.datasets.phantom.rendered import Rendered
from derm_bench_plugins.datasets.phantom_scalp.people import draw_person
from derm_bench_plugins.datasets.phantom_scalp.render import render
from derm_bench_plugins.datasets.phantom_scalp.severities import SCALP_CLASSES


class PhantomScalp(Rendered):
    """Groups are the people. The photographs of a person are of one visit: head, tone, hair, clothes and bald patches
    are the same, and with them the severity; pose, light and background are not.

    Masks are those of the hair. Attributes: tone (Fitzpatrick type 1 to 6), age (years), sex, hair (straight, wavy or
    curly), which is an auxiliary label too.
    """

    prefix = "scalp"
    by_prevalence = SCALP_CLASSES
    draw = staticmethod(draw_person)
    render = staticmethod(render)
    attributes = ("tone", "age", "sex", "hair")
    auxiliary = ("hair",)
    ordinal = True
