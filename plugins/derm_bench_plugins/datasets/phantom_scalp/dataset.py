"""phantom-scalp: procedural photographs of scalps in four severities of alopecia areata. It needs no download."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from derm_bench.specs import DatasetDescription, RawImage
from derm_bench_plugins.datasets.phantom.views import View, digests, plan_views
from derm_bench_plugins.datasets.phantom_scalp.people import draw_person
from derm_bench_plugins.datasets.phantom_scalp.render import render
from derm_bench_plugins.datasets.phantom_scalp.severities import SCALP_CLASSES

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.phantom import ScalpOptions

ATTRIBUTES = ("tone", "age", "sex", "hair")


class PhantomScalp:
    """Ids are `scalp_<person>_v<view>`, and groups are the people. The photographs of a person are of one visit: head,
    tone, hair, clothes and bald patches are the same, and with them the severity; pose, light and background are not.

    Every image has a mask of its hair. An image depends only on its person, its view and the options, not on the
    images read before.
    """

    def __init__(self, options: ScalpOptions, task: Task) -> None:
        self.options = options
        self._views = {view.name: view for view in _views(options)}

    def describe(self, options: ScalpOptions) -> DatasetDescription:
        """Return the description. Attributes: tone (Fitzpatrick type 1 to 6), age (years), sex, hair (straight,
        wavy or curly), which is an auxiliary label too."""
        views = _views(options)
        bearers = {view.group: (view.label, view.number) for view in views}
        people = {group: draw_person(options, *which) for group, which in bearers.items()}
        return DatasetDescription(
            ids=[view.name for view in views],
            labels=[view.label for view in views],
            classes=options.classes,
            groups=[view.group for view in views],
            attributes={name: [getattr(people[view.group], name) for view in views] for name in ATTRIBUTES},
            aux_labels={"hair": [people[view.group].hair for view in views]},
            masks=True,
            licence="CC0 1.0",
            citation="Rendered by derm-bench; no person was photographed.",
            ordinal=True,
        )

    def fingerprint(self, options: ScalpOptions) -> Mapping[str, str]:
        """Return a digest of options and id per image. The renderer's code is covered by its source digest."""
        return digests(options, _views(options))

    def read(self, ids: Sequence[str]) -> Iterator[RawImage]:
        for name in ids:
            view = self._views[name]
            person = draw_person(self.options, view.label, view.number)
            yield RawImage(*render(person, view.view, self.options.domain, self.options.side))


def _views(options: ScalpOptions) -> list[View]:
    return plan_views(options, "scalp", SCALP_CLASSES)
