"""Preprocessing: what each transform does to a photograph, that masks stay aligned, and what is in a stage's key."""

import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.conftest import read_csv, toy_matrix

from derm_bench.errors import UserError, UserErrors
from derm_bench.image_list import ListedImage, write_list
from derm_bench.imageio import decode_image
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.option_paths import split_paths
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins
from derm_bench.specs import RawImage, Task, create
from derm_bench.stages.context import Device, StageContext
from derm_bench.stages.decode import Steps, _fitted, decode, sharpness
from derm_bench.stages.preprocessing import preprocessing
from derm_bench.training.resize import fit_square
from derm_bench.worker.lookup import Lookup
from derm_bench_plugins.datasets import files
from derm_bench_plugins.datasets.specs.image_folder import ImageFolderOptions
from derm_bench_plugins.transforms import specs
from derm_bench_plugins.transforms.hair_removal import HairRemoval
from derm_bench_plugins.transforms.super_resolution import Espcn, SrResNet

SPECS = {spec.name: spec for spec in specs() if spec.phase == "preprocess"}


def make(name, **options):
    return create(SPECS[name], SPECS[name].options(**options), Task((), 64))


def skin(height=150, width=200, seed=0):
    """Smooth skin with a darker lesion and a little noise."""
    y, x = np.mgrid[:height, :width]
    spot = np.exp(-((((x - width / 2) / 35) ** 2 + ((y - height / 2) / 28) ** 2) ** 2))[..., None]
    tone = np.array([205, 160, 140]) - spot * np.array([90, 90, 80]) + 8 * np.sin(x / 40)[..., None]
    noise = np.random.default_rng(seed).normal(0, 2, (height, width, 3))
    return (tone + noise).round().clip(0, 255).astype(np.uint8)


def test_gamma_is_a_power_of_the_pixels():
    ramp = np.arange(256, dtype=np.uint8).reshape(1, -1, 1).repeat(3, 2)
    out = make("gamma", gamma=1.5)(ramp)
    assert [int(out[0, level, 0]) for level in (0, 1, 64, 128, 255)] == [0, 6, 101, 161, 255]
    assert (make("gamma", gamma=0.5)(ramp)[0, :, 1] == np.rint(np.arange(256) ** 2 / 255)).all()


def test_bilateral_smooths_noise_and_keeps_the_edge():
    clean = np.full((40, 40, 3), 60, np.uint8)
    clean[:, 20:] = 220
    noisy = (clean + np.random.default_rng(0).normal(0, 8, clean.shape)).clip(0, 255).round().astype(np.uint8)
    out = make("bilateral")(noisy).astype(float)
    assert out[:, :18].std() < 0.4 * noisy[:, :18].astype(float).std()
    assert out[:, 20].mean() - out[:, 19].mean() > 140
    blurred = cv2.GaussianBlur(noisy, (9, 9), 0).astype(float)
    assert blurred[:, 20].mean() - blurred[:, 19].mean() < 60, "which a Gaussian of that size does not"


def test_hairs_go_and_all_else_stays():
    bare = skin()
    hairy = bare.copy()
    for a, b in (((10, 20), (180, 60)), ((30, 140), (120, 5)), ((90, 100), (199, 140))):
        cv2.line(hairy, a, b, (60, 40, 35), 2, cv2.LINE_AA)
    painted = (hairy.astype(int) - bare).min(axis=2) < -10
    out = make("hair-removal")(hairy)
    before = np.abs(hairy.astype(int) - bare)[painted].mean()
    after = np.abs(out.astype(int) - bare)[painted].mean()
    assert after < 0.15 * before
    changed = (out != hairy).any(axis=2)
    assert not (changed & ~cv2.dilate(painted.astype(np.uint8), np.ones((5, 5))).astype(bool)).any()


def test_without_hair_nothing_changes():
    bare = skin()
    cv2.circle(bare, (60, 60), 2, (60, 40, 35), -1)  # a dark dot is thin but not long
    cv2.line(bare, (100, 30), (108, 30), (60, 40, 35), 2)  # and so is a short stroke
    vessel = cv2.line(np.zeros_like(bare), (20, 100), (190, 120), (0, 70, 60), 2)
    bare = cv2.subtract(bare, vessel)  # which is no darker in red
    assert np.array_equal(make("hair-removal")(bare), bare)


def test_hair_is_found_at_every_resolution():
    for scale in (1, 3):
        image = cv2.resize(skin(), None, fx=scale, fy=scale)
        cv2.line(image, (10 * scale, 20 * scale), (180 * scale, 60 * scale), (60, 40, 35), 2 * scale)
        out = make("hair-removal")(image)
        assert out[40 * scale : 42 * scale, 95 * scale].min() > 90, "painted over where the hair was"


def test_shades_of_gray_takes_a_tint_out():
    scene = np.random.default_rng(0).integers(20, 200, (50, 50, 1)).repeat(3, 2)
    tint = np.array([1.2, 1.0, 0.7])
    tinted = np.rint(scene * tint).astype(np.uint8)
    out = make("shades-of-gray")(tinted).astype(float)
    spread = np.ptp(out.reshape(-1, 3).mean(axis=0))
    assert spread < 1 < np.ptp(tinted.reshape(-1, 3).mean(axis=0)) / 20
    even = scene.astype(np.uint8)
    assert np.array_equal(make("shades-of-gray")(even), even), "grey light changes nothing"
    assert not make("shades-of-gray")(np.zeros((4, 4, 3), np.uint8)).any()


@pytest.mark.parametrize("p", [1.0, 6.0])
def test_shades_of_gray_is_the_paper_s_equation(p):
    image = skin(30, 30)
    light = (image.astype(float) ** p).mean(axis=(0, 1)) ** (1 / p)
    light /= np.sqrt((light**2).sum())
    right = np.rint((image / (light * np.sqrt(3))).clip(0, 255))
    assert np.abs(make("shades-of-gray", p=p)(image) - right).max() <= 1


def test_restore_upscales_and_sharpens():
    image = skin(60, 80)
    plain = np.asarray(Image.fromarray(image).resize((160, 120), Image.Resampling.LANCZOS))
    assert np.array_equal(make("restore", sharpen=0)(image), plain)
    sharp = make("restore")(image)
    assert sharp.shape == (120, 160, 3)

    def detail(pixels):
        return cv2.Laplacian(pixels.astype(np.float32), cv2.CV_32F).var()

    assert detail(sharp) > 1.5 * detail(plain)
    assert abs(sharp.mean() - plain.mean()) < 1
    assert make("restore", below=60)(image) is image, "large enough"
    assert make("restore", below=61)(image).shape == (120, 160, 3)


def test_restore_takes_a_trained_network(tmp_path):
    """ESPCN with weights that shift luma: each of the r^2 planes is the tanh of the tanh of the middle pixel."""
    net = Espcn(2)
    for p in net.parameters():
        torch.nn.init.zeros_(p)
    with torch.no_grad():
        net.conv1.weight[0, 0, 2, 2] = net.conv2.weight[0, 0, 1, 1] = 1
        net.conv3.weight[:, 0, 1, 1] = torch.tensor([1.0, 0.5, 0.25, 0.0])
    save_file(net.state_dict(), tmp_path / "espcn.safetensors")
    grey = np.full((10, 12, 3), 128, np.uint8)
    out = make("restore", weights=tmp_path / "espcn.safetensors")(grey)
    level = np.tanh(np.tanh(128 / 255)) * 255
    assert out.shape == (20, 24, 3)
    expected = np.rint(level * np.array([[1, 0.5], [0.25, 0]]))
    np.testing.assert_allclose(out[:2, :2, 0], expected, atol=1)


def test_srresnet_has_the_published_layers_and_makes_photographs_larger(tmp_path):
    net = SrResNet(4)
    # Ledig et al., figure 4: k9n64, 16 blocks of two k3n64, one more, two k3n256, k9n3.
    kernels = sum(p.numel() for p in net.parameters() if p.ndim == 4)
    assert kernels == 3 * 64 * 81 + 33 * 64 * 64 * 9 + 2 * 64 * 256 * 9 + 64 * 3 * 81
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    out = make("restore", factor=4, network="srresnet", weights=tmp_path / "net.safetensors")(skin(6, 8))
    assert out.shape == (24, 32, 3) and out.dtype == np.uint8
    with pytest.raises(UserError, match="do not fit"):
        make("restore", factor=2, network="srresnet", weights=tmp_path / "net.safetensors")


# ----------------------------------------------------------------------------- in the decode stage


@pytest.mark.parametrize("how", ["center-crop", "squash", "pad"])
def test_the_mask_stays_on_the_lesion_whatever_is_enlarged(how):
    pixels, mask = np.full((60, 80, 3), 200, np.uint8), np.zeros((60, 80), np.uint8)
    pixels[20:40, 25:55], mask[20:40, 25:55] = 50, 255
    steps = Steps.of([make("gamma"), make("restore", factor=3, sharpen=0), make("shades-of-gray")])
    assert [len(steps.before), len(steps.after)] == [2, 1], (
        "the order stays: gamma, too, comes before resizing"
    )
    planes, kept, *_ = next(_fitted([RawImage(pixels, mask)], 32, how, steps))
    assert planes.shape == (32, 32, 3) and kept.shape == (32, 32, 1)
    dark = (planes[..., 0] > 30) & (planes[..., 0] < 150)
    assert (dark != (kept[..., 0] > 0)).mean() < 0.04


def pigment_network(side=320, period=10):
    """Skin with a net of thin brown lines, as in a dermoscopic photograph."""
    y, x = np.mgrid[:side, :side]
    lines = ((x % period < 3) | (y % period < 3))[..., None]
    return (np.array([205, 160, 140]) - lines * np.array([70, 70, 60])).astype(np.uint8)


def test_the_bilateral_filter_runs_before_the_resize_as_in_paper_004_or_after_it_if_asked():
    photograph = pigment_network()
    first, last = make("bilateral"), make("bilateral", before_resize=False)
    decoded = {
        name: next(_fitted([RawImage(photograph, None)], 64, "center-crop", Steps.of(steps))).pixels
        for name, steps in {"before": [first], "after": [last], "never": []}.items()
    }
    assert np.array_equal(decoded["before"], fit_square(first(photograph), None, 64, "center-crop")[0])
    assert np.array_equal(decoded["after"], last(decoded["never"]))
    detail = {name: sharpness(pixels[None]).item() for name, pixels in decoded.items()}
    assert detail["after"] < 0.5 * detail["before"], "the filter flattens the network of a small image"


def orders(plan, *preprocess):
    """`before_resize` of each transform under `preprocess`, as the decode stage gets it."""
    stages = plan(
        dataset={"name": "toy-blobs", "size": 8, "images": 90, "preprocess": list(preprocess)}
    ).stages
    (decoded,) = [stage for stage in stages.values() if stage.kind == "decode"]
    return [use["options"].get("before_resize") for use in decoded.params.preprocess]


def test_gamma_runs_where_the_bilateral_filter_beside_it_does(plan):
    after = {"bilateral": {"before_resize": False}}
    assert orders(plan, "bilateral", {"gamma": 1.5}) == [True, True]
    assert orders(plan, {"gamma": 1.5}, "bilateral") == [True, True]
    assert orders(plan, after, {"gamma": 1.5}) == [False, False]
    assert orders(plan, {"gamma": 1.5}) == [False]
    assert orders(plan, "bilateral", "shades-of-gray", {"gamma": 1.5}) == [True, None, False]
    assert orders(plan, "bilateral", {"gamma": {"gamma": 1.5, "before_resize": False}}) == [True, False]


@pytest.mark.parametrize("later", ["bilateral", {"gamma": {"before_resize": True}}])
def test_an_order_that_cannot_be_is_refused_while_planning(plan, later):
    with pytest.raises(
        (UserError, UserErrors), match=r"'bilateral' is set to run after the resize, but '(.*)', which"
    ):
        orders(plan, {"bilateral": {"before_resize": False}}, later)


def test_what_a_mask_cannot_follow_is_refused():
    class Shift:
        before_resize = True

        def __call__(self, pixels):
            return pixels[:, 5:]

    with pytest.raises(UserError, match=r"Shift made \[60, 75, 3\] of \[60, 80, 3\]"):
        next(_fitted([RawImage(np.zeros((60, 80, 3), np.uint8))], 32, "pad", Steps.of([Shift()])))


STAGES = {"decode": decode, "sheet": preprocessing}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("names", "jpeg"), [(["gamma", "hair-removal"], (300, 400)), (["gamma"], (75, 100)), ([], (75, 100))]
)
def test_a_step_before_resizing_sees_a_jpeg_as_it_does_a_png(monkeypatch, tmp_path, stage, names, jpeg):
    read, seen = {}, []

    def recorded(path, **how):
        pixels, *others = decode_image(path, **how)
        read[Path(path).suffix] = pixels.shape[:2]
        return pixels, *others

    monkeypatch.setattr(files, "decode_image", recorded)
    monkeypatch.setattr(
        HairRemoval, "__call__", lambda self, pixels: (seen.append(pixels.shape[:2]), pixels)[1]
    )
    ids = ["nevus/a.jpg", "mel/b.png"]
    for name in ids:
        (tmp_path / "root" / name).parent.mkdir(parents=True)
        Image.fromarray(skin(300, 400)).save(tmp_path / "root" / name)
    options, paths, _ = split_paths(ImageFolderOptions(root=tmp_path / "root"), folders=False)
    digests = {name: hashlib.sha256((tmp_path / "root" / name).read_bytes()).hexdigest() for name in ids}
    listed = write_list(ListedImage(name, name, name.partition("/")[0], digests[name]) for name in ids)
    images = hashlib.sha256(listed).hexdigest()
    (tmp_path / images).write_bytes(listed)
    params = {
        "dataset": "image-folder", "options": options, "classes": ["mel", "nevus"], "size": 32, "resize": "center-crop",
        "preprocess": [{"name": name, "options": {}} for name in names], "images": images, "unreadable": 0,
        "shown": {name.partition("/")[0]: [(name, digests[name])] for name in ids}, "title": "folder", "licence": "",
    }  # fmt: skip
    places = dict.fromkeys(("out", "data"), tmp_path)
    STAGES[stage](
        StageContext(
            SimpleNamespace(**params),
            {"paths": paths},
            {},
            machine=Device("cpu", "fp32", 1),
            plugins=Lookup(Plugins()),
            **places,
        )
    )
    assert read == {".jpg": jpeg, ".png": (300, 400)}
    assert seen == [(300, 400)] * 2 * ("hair-removal" in names)


CPU = Machine("cpu", ("cpu",), "fp32", 2)


@pytest.fixture
def plan(toys, write_matrix):
    plugins = Plugins()

    def make_it(**changes):
        matrix = load_matrix(write_matrix(toy_matrix(**changes)), plugins)
        return make_plan(matrix, cells(matrix, plugins), plugins, CPU)

    return make_it


def test_weights_are_keyed_by_content_and_reach_the_stage_by_path(plan, tmp_path):
    save_file(Espcn(2).state_dict(), tmp_path / "a.safetensors")
    shutil.copy(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    save_file(Espcn(2).state_dict(), tmp_path / "c.safetensors")
    decodes = {}
    for name in "abc":
        steps = [{"gamma": 1.5}, {"restore": {"weights": f"{name}.safetensors"}}]
        dataset = {"name": "toy-blobs", "size": 8, "images": 90, "preprocess": steps}
        stages = plan(dataset=dataset).stages.values()
        decodes[name] = next(stage for stage in stages if stage.kind == "decode")
    assert decodes["a"].key == decodes["b"].key != decodes["c"].key
    assert str(tmp_path) not in str(decodes["a"].identity)
    assert decodes["b"].local["transforms"] == [{}, {"weights": str(tmp_path / "b.safetensors")}]


def test_the_stage_puts_the_path_back(tmp_path):
    save_file(Espcn(2).state_dict(), tmp_path / "net.safetensors")
    steps = [
        {"name": "gamma", "options": {"gamma": 2.0}},
        {"name": "restore", "options": {"factor": 2, "weights": {"sha256": "of the file"}}},
    ]
    local = {"transforms": [{}, {"weights": str(tmp_path / "net.safetensors")}]}
    places = dict.fromkeys(("out", "data"), tmp_path)
    context = StageContext(
        SimpleNamespace(), local, {}, machine=Device("cpu", "fp32", 1), plugins=Lookup(Plugins()), **places
    )
    gamma, restore = context.transforms(steps, Task((), 16), "preprocess")
    assert gamma.table[64] == 128
    assert restore(skin(6, 8)).shape == (12, 16, 3)


def test_a_missing_file_is_told_while_planning(in_process, write_matrix, tmp_path):
    steps = [{"restore": {"weights": "none.safetensors"}}]
    ran = in_process("plan", write_matrix(dataset={"name": "toy-blobs", "size": 8, "preprocess": steps}))
    assert ran.code == 2
    assert f"transform restore: {tmp_path / 'none.safetensors'} does not exist" in ran.err.replace("\n", "")


def test_mixing_and_regularisers_stand_in_a_strategy(plan):
    augment = ["hue", {"ricap": 0.5}, "mixup", {"advchain": {"weight": 0.5, "chain": ["morph", "affine"]}}]
    stages = plan(strategies=[{"name": "mixed", "augment": augment}]).stages.values()
    used = next(stage for stage in stages if stage.kind == "train").params.augment
    assert [use["name"] for use in used] == ["hue", "ricap", "mixup", "advchain"]
    assert used[1]["options"] == {"beta": 0.5, "p": 1.0}
    assert used[3]["options"]["chain"] == ["morph", "affine"]


@pytest.mark.slow
def test_everything_runs_in_one_matrix(in_process, write_matrix, tmp_path):
    save_file(Espcn(2).state_dict(), tmp_path / "net.safetensors")
    steps = [
        "hair-removal",
        {"restore": {"weights": "net.safetensors"}},
        {"bilateral": {"d": 3}},
        {"gamma": 1.5},
        "shades-of-gray",
    ]
    names = [spec.name for spec in specs()]
    changes = {
        "dataset": {"name": "phantom-dermoscopy", "size": 16, "images": 60, "side": 24, "preprocess": steps},
        "strategies": [{"name": f"with-{name}", "augment": [name]} for name in names if name not in SPECS],
        "classifiers": [{"name": "dermagan-cnn", "pooled": True, "batch_size": 8}],
        "seeds": [0],
        "budget": {"updates": 3},
        "compare": {"baselines": ["with-hflip"]},
    }
    ran = in_process("run", write_matrix(**changes), "--out", "out")
    assert ran.code == 0, ran.err
    assert {row["status"] for row in read_csv(tmp_path / "out/results.csv")} == {"done"}
    images = [np.load(path) for path in (tmp_path / "store").rglob("images.npy")]
    assert [array.shape[1:] for array in images] == [(3, 16, 16)]


def test_a_generator_is_augmented_by_image_transforms_alone(plan):
    for name in ("ricap", "advchain", "gamma"):
        generator = {"name": "dcgan", "augment": [name]}
        with pytest.raises((UserError, UserErrors), match=f"'{name}' is a .* transform"):
            plan(strategies=[{"name": "gan", "generator": generator, "synthetic": {"balance": True}}])
