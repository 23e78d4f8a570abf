"""What the phantoms have in common: subjects (lesions, people) with several views, each rendered when it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from derm_bench.specs import DatasetDescription, RawImage
from derm_bench_plugins.datasets.phantom.views import View, digests, plan_views

if TYPE_CHECKING:
    import numpy as np

    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.phantom import Phantom


class Rendered:
    """Ids are `<prefix>_<subject>_v<view>`, and groups are the subjects. Every image has a mask.

    An image depends only on its subject, its view and the options, not on the images read before. A subclass states:

    prefix: of the ids. by_prevalence: all classes, the most common first. draw(options, class, number): the subject, an
    object with a field for each of `attributes` and `auxiliary`. render(subject, view, domain, side): the image, uint8
    [side,side,3], and its mask, uint8 [side,side] of 0 and 255. auxiliary: attributes that are auxiliary labels too.
    """

    prefix: ClassVar[str]
    by_prevalence: ClassVar[Sequence[str]]
    draw: ClassVar[Callable[..., Any]]
    render: ClassVar[Callable[..., tuple[np.ndarray, np.ndarray]]]
    attributes: ClassVar[Sequence[str]]
    auxiliary: ClassVar[Sequence[str]] = ()
    ordinal: ClassVar[bool] = False
    photographed: ClassVar[str] = "person"
    """Who was not photographed, for the citation."""

    def __init__(self, options: Phantom, task: Task) -> None:
        self.options = options
        self._views = {view.name: view for view in self._planned(options)}

    def describe(self, options: Phantom) -> DatasetDescription:
        views = self._planned(options)
        bearers = {view.group: (view.label, view.number) for view in views}
        subjects = {group: self.draw(options, *which) for group, which in bearers.items()}

        def column(name: str) -> list[Any]:
            return [getattr(subjects[view.group], name) for view in views]

        return DatasetDescription(
            ids=[view.name for view in views],
            labels=[view.label for view in views],
            classes=options.classes,
            groups=[view.group for view in views],
            attributes={name: column(name) for name in self.attributes},
            aux_labels={name: column(name) for name in self.auxiliary},
            masks=True,
            licence="CC0 1.0",
            citation=f"Rendered by derm-bench; no {self.photographed} was photographed.",
            ordinal=self.ordinal,
        )

    def fingerprint(self, options: Phantom) -> Mapping[str, str]:
        """Return a digest of options and id per image. The renderer's code is covered by its source digest."""
        return digests(options, self._planned(options))

    def read(self, ids: Sequence[str]) -> Iterator[RawImage]:
        for name in ids:
            view = self._views[name]
            subject = self.draw(self.options, view.label, view.number)
            yield RawImage(*self.render(subject, view.view, self.options.domain, self.options.side))

    def _planned(self, options: Phantom) -> list[View]:
        return plan_views(options, self.prefix, self.by_prevalence)
