"""Pictures of a run: which there are, what is in them, and that they show what they say."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from derm_bench.fidelity.reference import Network, Reference
from derm_bench.report import pictures
from derm_bench.report.data import ReportData
from derm_bench.report.pictures import carried
from derm_bench.report.plots import Look
from derm_bench.report.samples import Row, row_sheet
from derm_bench.report.training_figures import discriminator_outputs, ends, fidelity, fidelity_steps
from derm_bench.rundir.directory import RunFiles
from derm_bench.rundir.frames import make_frame
from derm_bench.rundir.samples import Sheet
from derm_bench.rundir.schema import TABLES
from derm_bench.specs import RawImage, SampleRequest, Task
from derm_bench.stages import decode
from derm_bench.stages.interpolate import rows_between
from derm_bench.stages.neighbours import nearest, usual_distance
from derm_bench.stages.preprocessing import after_each_step, columns
from derm_bench.store import Store
from derm_bench.training.latent import between, spherical, straight
from derm_bench_plugins.generators.dcgan import Dcgan
from derm_bench_plugins.generators.lapgan import Lapgan
from derm_bench_plugins.generators.specs.dcgan import DcganOptions
from derm_bench_plugins.generators.specs.lapgan import LapganOptions
from derm_bench_plugins.generators.specs.tedgan import TedganOptions
from derm_bench_plugins.generators.tedgan import TedGan

torch.set_num_threads(1)


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def coloured(n, colour, side=16):
    return [np.broadcast_to(np.array(colour, np.uint8)[:, None, None], (3, side, side))] * n


# --------------------------------------------------------------------------------------- sheets


def test_a_sheet_has_a_tile_an_image_with_heads_captions_and_a_note_that_wraps(tmp_path):
    red, green = (255, 0, 0), (0, 255, 0)
    rows = [
        Row(coloured(3, red), "sample"),
        Row(coloured(3, green, 8), "nearest", ["0.00", "1.25", "3.00 nv"]),
    ]
    row_sheet(rows, "class mel", "a subtitle", tmp_path / "plain.png", scale=2)
    words = "nobody passes these images on " * 4
    row_sheet(
        rows, "class mel", "a subtitle", tmp_path / "noted.png", scale=2, heads=["a", "b", "c"], note=words
    )
    plain, noted = pixels_of(tmp_path / "plain.png"), pixels_of(tmp_path / "noted.png")
    for pixels in (plain, noted):
        assert (pixels == red).all(2).sum() == (pixels == green).all(2).sum() == 3 * 32 * 32
    below = 1 + np.flatnonzero((noted == green).all(2).any(1)).max()
    dark = (noted[below:].max(axis=2) < 160).any(1)
    assert (np.diff(dark.astype(int)) == 1).sum() >= 4, "a line of captions and several of the note"
    assert len(noted) > len(plain)


def sheet(file, **more):
    return Sheet(
        file, **{"shows": "last", "dataset": "ham", "strategy": "a", "generator": "dcgan", "class_name": "mel",
                 "seed": 0, "step": None, "real": False, "licence": ""} | more
    )  # fmt: skip


def run_with(folder, sheets):
    (folder / "samples").mkdir()
    for one in sheets:
        Image.new("RGB", (4, 4)).save(folder / "samples" / one.file)
    return ReportData(
        RunFiles(folder, {}, {name: make_frame([], t) for name, t in TABLES.items()}, None, sheets)
    )


def test_a_page_that_is_full_keeps_grids_before_what_tells_less(tmp_path, monkeypatch):
    preprocessed = {"shows": "preprocessing", "strategy": None, "generator": None, "seed": None, "real": True}
    data = run_with(
        tmp_path,
        [
            sheet("1.png", shows="interpolation"),
            sheet("2.png", strategy="b", shows="neighbours", real=True),
            sheet("3.png", strategy="b"),
            sheet("4.png"),
            sheet("5.png", **preprocessed),
        ],
    )
    found = pictures.pictures(data)
    assert [(p.heading, p.label, p.real, p.preprocessing) for p in found] == [
        ("a", "mel, seed 0, end of training", False, False),
        ("a", "mel, seed 0, between samples", False, False),
        ("b", "mel, seed 0, end of training", False, False),
        ("b", "mel, seed 0, nearest real images", True, False),
        ("ham", "mel", True, True),
    ]
    sizes = [len(uri) for uri in carried(found).values()]
    assert len(sizes) == 5 and len(set(sizes)) == 1
    monkeypatch.setattr(pictures, "PAGE_BYTES", 3 * sizes[0])
    assert [p.path.name for p in carried(found[:4])] == ["4.png", "3.png", "2.png"]


def test_sheets_are_in_the_order_of_the_matrix_and_not_of_the_alphabet(whole_run):
    files = ReportData.load(whole_run).files
    names = ("dcgan-balance", "real-only", "not in the matrix")
    sheets = [
        Sheet("a.png", "last", "phantom", strategy, "g", label, seed, None, False, "")
        for strategy in names
        for label in ("nv", "bkl", "all", "mel")
        for seed in (1, 0)
    ]
    found = pictures.pictures(ReportData(replace(files, sheets=sheets)))
    assert list(dict.fromkeys(p.heading for p in found)) == [
        "real-only",
        "dcgan-balance",
        "not in the matrix",
    ]
    assert [p.label for p in found[:8]] == [
        f"{label}, seed {seed}, {pictures.SHOWS['last']}"
        for label in ("mel", "nv", "bkl", "all")
        for seed in (0, 1)
    ]


def test_labels_are_shown_as_the_index_has_them_whatever_they_look_like(tmp_path):
    data = run_with(
        tmp_path,
        [
            sheet("1.png", class_name="g0", strategy="a__b"),
            sheet("2.png", class_name="last", seed=3, step=700),
            sheet("3.png", dataset="other", class_name="neighbours"),
        ],
    )
    assert [(p.heading, p.label) for p in pictures.pictures(data)] == [
        ("ham, a", "last, seed 3, 700 updates"),
        ("ham, a__b", "g0, seed 0, end of training"),
        ("other, a", "neighbours, seed 0, end of training"),
    ]


# ----------------------------------------------------------------------------- whole run of toys


@pytest.fixture
def run(in_process, write_matrix, tmp_path):
    matrix = write_matrix(
        dataset={
            "name": "toy-blobs",
            "size": 16,
            "images": 60,
            "preprocess": [{"gamma": 1.5}, "bilateral"],
        },
        strategies=[
            {"name": "copies", "generator": {"name": "duplicate"}, "synthetic": {"balance": True}},
            {"name": "gan", "generator": {"name": "dcgan", "preset": "tiny", "scope": "pooled"}},
            {"name": "mean", "generator": {"name": "toy-mean", "budget": {"updates": 2}, "classes": ["red"]}},
        ],
        seeds=[0],
    )
    ran = in_process("run", matrix, "--out", "out", "--json", figures=True)
    assert ran.code == 0, ran.err
    return tmp_path / "out"


def test_a_run_has_its_pictures_and_rebuilds_them(run, in_process, tmp_path):
    names = sorted(path.name for path in (run / "samples").iterdir())
    classes = ("blue", "green", "red")
    assert names == sorted(
        [f"copies__{c}__{what}__g0.png" for c in classes for what in ("last", "neighbours")]
        + [f"gan__all__{what}__g0.png" for what in ("interpolation", "last", "neighbours")]
        + [f"mean__red__{what}__g0.png" for what in ("last", "neighbours")]
        + [f"preprocess__toy-blobs__{c}.png" for c in classes]
        + ["index.json"]
    )
    index = {entry["file"]: entry for entry in json.loads((run / "samples/index.json").read_text())}
    assert sorted([*index, "index.json"]) == names
    assert index["mean__red__neighbours__g0.png"] == {
        "file": "mean__red__neighbours__g0.png", "shows": "neighbours", "dataset": "toy-blobs", "strategy": "mean",
        "generator": "toy-mean", "seed": 0, "class": "red", "step": None, "real": True, "licence": "CC0",
    }  # fmt: skip
    page = (run / "report.html").read_text()
    assert "nearest real images" in page and 'id="preprocessing"' in page and "between samples" in page

    store = Store(tmp_path / "store")
    plan = json.loads((run / "manifest.json").read_text())["plan"]["stages"]
    (drawn,) = [fit["pictures"] for fit in plan["fits"] if fit["at"]["strategy"] == "copies"]
    stages = [store.folder(key) for key in drawn]
    (measured,) = [
        json.loads((f / "neighbours.json").read_text()) for f in stages if (f / "neighbours.json").exists()
    ]
    for label in classes:
        (sample,) = {
            folder
            for key in drawn
            for name, folder in inputs(store, key).items()
            if name == f"sample/{label}"
        }
        sources = json.loads((sample / "samples.json").read_text())["source_ids"]
        found = measured["classes"][label]
        assert [one["ids"][0] for one in found] == sources[:8]
        assert all(one["distances"][0] == 0 < one["distances"][1] for one in found)

    before = {path.name: path.read_bytes() for path in (run / "samples").iterdir()}
    shutil.rmtree(run / "samples")
    assert in_process("report", run).code == 0
    assert {path.name: path.read_bytes() for path in (run / "samples").iterdir()} == before


def inputs(store, key):
    identity = json.loads((store.folder(key) / "stage.json").read_text())["identity"]
    return {name: store.folder(other) for name, other in identity["inputs"].items()}


# ---------------------------------------------------------------------------- nearest neighbours


def test_the_nearest_of_a_copied_image_is_that_image_in_features_too():
    images = torch.randint(0, 256, (9, 3, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
    reference = Reference(torch.nn.ModuleList([Network(2)]))
    where, lengths = nearest(torch.from_numpy(reference.features(images[[4, 7]])),
                             torch.from_numpy(reference.features(images)), 3)  # fmt: skip
    assert where[:, 0].tolist() == [4, 7] and where.shape == lengths.shape == (2, 3)
    assert (lengths[:, 0] < 1e-3 * lengths[:, 1]).all()


def test_neighbours_are_in_order_and_as_many_as_there_are():
    known = torch.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0], [0.0, 1.0]])
    where, lengths = nearest(torch.tensor([[0.0, 0.0]]), known, 9)
    assert where.tolist() == [[0, 3, 1, 2]] and lengths.tolist() == [[0.0, 1.0, 5.0, 10.0]]
    assert usual_distance(known) == pytest.approx(1.0)  # of 1, sqrt(18), 5 and 1, the lower middle one
    assert usual_distance(known[:1]) == 0


# -------------------------------------------------------------------------------- interpolation


def test_the_way_between_noises_keeps_what_is_likely_of_them():
    a, b = torch.randn(2, 3, 500, generator=torch.Generator().manual_seed(0))
    middle = spherical(a, b, 0.5)
    assert middle.norm(dim=1) == pytest.approx(np.full(3, 500**0.5), rel=0.1)
    assert straight(a, b, 0.5).norm(dim=1).max() < 0.8 * 500**0.5
    assert torch.equal(spherical(a, b, 0), a) and torch.equal(spherical(a, b, 1), b)
    assert torch.allclose(spherical(a, a, 0.3), a) and torch.equal(between(a, b, 0.5), middle)
    u, v = torch.rand(2, 3, 500) * 2 - 1
    assert torch.equal(between(u, v, 0.25), 0.75 * u + 0.25 * v)


GANS = {
    "uniform": lambda: Dcgan(DcganOptions(base=4, z_dim=8), Task(("mel",), 16)),
    "normal": lambda: Dcgan(DcganOptions(base=4, z_dim=8, prior="normal"), Task(("mel",), 16)),
    "pyramid": lambda: Lapgan(LapganOptions(base=4, hidden=16, z_dim=8), Task(("mel", "nv"), 16)),
    "student": lambda: TedGan(TedganOptions(base=4, z_dim=8, latent_share=0), Task(("mel", "nv"), 16)),
}


@pytest.mark.parametrize("name", GANS)
def test_a_row_begins_and_ends_at_samples(name):
    torch.manual_seed(0)
    gan = GANS[name]()
    rows = rows_between(gan, 0, 5, "cpu", rows=3, steps=5).int()
    samples = gan.sample(SampleRequest(0, 6, 5)).images.int()
    assert rows.shape == (3, 5, 3, 16, 16)
    for column, own in ((0, samples[:3]), (-1, samples[3:])):
        assert (rows[:, column] - own).abs().max() <= 1
    steps = (rows[:, 1:] - rows[:, :-1]).abs().flatten(2).float().mean(2)
    assert (steps > 0).all(), "every step of the way changes the image"


# -------------------------------------------------------------------------------- preprocessing


class Negative:
    before_resize = True

    def __call__(self, pixels):
        return 255 - pixels


def darker(pixels):
    return pixels // 2


def test_states_of_an_image_are_in_order_and_the_last_is_what_is_kept():
    raw = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    steps = decode.Steps.of([Negative(), darker])
    states = list(after_each_step(raw, steps, 16, "center-crop"))
    heads = columns(["negative", "darker"], len(steps.before), 16)
    assert heads == ["as read", "negative", "at 16 px", "darker"] and len(states) == 4
    assert [state.shape[0] for state in states] == [160, 160, 16, 16]
    assert np.abs(states[0].astype(int) + states[1] - 255).max() <= 2
    item = next(decode._fitted([RawImage(raw)], 16, "center-crop", steps))
    assert np.array_equal(states[-1], item.pixels)


# --------------------------------------------------------------------------------------- curves


def test_scores_over_training_end_at_the_last_update_and_beside_real_images():
    def row(step, value, strategy="gan", generator="dcgan"):
        return {"metric": "fd_domain", "strategy": strategy, "generator": generator, "class": "mel",
                "generator_seed": 0, "step": step, "value": value}  # fmt: skip

    history = [{"role": "generator", "name": "gan", "class": "mel+nv", "step": step} for step in (1, 120)]
    rows = [row(40, 9.0), row(80, 5.0), row("last", 4.0), row("last", 1.0, "control", "real-holdout")]
    rows.append(row("last", 7.0, "once", "folder"))  # scored at one step alone: no line
    look = {name: Look("#000000", "o", "-") for name in ("gan", "once")}
    figure = fidelity_steps(rows, "fd_domain", ["gan", "once"], look, ends(history))
    curve, control = figure.axes[0].lines
    assert list(curve.get_xdata()) == [40, 80, 120] and list(curve.get_ydata()) == [9, 5, 4]
    assert list(control.get_ydata()) == [1, 1]
    assert fidelity_steps(rows[2:], "fd_domain", ["gan", "once"], look, ends(history)) is None


def test_the_outputs_of_a_discriminator_have_a_line_for_reals_and_one_for_fakes():
    rows = [{"metric": m, "class": "mel", "seed": 0, "step": step, "value": v}
            for m, v in (("real", 0.8), ("fake", 0.1), ("loss_g", 2.0)) for step in (1, 2)]  # fmt: skip
    figure = discriminator_outputs(rows, ["real", "fake"])
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[0.8, 0.8], [0.1, 0.1]]
    assert discriminator_outputs([row for row in rows if row["metric"] == "loss_g"], ["real", "fake"]) is None


@pytest.mark.parametrize("metrics", [("d_real", "d_fake"), ("real", "fake")])
def test_curves_have_no_meaning_by_their_names_alone(metrics):
    rows = [{"metric": m, "class": "mel", "seed": 0, "step": 1, "value": 0.5} for m in metrics]
    assert discriminator_outputs(rows, ()) is None and discriminator_outputs(rows, ("p", "q")) is None


def test_values_of_many_magnitudes_are_told_apart_although_one_is_below_zero():
    base = {"metric": "kid_domain", "class": "mel", "split_seed": 0, "generator_seed": 0, "dataset": "ham",
            "train_fraction": 1.0, "step": "last"}  # fmt: skip
    rows = [base | {"strategy": "control", "generator": "real-holdout", "value": -0.2}]
    rows += [
        base | {"strategy": name, "generator": name, "value": v} for name, v in (("near", 3.0), ("far", 1e9))
    ]
    look = {name: Look("#000000", "o", "-") for name in ("near", "far")}
    axes = fidelity(rows, "kid_domain", ["near", "far"], look).axes[0]
    places = axes.transData.transform([(-0.2, 0), (3.0, 0), (1e9, 0)])[:, 0]
    assert np.diff(places).min() > 0.05 * axes.bbox.width
    ticks = axes.get_xticks()
    assert ticks[0] == 0 and 3 <= len(ticks) <= 6
