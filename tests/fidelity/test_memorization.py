"""The memorization screen: copies are flagged, new images are not, and the numbers of images make no difference."""

import numpy as np
import pytest
import torch

from derm_bench.fidelity import reference
from derm_bench.fidelity.copies import pixel_distances
from derm_bench.fidelity.memorization import apart, authenticity, nn_closer, nn_ratio, screen
from derm_bench.fidelity.screened import too_few
from derm_bench.matrix.load import load_matrix
from derm_bench.plugins import Plugins
from derm_bench.rundir.files import read_json
from derm_bench.rundir.samples import read_index
from tests.conftest import read_csv, toy_matrix


def drawn(seed, train=140, held_out=20, samples=100, d=8):
    """Features of three samples of one distribution, and the groups of the real ones, two images each."""
    rng = np.random.default_rng(seed)
    sides = [rng.normal(size=(n, d)) for n in (samples, train, held_out)]
    return *sides, [f"t{i // 2}" for i in range(train)], [f"h{i // 2}" for i in range(held_out)]


def test_new_samples_are_flagged_no_more_often_than_stated():
    flags = []
    for seed in range(60):
        samples, train, held_out, *groups = drawn(seed, samples=40)
        flags.append(screen(apart(samples, train), apart(samples, held_out), *groups).p_value < 0.05)
    assert np.mean(flags) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 60)


def test_copies_are_found_whatever_the_sizes_and_a_split_of_members_stays_clean():
    for held_out in (20, 100):
        _, train, other, train_groups, groups = drawn(0, held_out=held_out)
        copies = train[np.random.default_rng(1).integers(0, len(train), 60)]
        found = screen(apart(copies, train), apart(copies, other), train_groups, groups)
        assert found.closer == 1 and found.p_value < 0.02
        halves = apart(copies, train[:70]), apart(copies, train[70:])
        assert screen(*halves, train_groups[:70], train_groups[70:]).p_value > 0.05


def test_the_share_of_new_samples_is_a_half_for_any_numbers_of_images():
    for sizes in ({"train": 300, "held_out": 30}, {"train": 60, "held_out": 60}):
        values = [
            nn_closer(apart(s, t), apart(s, h), 0).value
            for s, t, h, *_ in (drawn(seed, samples=50, **sizes) for seed in range(30))
        ]
        assert np.mean(values) == pytest.approx(0.5, abs=0.06)


def test_the_ratio_is_about_one_for_new_samples_and_zero_for_copies():
    samples, train, held_out, _, groups = drawn(3, train=200, held_out=40)
    among = apart(held_out, train), apart(held_out, held_out)
    new = nn_ratio(apart(samples, train), apart(samples, held_out), *among, groups)
    assert new.low <= new.value <= new.high and new.value == pytest.approx(1, abs=0.2)
    copies = nn_ratio(apart(train[:50], train), apart(train[:50], held_out), *among, groups)
    assert copies == (0, 0, 0)


def test_authenticity_equals_a_count_by_hand_and_equal_values_are_not_certainty():
    samples, train, *_ = drawn(4, train=30, samples=25)
    by_hand = []
    for sample in samples:
        lengths = np.linalg.norm(train - sample, axis=1)
        near = int(lengths.argmin())
        others = np.delete(np.linalg.norm(train - train[near], axis=1), near)
        by_hand.append(lengths[near] > others.min())
    assert authenticity(apart(samples, train), train).value == pytest.approx(np.mean(by_hand))
    copies = authenticity(apart(train, train), train)
    assert (copies.value, copies.low) == (0, 0) and 0 < copies.high < 0.2


def test_samples_of_one_mode_are_not_copies_though_all_have_one_training_image_as_their_nearest():
    _, train, held_out, *groups = drawn(5)
    mode = np.repeat(train.mean(0, keepdims=True), 80, axis=0)
    assert screen(apart(mode, train), apart(mode, held_out), *groups).p_value > 0.05


def test_a_group_on_both_sides_is_refused_and_few_images_have_a_reason():
    table = torch.zeros(3, 2)
    with pytest.raises(ValueError, match="training images and control images"):
        screen(table, table, ["a", "b"], ["b", "c"])
    many = [f"{i}" for i in range(10)]
    assert too_few(many, many, 10) == ""
    assert too_few(many, many[:9], 10) == "9 held-out images are too few, 10 are needed"
    assert too_few(many, ["a"] * 30, 10) == "held-out images of 1 groups are too few, 10 groups are needed"
    assert too_few(many, many, 3) == "3 samples are too few, 10 are needed"


@pytest.mark.parametrize(
    "altered",
    [
        lambda x: x,
        lambda x: x.flip(-1),
        lambda x: x.flip(-2).roll((1, -1), (2, 3)),
        lambda x: (x.int() + torch.randint(-6, 7, x.shape)).clamp(0, 255).byte(),
    ],
    ids=["equal", "mirrored", "moved", "noisy"],
)
def test_an_altered_copy_is_nearest_to_its_own_image(altered):
    from tests.fidelity.conftest import blobs

    images = blobs(40, seed=3, size=32)
    table = pixel_distances(altered(images), images)
    assert table.argmin(1).tolist() == list(range(40))
    assert float(table.diagonal().max()) < float(table.fill_diagonal_(torch.inf).median()) / 3


# ------------------------------------------------------------------------------ whole runs

PLUGIN = """
from derm_bench.api import GeneratorOptions, GeneratorSpec, ModulePlugin, Samples, hookimpl

DERM_BENCH_API = 1


class Options(GeneratorOptions):
    new: bool = False


@hookimpl
def derm_bench_generators():
    return [
        GeneratorSpec(
            name="copier", summary="altered training images, or phantoms drawn anew", create=f"{__name__}:Copier",
            options=Options, conditional=True, conditions_on="images", trains=False,
        )
    ]


class Copier:
    def __init__(self, options, task):
        self.options, self.task = options, task

    def fit(self, train, run):
        pass

    def sample(self, request, train=None):
        images = self.anew(request) if self.options.new else self.altered(request, train)
        return Samples(images)

    def altered(self, request, train):
        import io

        import numpy as np
        import torch
        from PIL import Image

        own = train.images[train.labels == request.label]
        rows = torch.arange(request.n) % len(own)  # each equally often, so that halves of train have equal shares
        out = []
        for image in own[rows].flip(-1).roll((1, -1), (2, 3)):
            buffer = io.BytesIO()
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "JPEG", quality=80)
            out.append(torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1))
        return torch.stack(out)

    def anew(self, request):
        import torch
        from derm_bench_plugins.datasets.phantom.dataset import PhantomDermoscopy
        from derm_bench_plugins.datasets.specs.phantom import PhantomOptions

        options = PhantomOptions(images=80, classes=self.task.classes, seed=77, side=32)
        phantom = PhantomDermoscopy(options, self.task)
        told = phantom.describe(options)
        name = self.task.classes[request.label]
        ids = [i for i, label in zip(told.ids, told.labels, strict=True) if label == name][: request.n]
        images = torch.stack([torch.from_numpy(raw.pixels).permute(2, 0, 1) for raw in phantom.read(ids)])
        return images[torch.arange(request.n) % len(images)]

    def parts(self):
        return {}

    def state(self):
        return {}

    def load_state(self, state):
        pass
"""


@pytest.mark.slow
def test_a_run_flags_the_generator_that_copies_and_not_the_one_that_draws_anew(
    in_process, write_matrix, tmp_path, monkeypatch
):
    monkeypatch.setattr(reference, "UPDATES", 4)
    (tmp_path / "copier_plugin.py").write_text(PLUGIN)
    matrix = toy_matrix(
        dataset={
            "name": "phantom-dermoscopy", "images": 120, "side": 32, "size": 32, "classes": ["nv", "bkl"],
            "views": 1, "imbalance": 1,
            "split": {"test": 0.1, "val": 0.25},
        },
        seeds=[0],
        strategies=[
            {"name": "altered", "generator": "copier"},
            {"name": "anew", "generator": {"name": "copier", "new": True}},
            {"name": "duplicate", "generator": "duplicate"},
        ],
        classifiers=[], metrics=["nn_ratio", "authenticity"],
    )  # fmt: skip
    ran = in_process(
        "run", write_matrix(matrix), "--plugin", tmp_path / "copier_plugin.py", "--out", tmp_path / "out"
    )
    assert ran.code == 0, ran.err
    manifest = read_json(tmp_path / "out/manifest.json")
    rows = {(row["strategy"], row["generator"], row["class"]): row for row in manifest["memorization"]}
    assert rows["duplicate", "duplicate", "nv"]["flagged"]
    # What is no copy has some p value between 0 and 1: one below 0.001 is no chance of the seeds.
    tests = {key: row["tests"]["pixels"]["p_holm"] for key, row in rows.items() if row["tests"]}
    assert all(
        tests["altered", "copier", name] < 0.001 < tests["anew", "copier", name] for name in ("nv", "bkl")
    )
    members = [row["members"]["pixels"]["p_holm"] for row in rows.values() if row["members"]]
    assert len(members) > 6 and min(members) > 0.001, "both sides drawn from train"
    said = [text for text in manifest["warnings"] if "nearer to training images than chance" in text]
    assert "samples of altered" in said[0]
    assert not any("duplicate" in text for text in said), "a control that copies by design is not news"
    values = {
        (row["strategy"], row["generator"], row["metric"]): row["value"]
        for row in read_csv(tmp_path / "out/fidelity.csv")
        if row["class"] == "nv"
    }
    assert float(values["duplicate", "duplicate", "authenticity"]) == 0
    assert (
        float(values["altered", "copier", "nn_ratio_pixels"])
        < 0.5
        < float(values["anew", "copier", "nn_ratio_pixels"])
    )
    assert ("control", "real-holdout", "nn_ratio") in values and ("control", "noise", "nn_ratio") in values
    sheets = [sheet for sheet in read_index(tmp_path / "out/samples") if sheet.shows == "copies"]
    assert {(s.strategy, s.class_name, s.real) for s in sheets} == {
        (strategy, name, True) for strategy in ("altered", "anew", "duplicate") for name in ("nv", "bkl")
    }
    assert "Screen for copies of training images" in (tmp_path / "out/report.md").read_text()


def test_too_few_held_out_images_are_a_reason_and_no_error(in_process, write_matrix, tmp_path):
    matrix = toy_matrix(
        strategies=[{"name": "mean", "generator": {"name": "toy-mean", "budget": {"updates": 4}}}],
        classifiers=[], seeds=[0], metrics=["nn_ratio"],
    )  # fmt: skip
    planned = in_process("plan", write_matrix(matrix))
    assert planned.code == 0, planned.err
    assert "are too few, 10 are needed, so that samples of mean are not screened for copies" in planned.out


def test_a_matrix_with_a_generator_that_learns_images_by_heart_is_screened_by_default(write_matrix):
    def screened(generator, **more):
        strategies = [{"name": "gan", "generator": {"name": generator, "preset": "tiny"}}]
        content = {"dataset": "phantom-dermoscopy", "strategies": strategies, "classifiers": [], **more}
        names = [use.name for use in load_matrix(write_matrix(content), Plugins()).metrics]
        return {"nn_ratio", "authenticity"} <= set(names)

    for name in ("stylegan2", "stylegan2-unlabelled", "sl-stylegan", "sla-stylegan", "r3gan"):
        assert screened(name), name
    hierarchy = Plugins().get("generator", "stylegan2-hierarchy")
    assert hierarchy.screen and Plugins().get("generator", "graded").screen
    assert screened("stylegan2-ada")
    assert not screened("dcgan") and not screened("stylegan2-ada", metrics=["sharpness"])
