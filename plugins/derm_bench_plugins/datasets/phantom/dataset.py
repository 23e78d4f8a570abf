"""phantom-dermoscopy: procedural dermoscopy with several views per lesion. It needs no download."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from derm_bench.specs import DatasetDescription, RawImage
from derm_bench_plugins.datasets.phantom.lesions import draw_lesion
from derm_bench_plugins.datasets.phantom.render import render
from derm_bench_plugins.datasets.phantom.views import View, digests, plan_views

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.phantom import PhantomOptions

ATTRIBUTES = ("tone", "site", "age", "sex")
# Most common first, as in a clinic.
BY_PREVALENCE = ("nv", "bkl", "mel", "bcc", "akiec", "vasc", "df")


class PhantomDermoscopy:
    """Ids are `phantom_<lesion>_v<view>`, and groups are the lesions. Every image has a mask.

    An image depends only on its lesion, its view and the options, not on the images read before.
    """

    def __init__(self, options: PhantomOptions, task: Task) -> None:
        self.options = options
        self._views = {view.name: view for view in _views(options)}

    def describe(self, options: PhantomOptions) -> DatasetDescription:
        """Return the description. Attributes: tone (Fitzpatrick type 1 to 6), site, age (years), sex."""
        views = _views(options)
        bearers = {view.group: (view.label, view.number) for view in views}
        lesions = {group: draw_lesion(options, *which) for group, which in bearers.items()}
        return DatasetDescription(
            ids=[view.name for view in views],
            labels=[view.label for view in views],
            classes=options.classes,
            groups=[view.group for view in views],
            attributes={name: [getattr(lesions[view.group], name) for view in views] for name in ATTRIBUTES},
            masks=True,
            licence="CC0 1.0",
            citation="Rendered by derm-bench; no patient was photographed.",
        )

    def fingerprint(self, options: PhantomOptions) -> Mapping[str, str]:
        """Return a digest of options and id per image. The renderer's code is covered by its source digest."""
        return digests(options, _views(options))

    def read(self, ids: Sequence[str]) -> Iterator[RawImage]:
        for name in ids:
            view = self._views[name]
            lesion = draw_lesion(self.options, view.label, view.number)
            yield RawImage(*render(lesion, view.view, self.options.domain, self.options.side))


def _views(options: PhantomOptions) -> list[View]:
    return plan_views(options, "phantom", BY_PREVALENCE)
