"""phantom-dermoscopy: procedural dermoscopy with several views per lesion. It needs no download."""

from __future__ import annotations

from derm_bench_plugins.datasets.phantom.lesions import draw_lesion
from derm_bench_plugins.datasets.phantom.render import render
from derm_bench_plugins.datasets.phantom.rendered import Rendered


class PhantomDermoscopy(Rendered):
    """Groups are the lesions. Attributes: tone (Fitzpatrick type 1 to 6), site, age (years), sex."""

    prefix = "phantom"
    by_prevalence = ("nv", "bkl", "mel", "bcc", "akiec", "vasc", "df")  # as in a clinic
    draw = staticmethod(draw_lesion)
    render = staticmethod(render)
    attributes = ("tone", "site", "age", "sex")
    photographed = "patient"
