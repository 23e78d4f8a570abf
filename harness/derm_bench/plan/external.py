"""Plans external test sets: the labels of another data set as classes of the data set that cells are trained on, and
the images that both have."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from derm_bench.fingerprint import UNREADABLE
from derm_bench.label_maps import read_label_map
from derm_bench.matrix.model import Matrix, TestSet
from derm_bench.plain_text import listed
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.split import Selection
from derm_bench.splits import PlannedSplit
from derm_bench.yamlio import KeyPath

NAMED = 3
"""The largest number of images that a message names."""

# The name of an image in the ISIC archive, from which many data sets take theirs: one name is one image.
_ARCHIVED = re.compile(r"ISIC_\d{7}")


class Externals:
    """Enters external test sets into the data of a plan, once for each data set that cells are trained on."""

    def __init__(self, matrix: Matrix, data: DataPlanner) -> None:
        self.matrix, self.data = matrix, data
        self.plan = data.plan

    def label(self, dataset: str, index: int) -> str:
        """The label of the external test set with this index in the matrix, as it is used for the data set `dataset`:
        its classes, size, resize and preprocess."""
        test_set = self.matrix.test_sets[index]
        if (dataset, test_set.name) not in self.plan.tests:
            self.plan.tests[dataset, test_set.name] = self._enter(dataset, test_set, index)
        return self.plan.tests[dataset, test_set.name]

    def _enter(self, dataset: str, test_set: TestSet, index: int) -> str:
        assert test_set.dataset is not None
        like = self.data.entries[dataset]
        made = test_set.dataset.model_copy(
            update={"size": like.size, "resize": like.resize, "preprocess": like.preprocess}
        )
        at: KeyPath = ("test_sets", index)
        label = self.data.add(made, f"{test_set.name} (test set of {dataset})", (*at, "dataset"))
        classes = self.data.selection(dataset).classes
        found = self._without_shared(dataset, label, self._mapped(label, test_set, classes, at), at)
        if not found.ids:
            message = f"no image of '{test_set.name}' is of a class of '{dataset}'"
            raise self.matrix.error(message, at, "map a label to one of " + ", ".join(classes))
        self.data.set_selection(label, found)
        split = PlannedSplit(found.ids, found.labels, found.groups, ("test",) * len(found.ids), classes)
        self.plan.splits[label, 0] = split
        self.plan.data[split.digest] = split.csv
        self._warn_of_absent(test_set.name, dataset, split)
        return label

    def _mapped(self, label: str, test_set: TestSet, classes: Sequence[str], at: KeyPath) -> Selection:
        """The images whose label is mapped to a class, with that class."""
        selection = self.data.selection(label)
        labels = dict.fromkeys(selection.labels)
        known = [name for name in selection.classes if name in labels]
        mapping = self._label_map(test_set, known, classes, at)
        kept = [i for i, name in enumerate(selection.labels) if mapping[name] is not None]
        left_out = Counter(name for name in selection.labels if mapping[name] is None)
        if left_out:
            counts = listed([f"{n} of '{name}'" for name, n in sorted(left_out.items())])
            self._warn(f"{test_set.name}: its label map leaves out {counts}")
        return Selection(
            tuple(selection.ids[i] for i in kept),
            tuple(str(mapping[selection.labels[i]]) for i in kept),
            tuple(selection.groups[i] for i in kept),
            tuple(classes),
        )

    def _label_map(
        self, test_set: TestSet, labels: Sequence[str], classes: Sequence[str], at: KeyPath
    ) -> Mapping[str, str | None]:
        if test_set.label_map is None:
            other = [name for name in labels if name not in classes]
            if other:
                message = (
                    f"'{test_set.name}' has the label '{other[0]}', which is no class ({', '.join(classes)})"
                )
                hint = "write label_map: FILE, with a row `label: class` or `label: null` for each label"
                raise self.matrix.error(message, at, hint)
            return {name: name for name in labels}
        if not test_set.label_map.is_file():
            message = f"there is no file {test_set.label_map}"
            hint = "a label map has a row `label: class` or `label: null` for each of " + ", ".join(labels)
            raise self.matrix.error(message, (*at, "label_map"), hint)
        return read_label_map(test_set.label_map, labels, classes, test_set.name)

    # ------------------------------------------------------------------ images that both have

    def _without_shared(self, dataset: str, label: str, found: Selection, at: KeyPath) -> Selection:
        """The images that `dataset` does not have. Raises UserError if there are others, unless the entry drops
        duplicates or the protocol permits them."""
        shared = self._shared(dataset, label, found)
        if not shared:
            return found
        name, n = self.matrix.test_sets[int(at[1])].name, len(shared)
        some = ", ".join(sorted(shared)[:NAMED])
        has = f"{n} of the images of '{name}' are images of '{dataset}' too ({some}{', ...' if n > NAMED else ''})"
        if self.data.entries[label].clean.duplicates == "drop":
            self._warn(f"{has}: they are left out of the test set")
            kept = [i for i, each in enumerate(found.ids) if each not in shared]
            return Selection(
                tuple(found.ids[i] for i in kept),
                tuple(found.labels[i] for i in kept),
                tuple(found.groups[i] for i in kept),
                found.classes,
            )
        if "duplicates_across_splits" in self.matrix.protocol.allow:
            self._warn(f"permitted by duplicates_across_splits: {has}: they are no unseen images")
            return found
        hint = (
            "leave them out with clean: {duplicates: drop} in its `dataset`, or permit them with protocol: {name: "
            "paper, allow: [duplicates_across_splits]}"
        )
        raise self.matrix.error(has, (*at, "dataset"), hint)

    def _shared(self, dataset: str, label: str, found: Selection) -> set[str]:
        """The images that the data set of the cells has too: with the same content, or under the same name of the ISIC
        archive. Other names may be equal by chance, as those of numbered files are."""
        own = self.data.selection(dataset)
        digests = set(self.data.fingerprints[dataset].values()) - {UNREADABLE}
        archived = {hit[0] for each in own.ids if (hit := _ARCHIVED.search(each))}
        contents = self.data.fingerprints[label]
        return {
            each
            for each in found.ids
            if contents[each] in digests or ((hit := _ARCHIVED.search(each)) and hit[0] in archived)
        }

    def _warn_of_absent(self, name: str, dataset: str, split: PlannedSplit) -> None:
        """Adds a warning if classes have no image in a test set."""
        counts = split.counts("test")
        absent = [each for each in split.classes if not counts[each]]
        if absent:
            self._warn(absent_classes(name, dataset, absent))

    def _warn(self, message: str) -> None:
        self.plan.warnings += [message] if message not in self.plan.warnings else []


def absent_classes(name: str, dataset: str, absent: Sequence[str]) -> str:
    """The warning about classes of `dataset` without an image in a test set."""
    named = listed([repr(each) for each in absent])
    return (
        f"the test set '{name}' has no image of {named} of {dataset}: macro scores on it are means over the other "
        "classes"
    )
