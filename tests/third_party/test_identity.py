"""The keys of stages that run a third party's plugins: content of its files, and which plugin a name means."""

import sys

import pytest

from derm_bench.cli.plugins import notes
from derm_bench.cli.preflight import preflight
from derm_bench.errors import UserError, UserErrors
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan import closure, distributions
from derm_bench.plan.explain import differences
from derm_bench.plan.keys import forget_plugins
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins

ENTRY = """
from pathlib import Path
from pydantic import BaseModel, Field
from derm_bench import hookimpl
from derm_bench.specs import GeneratorOptions, GeneratorSpec, MetricSpec, TransformSpec

DERM_BENCH_API = 1


class Encoder(BaseModel):
    file: Path = Field(description="weights")


class GanOptions(GeneratorOptions):
    batch_size: int = Field(8, description="images per update")
    encoders: dict[str, Encoder] = Field({}, description="an encoder per class")
    weights: Path | None = Field(None, description="weights to start from")


@hookimpl
def derm_bench_generators():
    create = "their_gans.model:Gan"
    return [
        GeneratorSpec(name=name, summary="theirs", create=create, options=GanOptions, conditional=True)
        for name in ("dcgan", "their-gan")
    ]


@hookimpl
def derm_bench_transforms():
    return [TransformSpec(name="hflip", summary="theirs", create="their_gans.model:Flip", phase="image")]
"""


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """The folder of a package that provides `dcgan`, `their-gan` and `hflip`; the first two have nested paths."""
    info = tmp_path / "their_gans-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Their_Gans\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[derm_bench]\ntheir-gans = their_gans\n")
    (info / "top_level.txt").write_text("their_gans\n")
    package = tmp_path / "their_gans"
    package.mkdir()
    (package / "__init__.py").write_text(ENTRY)
    (package / "model.py").write_text("class Gan:\n    pass\n\n\nclass Flip:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield package
    monkeypatch.undo()
    sys.modules.pop("their_gans", None)
    forget()


def forget():
    closure.forget_source()
    forget_plugins()
    for cached in (
        closure.root_of, closure._plugin_distributions, distributions._installed, distributions._owners,
        distributions.distribution_of, distributions.in_development,
    ):  # fmt: skip
        cached.cache_clear()


MATRIX = """
name: theirs
dataset: {{name: phantom-dermoscopy, images: 60, size: 32, split: {{test: 0.3, val: 0.2}}}}
budget: {{updates: 4}}
metrics: []
strategies:
  - {{name: gan, augment: [{flip}], generator: {generator}, synthetic: {{per_class: 2}}}}
classifiers: [{{name: {classifier}, preset: tiny, batch_size: 8}}]
"""


@pytest.fixture
def planned(tmp_path, theirs):
    """Plans a matrix with a generator, a transform and a classifier, as if the source had just been read."""

    def plan(generator, flip="hflip", classifier="dermagan-cnn"):
        forget()
        plugins = Plugins()
        file = tmp_path / "matrix.yaml"
        file.write_text(MATRIX.format(generator=generator, flip=flip, classifier=classifier))
        matrix = load_matrix(file, plugins)
        all_cells = cells(matrix, plugins)
        preflight(matrix, plugins, all_cells)
        return make_plan(matrix, all_cells, plugins, Machine("cpu", ("cpu",), "fp32", 2))

    return plan


def stage(plan, kind):
    return next(stage for stage in plan.stages.values() if stage.kind == kind)


def keys(plan):
    return {stage.key for stage in plan.stages.values()}


# -------------------------------------------------------------------------- paths in options


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_swapped_weights_inside_of_an_option_are_another_fit(planned, tmp_path, folder):
    weights = tmp_path / "weights"
    place = weights / "deep.pt" if folder else weights
    place.parent.mkdir(exist_ok=True)
    place.write_text("first")
    generator = "{name: their-gan, encoders: {nv: {file: weights}}, budget: {updates: 2}}"
    first = planned(generator)
    assert planned(generator).stages.keys() == first.stages.keys()
    place.write_text("other")
    second = planned(generator)
    fits = stage(second, "fit"), stage(first, "fit")
    assert fits[0].key != fits[1].key and stage(second, "train").key != stage(first, "train").key
    said = differences(*(fit.identity for fit in fits), lists=(first.data | second.data).get)
    what = "folder changed: deep.pt" if folder else "file changed"
    assert said == [f"options.encoders.nv.file: the content of the {what}"]
    assert fits[0].local["paths"] == {"encoders.nv.file": str(weights)}


def test_a_nested_path_that_cannot_be_read_is_refused_where_it_stands(planned, tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "cut.safetensors").write_bytes(b"\x10")
    (tmp_path / "weights/out").symlink_to("/etc/passwd")
    for file, said in (
        ("absent.pt", "does not exist"),
        ("cut.safetensors", "cut off"),
        ("weights", "leads out of the folder"),
    ):
        with pytest.raises(UserErrors) as caught:
            planned(f"{{name: their-gan, encoders: {{nv: {{file: {file}}}}}}}")
        (error,) = caught.value.errors
        assert said in error.message
        assert error.path == ("strategies", 0, "generator", "encoders", "nv", "file")


# ------------------------------------------------------------------ the files of a distribution


def test_a_new_version_and_a_readme_change_no_key_and_package_data_do(planned, theirs):
    first = planned("their-gan")
    info = theirs.parent / "their_gans-1.0.dist-info" / "METADATA"
    info.write_text(info.read_text().replace("Version: 1.0", "Version: 1.1"))
    (theirs / "README.md").write_text("better explained")
    assert keys(planned("their-gan")) == keys(first)
    (theirs / "config.json").write_text("{}")
    second = planned("their-gan")
    said = differences(
        stage(second, "fit").identity, stage(first, "fit").identity, lists=(first.data | second.data).get
    )
    assert said == ["code of plugin their-gan changed: their_gans/config.json (new)"]


def test_what_depends_on_names_is_under_the_key(planned, theirs):
    entry = theirs / "__init__.py"
    entry.write_text(ENTRY.replace("conditional=True", "conditional=True, depends_on=('their_gans.late',)"))
    (theirs / "late.py").write_text("SCALE = 1\n")
    first = planned("their-gan")
    (theirs / "late.py").write_text("SCALE = 2\n")
    second = planned("their-gan")
    said = differences(
        stage(second, "fit").identity, stage(first, "fit").identity, lists=(first.data | second.data).get
    )
    assert said == ["what `depends_on` names of plugin their-gan changed: their_gans.late"]


# ---------------------------------------------------------------------------- what a name means


def test_a_bare_name_means_the_built_in_and_both_spellings_are_one_arm(planned):
    bare = planned("{name: dcgan, preset: tiny}")
    qualified = planned(
        "{name: 'derm-bench:dcgan', preset: tiny}", "{'Derm_Bench:hflip': {}}", "'derm-bench:dermagan-cnn'"
    )
    assert keys(qualified) == keys(bare)
    assert [one.cell.name for one in qualified.cells] == [one.cell.name for one in bare.cells]
    assert stage(bare, "fit").shared["code"]["plugins"][0]["distribution"] == "derm-bench"
    assert stage(qualified, "fit").params.generator == "dcgan"


def test_a_third_partys_plugin_of_that_name_is_written_with_its_distribution(planned):
    theirs = planned("their_gans:dcgan", "'Their-Gans:hflip'")
    other = planned("Their-Gans:dcgan", "'their_gans:hflip'")
    assert keys(theirs) == keys(other) != keys(planned("{name: dcgan, preset: tiny}"))
    fit = stage(theirs, "fit")
    assert fit.params.generator == "their-gans:dcgan"
    assert fit.shared["code"]["plugins"][0]["distribution"] == "Their_Gans"
    assert stage(theirs, "train").params.augment[0]["name"] == "their-gans:hflip"
    assert stage(planned("their_gans:their-gan"), "fit").params.generator == "their-gan"


def test_show_writes_each_plugin_as_a_matrix_has_it(theirs, in_process):
    shown = in_process("plugins", "show", "dcgan").out
    assert "generator: {name: dcgan}" in shown and "generator: {name: Their_Gans:dcgan}" in shown
    assert "generator: {name: their-gan}" in in_process("plugins", "show", "their-gan").out
    assert "Their_Gans:hflip" in in_process("plugins", "show", "Their_Gans:hflip").out


def test_one_remark_says_how_to_write_the_other(theirs):
    said = notes(Plugins())
    assert [note for note in said if "dcgan" in note] == [
        "generator 'dcgan' means the built-in one; write 'Their_Gans:dcgan' for that of Their_Gans"
    ]
    assert {"dcgan", "Their_Gans:dcgan", "their-gan"} <= set(Plugins().names("generator"))


# ---------------------------------------------------------- what weights of a start were trained on


def from_weights(tmp_path, trained_on=None, split=None):
    (tmp_path / "start.pt").write_bytes(b"\x80")
    stated = "".join(
        f", {key}: {value}" for key, value in {"trained_on": trained_on, "split": split}.items() if value
    )
    return f"{{name: their-gan, weights: start.pt{stated}}}"


def test_a_start_from_weights_needs_a_statement_as_images_of_a_folder_do(planned, tmp_path):
    for stated, said in (
        ({}, "nothing states what they were trained on"),
        ({"trained_on": "test"}, "it needs the permit generator_sees_test"),
        ({"trained_on": "train"}, "needs `split`"),
        (
            {"trained_on": "train", "split": "0123456789ab"},
            "trained on the split 0123456789ab, but the split of",
        ),
    ):
        with pytest.raises((UserError, UserErrors), match=said):
            planned(from_weights(tmp_path, **stated))


def test_what_is_stated_is_shown_and_changes_no_key(planned, tmp_path):
    plan = planned(from_weights(tmp_path, "ISIC 2018"))
    assert [warning for warning in plan.warnings if "weights" in warning] == [
        "gan: its images are made by a model that started from weights stated to be trained on 'ISIC 2018'; it is not "
        "verified that no test image was used"
    ]
    (split,) = {split.digest for split in plan.splits.values()}
    verified = planned(from_weights(tmp_path, "train", split[:12]))
    assert keys(verified) == keys(plan) and not [w for w in verified.warnings if "weights" in w]
    assert not [w for w in planned("their-gan").warnings if "weights" in w]


def test_a_plugin_with_a_statement_of_another_name_is_warned_of(planned, theirs, tmp_path):
    field = '    split: int = Field(2, description="branches of its network")\n'
    mark = "    weights: Path"
    (theirs / "__init__.py").write_text(ENTRY.replace(mark, field + mark))
    from_weights(tmp_path)
    plan = planned("{name: their-gan, weights: start.pt, split: 3}")
    assert [w for w in plan.warnings if "weights of unknown origin" in w]
    assert stage(plan, "fit").params.options["split"] == 3
