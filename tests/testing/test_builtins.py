"""Every built-in is held to the kit that third parties are held to, without being listed here.

Data sets, metrics and transforms pass the whole of it, with `tiny`. Generators and classifiers, which train, pass the
rules that one short fit answers (`InShort`), and the whole kit with `-m slow`; those of `WHOLE` pass it here too. A
plugin that needs options, files or inputs gets them from the class that `NEEDS` names.
"""

import contextlib
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image
from tests.datasets.trees import TREES

from derm_bench.plugins import Plugins
from derm_bench.specs import Budget, Task
from derm_bench.testing import (
    ClassifierConformance,
    DatasetConformance,
    GeneratorConformance,
    MetricConformance,
    TransformConformance,
    classifier,
    fitting,
    generator,
)
from derm_bench.testing.classes import Conformance
from derm_bench.testing.phantoms import phantoms
from derm_bench.testing.rules import NotApplicable
from derm_bench_plugins.classifiers import dermagan_cnn
from derm_bench_plugins.classifiers.specs.dermagan_cnn import DermaganCnnOptions

FOUND = Plugins(builtins_only=True)
FITTED = (GeneratorConformance, ClassifierConformance)
CALLED = (DatasetConformance, MetricConformance, TransformConformance)
WHOLE = {"dcgan", "dermagan-cnn"}


# ------------------------------------------------------------------------- what some plugins need


def draw(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


class MadeImages:
    @pytest.fixture(autouse=True)
    def needs(self, tmp_path):
        for k, label in enumerate(("red", "green", "blue")):
            for j in range(9):
                draw(tmp_path / "made" / label / f"{j}.png", 10 * k + j)
        self.options = {"root": tmp_path / "made", "trained_on": "another data set"}


class CopyProgram:
    @pytest.fixture(autouse=True)
    def needs(self, tmp_path):
        (tmp_path / "copy.sh").write_text('for c in "$1"/*; do cp "$c"/* "$2/${c##*/}"; done\n')
        self.options = {
            "argv": ("sh", "{program}", "{train}", "{out}"),
            "program": tmp_path / "copy.sh",
            "samples_per_fit": 8,
        }


class ClassFolders:
    @pytest.fixture(autouse=True)
    def needs(self, tmp_path):
        for label in ("mole", "wart"):
            for k in range(3):
                draw(tmp_path / "images" / label / f"{k}.png", k)
        self.options = {"root": tmp_path / "images"}


class TableOfImages:
    @pytest.fixture(autouse=True)
    def needs(self, tmp_path):
        rows = ["file,diagnosis,patient,years,half"]
        for k in range(8):
            draw(tmp_path / "pictures" / f"{k}.png", k)
            draw(tmp_path / "pictures" / f"{k}_mask.png", k)
            rows.append(f"{k}.png,{('mel', 'nv')[k % 2]},p{k // 3},{20 + k},{'train' if k % 4 else 'test'}")
        (tmp_path / "table.csv").write_text("\n".join(rows) + "\n")
        columns = {"image": "file", "label": "diagnosis", "group": "patient", "split": "half"}
        files = {"file": tmp_path / "table.csv", "root": tmp_path / "pictures"}
        self.options = {**files, "columns": columns, "attributes": {"age": "years"}}


def folder_of(dataset):
    """The needs of a data set: a tree with its file names, in the first layout."""

    class Folder:
        @pytest.fixture(autouse=True, scope="class")
        @classmethod
        def needs(cls, tmp_path_factory):
            root = tmp_path_factory.mktemp(dataset)
            cls.options = next(iter(TREES[dataset].values()))(root).options

        @pytest.mark.slow  # a process for each; test_published asks for all modules in one
        def test_planner_needs_no_torch(self):
            super().test_planner_needs_no_torch()

    return Folder


class TwoMembers:
    @pytest.fixture(autouse=True)
    def needs(self):
        task, options = Task(phantoms(per_class=1).classes, self.size), DermaganCnnOptions(pooled=True)
        self.inputs = {f"member {k}": dermagan_cnn.make(options, task) for k in (1, 2)}


class TwoPhantoms:
    options: ClassVar[dict] = {
        "of": [
            {"name": "phantom-dermoscopy", "label": name, "images": 24, "side": 32, "seed": seed}
            for seed, name in enumerate(("one", "two"))
        ]
    }


class Grades:
    options: ClassVar[dict] = {"healthy": "red", "grades": ("green", "blue")}


# By kind and name: a class with `options`, `inputs`, `size`, `limits` (see Conformance), `updates` (see InShort), or a
# fixture `needs` that sets them.
NEEDS = {
    ("generator", "folder"): MadeImages,
    ("generator", "command"): CopyProgram,
    ("generator", "stylegan2-hierarchy"): Grades,
    ("dataset", "image-folder"): ClassFolders,
    ("dataset", "table"): TableOfImages,
    **{("dataset", name): folder_of(name) for name in TREES},
    ("dataset", "union"): TwoPhantoms,
    ("classifier", "ensemble"): TwoMembers,
}


# ------------------------------------------------------------------------------------- the classes

ONE_FIT = {
    "generator": (
        generator.samples_have_the_right_shape,
        generator.samples_are_uint8,
        generator.samples_span_the_pixel_range,
        generator.equal_requests_give_equal_samples,
    ),
    "classifier": (
        classifier.probabilities_have_the_right_shape,
        classifier.probabilities_are_float32,
        classifier.probabilities_sum_to_one,
        classifier.evaluates_after_every_update,
    ),
}
ABOUT_ONE_FIT = (
    fitting.takes_the_whole_budget,
    fitting.uses_nothing_but_the_protocol,
    fitting.opens_no_file,
)


class InShort(Conformance):
    """A plugin with preset tiny is made, fitted for `updates` only, and asked for what it then gives."""

    updates = 2

    def test_one_short_fit(self):
        case = self.case()
        if self.kind == "generator":
            case.options = case.options.model_copy(update={"budget": Budget(updates=self.updates)})
        for rule in ONE_FIT[self.kind]:
            rule(case)
        for rule in ABOUT_ONE_FIT:
            with contextlib.suppress(NotApplicable):
                rule(case)


def made(base, kind, plugin, marks=()):
    """`base` for one plugin, with what it needs."""
    needs = NEEDS.get((kind, plugin))
    bases = (needs, base) if needs else (base,)
    test = type(base.__name__, bases, {"plugin": plugin, "pytestmark": [*marks]})
    test.kind = kind
    return test


def whole(base):
    """The whole kit for every plugin of a kind; of one that trains and is not in WHOLE, with `-m slow`."""
    kind = base.kind
    return {
        f"Test{kind.title()}-{plugin}": made(
            base, kind, plugin, [pytest.mark.slow] if base in FITTED and plugin not in WHOLE else []
        )
        for plugin in FOUND.names(kind)
    }


def in_short(kind):
    return {
        f"TestShort{kind.title()}-{plugin}": made(InShort, kind, plugin)
        for plugin in FOUND.names(kind)
        if plugin not in WHOLE
    }


for base in (*FITTED, *CALLED):
    globals().update(whole(base))
for base in FITTED:
    globals().update(in_short(base.kind))


@pytest.mark.parametrize(("kind", "plugin"), NEEDS, ids=str)
def test_what_is_given_to_a_plugin_is_given_to_one_that_exists(kind, plugin):
    assert plugin in FOUND.names(kind)
