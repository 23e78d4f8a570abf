"""The plan: equal work is one stage, and a key holds all that can change the numbers and nothing else."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import toy_matrix

from derm_bench.errors import UserError
from derm_bench.machine import (
    Machine,
    Measured,
    Wanted,
    device_model,
    save_profile,
    saved_profile,
    this_machine,
)
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.matrix.model import Synthetic
from derm_bench.plan.planner import make_plan
from derm_bench.plan.quota import quotas
from derm_bench.plugins import Plugins

CPU = Machine("cpu", ("cpu",), "fp32", 2)


@pytest.fixture
def plugins(toys):
    return Plugins()


@pytest.fixture
def plan(plugins, write_matrix):
    """Plans a toy matrix with changes."""

    def make(machine: Machine = CPU, sets: tuple[str, ...] = (), **changes):
        matrix = load_matrix(write_matrix(toy_matrix(**changes)), plugins, sets=sets)
        return make_plan(matrix, cells(matrix, plugins), plugins, machine)

    return make


def keys(plan, kind: str) -> set[str]:
    return {stage.key for stage in plan.stages.values() if stage.kind == kind}


def test_stages_come_after_their_inputs(plan):
    seen = set()
    for stage in plan().stages.values():
        assert set(stage.before()) <= seen
        seen.add(stage.key)


def test_two_strategies_with_the_same_generator_share_its_fits(plan):
    strategies = [
        {"name": name, "generator": {"name": "toy-mean"}, "synthetic": {"per_class": n}}
        for name, n in (("some", 10), ("many", 40))
    ]
    planned = plan(strategies=strategies)
    assert len(keys(planned, "fit")) == 3 * 2, "one a class and seed"
    assert len(planned.cells) == 4


def test_an_option_of_a_classifier_changes_its_stages_only(plan):
    before, after = plan(), plan(sets=("classifiers.0.lr=0.123",))
    for kind in ("decode", "fit", "sample"):
        assert keys(before, kind) == keys(after, kind)
    for kind in ("train", "evaluate"):
        assert not keys(before, kind) & keys(after, kind)


def test_an_option_of_a_generator_leaves_the_other_strategies_alone(plan):
    before, after = plan(), plan(sets=("strategies.2.generator.budget.updates=5",))
    assert not keys(before, "fit") & keys(after, "fit")
    assert len(keys(before, "train") & keys(after, "train")) == 4


def table_of_the_day(options):
    return {"table": DAY[0]}


DAY = ["monday"]


def test_what_a_transform_depends_on_changes_the_trainings_that_it_augments(plan, plugins, monkeypatch):
    found = plugins.get("transform", "hflip")
    asked = replace(found, depends_on=f"{__name__}:table_of_the_day")
    get = type(plugins).get
    monkeypatch.setattr(
        type(plugins), "get", lambda self, kind, name: asked if name == "hflip" else get(self, kind, name)
    )
    strategies = [{"name": "plain"}, {"name": "flipped", "augment": ["hflip"]}]
    before = plan(strategies=strategies)
    monkeypatch.setattr(sys.modules[__name__], "DAY", ["tuesday"])
    after = plan(strategies=strategies)
    assert keys(before, "decode") == keys(after, "decode")
    assert len(keys(before, "train") & keys(after, "train")) == len(keys(before, "train")) / 2


def test_names_are_part_of_no_key_but_those_of_tables_and_figures(plan):
    before = plan()
    after = plan(
        name="renamed",
        dataset={"name": "toy-blobs", "size": 8, "images": 90, "label": "mine"},
        classifiers=[{"name": "toy-centroid", "label": "other"}],
    )
    measured = [[key for key in made.stages if key not in made.analysis.values()] for made in (before, after)]
    assert measured[0] == measured[1]
    assert not set(before.analysis.values()) & set(after.analysis.values())


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"devices": ("cpu", "cpu")}, True),
        ({"device": "cuda", "devices": ("cuda:1",)}, False),
        ({"precision": "bf16"}, False),
        ({"threads": 1}, False),
    ],
)
def test_numerics_are_in_a_key_and_device_numbers_are_not(plan, change, kept):
    fields = {"device": "cpu", "devices": ("cpu",), "precision": "fp32", "threads": 2} | change
    assert (keys(plan(), "train") == keys(plan(Machine(**fields)), "train")) is kept


def test_a_decode_does_not_depend_on_the_device(plan):
    assert keys(plan(), "decode") == keys(plan(Machine("cuda", ("cuda:0",), "bf16", 2)), "decode")


def test_another_gpu_of_the_same_kind_is_the_same_key(plan):
    first, second = (plan(Machine("cuda", (f"cuda:{k}",), "fp32", 2)) for k in (0, 1))
    assert list(first.stages) == list(second.stages)


def test_copied_data_keeps_its_keys_and_an_edited_image_does_not(plugins, tmp_path, write_matrix):
    root = tmp_path / "data"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for k in range(12):
            pixels = np.random.default_rng(k).integers(0, 255, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{name}{k}.png")

    def planned(folder: Path) -> list[str]:
        content = toy_matrix(dataset={"name": "image-folder", "root": str(folder), "size": 8})
        matrix = load_matrix(write_matrix(content), plugins)
        return list(make_plan(matrix, cells(matrix, plugins), plugins, CPU).stages)

    before = planned(root)
    moved = tmp_path / "elsewhere"
    shutil.copytree(root, moved)
    assert planned(moved) == before
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(moved / "a" / "a0.png")
    assert not set(planned(moved)) & set(before)


def test_a_generator_without_a_quota_is_scored_and_makes_no_cell(plan):
    strategies = [{"name": "real-only"}, {"name": "look", "generator": {"name": "toy-mean"}}]
    planned = plan(strategies=strategies, metrics=["fd_domain"])
    assert {p.cell.strategy for p in planned.cells} == {"real-only"}
    assert {fit.class_name for fit in planned.fits} == {"red", "green", "blue"}
    assert {row.strategy for row in planned.fidelity} == {"look", "control"}


def test_fidelity_has_its_controls_and_one_reference_a_split(plan):
    planned = plan(metrics=["fd_domain", "kid_domain"])
    controls = {(row.generator, row.class_name) for row in planned.fidelity if row.strategy == "control"}
    names = ("red", "green", "blue")
    assert controls == {(control, name) for control in ("real-holdout", "noise") for name in names}
    assert len([s for s in planned.stages.values() if s.kind == "reference"]) == 1


def test_the_fidelity_sample_does_not_depend_on_quotas(plan):
    few, many = (
        plan(metrics=["fd_domain"], sets=(f"strategies.2.synthetic={{per_class: {n}}}",)) for n in (5, 50)
    )
    assert {row.key for row in few.fidelity} == {row.key for row in many.fidelity}


def test_classes_that_are_not_there_are_named_with_their_line(plan):
    strategies = [
        {"name": "x", "generator": {"name": "toy-mean", "classes": ["purple"]}, "synthetic": {"per_class": 3}}
    ]
    with pytest.raises(UserError, match=r"matrix.yaml:\d+: strategies.0.generator: .*no class 'purple'"):
        plan(strategies=strategies)
    strategies = [{"name": "x", "generator": {"name": "toy-mean"}, "synthetic": {"per_class": {"rde": 3}}}]
    with pytest.raises(UserError, match=r"'rde', which the generator does not make"):
        plan(strategies=strategies)


@pytest.mark.parametrize(
    ("generator", "warned"),
    [
        ({"name": "toy-mean", "size": 16}, True),
        ({"name": "toy-mean", "size": 8}, False),
        ({"name": "bottleneck", "size": 16}, False),
    ],
)
def test_a_generator_that_is_fitted_on_enlarged_images_is_warned_of(plan, generator, warned):
    planned = plan(strategies=[{"name": "s", "generator": generator, "synthetic": {"balance": True}}])
    found = [warning for warning in planned.warnings if "enlarged" in warning]
    label = "toy-mean is fitted at 16 px on images of toy-blobs that are stored at 8 px"
    assert len(found) == warned and all(warning.startswith(label) for warning in found)


@pytest.mark.parametrize(
    ("synthetic", "why"),
    [
        ("{balance: 3}", "its classes already have the requested size"),
        ("{ratio: 0.0001}", "its quota is 0 in every class"),
    ],
)
def test_a_quota_that_adds_nothing_is_said_with_its_reason(plan, synthetic, why):
    planned = plan(sets=(f"strategies.2.synthetic={synthetic}",))
    name = planned.matrix.strategies[2].name
    of_strategies = [warning for warning in planned.warnings if "very few" not in warning]
    assert of_strategies == [f"{name} adds no synthetic images: {why}"]


def test_equal_quotas_that_add_nothing_are_one_warning(plan):
    """Two strategies, by a sweep."""
    sets = ("strategies.2.synthetic={balance: 3}", "strategies.2.sweep={synthetic.balance: [1, 2]}")
    (said,) = [warning for warning in plan(sets=sets).warnings if "very few" not in warning]
    assert said.endswith(" add no synthetic images: their classes already have the requested size")
    assert "balance=1" in said and "balance=2" in said


COUNTS = {"mel": 100, "nv": 300, "bkl": 40}


@pytest.mark.parametrize(
    ("synthetic", "expected"),
    [
        ({"balance": True}, {"mel": 200, "nv": 0, "bkl": 260}),
        ({"balance": 120}, {"mel": 20, "nv": 0, "bkl": 80}),
        ({"balance": 1}, {"mel": 0, "nv": 0, "bkl": 0}),
        ({"balance": 1.0}, {"mel": 0, "nv": 0, "bkl": 0}),
        ({"ratio": 0.5}, {"mel": 50, "nv": 150, "bkl": 20}),
        ({"per_class": 7}, {"mel": 7, "nv": 7, "bkl": 7}),
        ({"per_class": {"mel": 1176}}, {"mel": 1176, "nv": 0, "bkl": 0}),
        ({"total": 100}, {"mel": 34, "nv": 33, "bkl": 33}),
    ],
)
def test_quotas(synthetic, expected):
    assert quotas(Synthetic(**synthetic), COUNTS, tuple(COUNTS)) == expected


def test_balance_of_some_classes_fills_them_to_the_largest_of_all():
    assert quotas(Synthetic(balance=True), COUNTS, ("mel",)) == {"mel": 200}


def test_precision_comes_from_the_saved_profile_else_fp32(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    unmeasured = this_machine(None, Wanted("cpu"))
    assert (unmeasured.precision, unmeasured.unmeasured) == ("fp32", True)
    save_profile("another processor", Measured("bf16", {"fp32": 1.0, "bf16": 9.0}))
    assert this_machine(None, Wanted("cpu")).unmeasured, "it was measured on another machine"
    save_profile(device_model("cpu"), Measured("bf16", {"fp32": 100.0, "bf16": 230.0}))
    measured = this_machine(None, Wanted("cpu"))
    assert (measured.precision, measured.unmeasured) == ("bf16", False)
    assert measured.precision_from == "auto, measured: fp32 100, bf16 230 images/s"
    asked = this_machine(None, Wanted("cpu", "fp32"))
    assert (asked.precision, asked.precision_from, asked.unmeasured) == ("fp32", "the matrix", False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"devices": 1}',
        '{"devices": {"x": {"precision": "fp8"}}}',
        '{"precision": {"cpu": "bf16"}}',
        '{"devices": {"x": {"precision": "fp32", "images_per_second": {"fp32": 1' + "0" * 400 + "}}}}",
        '{"devices": {"x": {"precision": "fp32", "images_per_second": {"fp32": NaN}}}}',
        '{"devices": {"x": {"precision": "fp32", "images_per_second": {"\\u001b[31m": 1}}}}',
    ],
)
def test_a_damaged_or_older_profile_counts_as_none(tmp_path, monkeypatch, text):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "derm-bench").mkdir()
    (tmp_path / "derm-bench/profile.json").write_text(text)
    assert saved_profile() == {}
    save_profile("a", Measured("fp32", {"fp32": 1.0}))
    assert list(saved_profile()) == ["a"]


def test_a_profile_that_is_no_regular_file_or_too_large_counts_as_none(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    profile = tmp_path / "derm-bench/profile.json"
    profile.mkdir(parents=True)
    assert saved_profile() == {}
    profile.rmdir()
    with profile.open("wb") as file:
        file.truncate(2**30)
    assert saved_profile() == {}
    profile.unlink()
    profile.symlink_to("/dev/zero")
    assert saved_profile() == {}
    profile.unlink()
    os.mkfifo(profile)
    assert saved_profile() == {}
    save_profile("a", Measured("fp32", {"fp32": 1.0}))
    assert list(saved_profile()) == ["a"]


def test_a_precision_that_the_cpu_does_not_have_was_not_measured_on_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    save_profile(device_model("cpu"), Measured("tf32", {"fp32": 1.0, "tf32": 9.0}))
    machine = this_machine(None, Wanted("cpu"))
    assert (machine.precision, machine.unmeasured) == ("fp32", True)


def precisions(plan) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for stage in plan.stages.values():
        numerics = stage.shared["numerics"]
        if "precision" in numerics:
            found.setdefault(stage.kind, set()).add(numerics["precision"])
    return found


def test_auto_uses_bf16_for_generators_that_were_compared_in_it_only(plan, plugins, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    save_profile(device_model("cpu"), Measured("bf16", {"fp32": 100.0, "bf16": 230.0}))
    auto = this_machine(None, Wanted("cpu"))
    found = precisions(plan(auto))
    assert found["fit"] == {"fp32"}, "its author does not say so"
    assert found["train"] == {"bf16"}
    compared = replace(plugins.get("generator", "toy-mean"), bf16=True)
    get = plugins.get
    monkeypatch.setattr(
        plugins, "get", lambda kind, name: compared if name == compared.name else get(kind, name)
    )
    assert precisions(plan(auto))["fit"] == {"bf16"}
    monkeypatch.undo()
    asked = this_machine(None, Wanted("cpu", "bf16"))
    assert precisions(plan(asked))["fit"] == {"bf16"}, "a precision that is written is that of all stages"
