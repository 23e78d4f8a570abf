"""What `plan` can know to be impossible, it refuses: exit 2, one sentence, no traceback, nothing has run."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from PIL import Image

from derm_bench_plugins.classifiers import published_weights

BASE = """name: base
protocol: {name: paper, allow: [select_on_synthetic]}
datasets: [{name: phantom-dermoscopy, images: 90, side: 32, size: 32}]
strategies:
  - real-only
  - {name: gan, generator: {name: dcgan, preset: tiny}, synthetic: {balance: true}}
classifiers: [dermagan-cnn]
metrics: []
snapshots: {every: 1}
"""
REPLACED = "{per_class: {mel: 20, nv: 20}, replace_real: true}"
SWAPPED = "{name: dcgan-discriminator, from: {generator: {name: cgan}, part: critic}}"
BORROWED = "{name: dcgan-discriminator, from: {strategy: gan, part: generators}}"


@pytest.fixture
def refused(in_process, write_matrix):
    """The error with which `plan` refuses a matrix after changes by `--set`."""

    def refused(*sets: str, text: str = BASE) -> str:
        flags = [word for change in sets for word in ("--set", change)]
        ran = in_process("plan", write_matrix(text), *flags)
        assert ran.code == 2 and "Traceback" not in ran.err, ran
        return ran.err

    return refused


def test_the_base_of_these_tests_is_a_matrix_that_plans(in_process, write_matrix):
    assert in_process("plan", write_matrix(BASE)).code == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (f"strategies.1.synthetic={REPLACED}", "nothing is left to train on of the class 'bkl'"),
        ("strategies.1.synthetic={balance: true, replace_real: true}", "nothing is left to train on"),
        ("strategies.1.synthetic={per_class: 4, holdout: 0.2, val: held_out}", "holds out no image"),
        (
            "strategies.1.synthetic={per_class: {mel: 20, nv: 2, bkl: 2}, holdout: 0.2, val: held_out}",
            "holds out images of 'mel' alone",
        ),
        ("strategies.1.synthetic={balance: true, snapshot: 9}", "keeps no state after update 9"),
        ("strategies.1.synthetic={balance: true, snapshot: 4}", "keeps those after 1, 2, 3"),
        ("datasets.0.classes={melanoma: [mel], macro: [nv, bkl]}", "cannot be named 'macro'"),
        ("datasets.0.classes={melanoma: [mel], weighted: [nv, bkl]}", "the column recall_weighted"),
        ("datasets.0.classes={melanoma: [mel], real-holdout: [nv, bkl]}", "cannot be named 'real-holdout'"),
        ("datasets.0.classes={melanoma: [mel], all: [nv, bkl]}", "cannot be named 'all'"),
        ("datasets.0.split={method: kfold, folds: 80}", "80 folds of"),
        ("datasets.0.imbalance={mel: 1e308, nv: 1e308, bkl: 1}", "imbalance"),
        ("datasets.0.imbalance={mel: 1e-308, nv: 1e308, bkl: 1}", "imbalance"),
        ("datasets.0.images=1000000", "less than or equal to 100000"),
        ("numerics.threads=200", "this machine has"),
        ("strategies.1.generator.size=100", "a power of two of at least 8, not 100"),
        ("datasets.0.size=33", "a power of two of at least 8, not 33"),
        (f"classifiers.0={SWAPPED}", "'cgan' has no part 'critic'"),
        (f"classifiers.0={BORROWED}", "did you mean 'generator'?"),
        ("classifiers.0={name: timm, model: vgg11, input_size: 8}", "at least 32 px; these have 8"),
        ("classifiers.0={name: timm, model: vit_tiny_patch16_224, input_size: 8}", "at least 16 px"),
        ("classifiers.0={name: torchvision, model: alexnet}", "at least 63 px; these have 32"),
    ],
)
def test_what_is_impossible_is_refused(refused, change, said):
    assert said in refused(change)


def test_a_step_to_sample_from_needs_snapshots(refused):
    text = BASE.replace("snapshots: {every: 1}\n", "")
    message = refused("strategies.1.synthetic={balance: true, snapshot: 2}", text=text)
    assert "write `snapshots: {every: 2}`" in message


def test_snapshots_at_each_of_a_hundred_million_updates_are_refused(refused):
    message = refused("strategies.1.generator.budget={updates: 100000000}")
    assert "99,999,999 snapshots" in message and "write 100000 or more" in message


def test_a_data_set_with_one_folder_has_nothing_to_tell_apart(refused, tmp_path):
    for number in range(12):
        file = tmp_path / "images" / "mel" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (number, 0, 0)).save(file)
    text = BASE.replace(
        "{name: phantom-dermoscopy, images: 90, side: 32, size: 32}", "{name: image-folder, root: images}"
    )
    assert "one class is no classification" in refused(text=text)


def test_an_excluded_size_is_no_problem(in_process, write_matrix):
    two = "[{name: phantom-dermoscopy, images: 90}, {name: phantom-dermoscopy, label: odd, images: 90, size: 33}]"
    done = in_process(
        "plan",
        write_matrix(BASE),
        "--set",
        f"datasets={two}",
        "--set",
        "exclude=[{dataset: odd, strategy: gan}]",
    )
    assert done.code == 0, done.err


# --------------------------------------------------------------------------------------------- weights


def _zip(names: list[str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return made.getvalue()


def _safetensors(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.pt", b"", "is no weights file"),
        ("a.pt", b"<html>404</html>", "is no weights file"),
        ("a.pt", _zip(["readme.txt"]), "torch.save did not write"),
        ("a.safetensors", b"short", "no file of safetensors"),
        ("a.safetensors", _safetensors([]), "names no tensors"),
        (
            "a.safetensors",
            _safetensors({"w": {"shape": [10, 10], "data_offsets": [0, 400]}}, b"1234"),
            "was cut off",
        ),
        ("a.safetensors", (2**60).to_bytes(8, "little") + b"{}", "no file of safetensors"),
        ("a.safetensors", (2**25).to_bytes(8, "little") + b" " * 2**25, "has a header of 33,554,432 bytes"),
        (
            "a.safetensors",
            _safetensors({"w": {"shape": [float("inf"), 1], "data_offsets": [0, 0]}}),
            "names no tensors",
        ),
        (
            "a.safetensors",
            _safetensors({"w": {"shape": [2], "data_offsets": [0, float("nan")]}}),
            "no file of",
        ),
    ],
)
def test_a_file_that_holds_no_weights_is_refused(refused, tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert said in refused(f"classifiers.0.weights={tmp_path / name}")


@pytest.mark.parametrize(
    ("path", "said"), [("/dev/zero", "neither a file nor a folder"), ("/tmp", "is not a file")]
)
def test_weights_are_a_file(refused, path, said):
    assert said in refused(f"classifiers.0.weights={path}")


def test_the_name_of_a_tensor_is_not_shown_without_end(refused, tmp_path):
    tensor = {"shape": [1, 1], "data_offsets": [0, 0]}
    (tmp_path / "a.safetensors").write_bytes(_safetensors({"n" * 1_000_000: tensor, "\x1b[31m": tensor}))
    said = refused(f"classifiers.0={{name: timm, model: resnet18, weights: {tmp_path / 'a.safetensors'}}}")
    assert "holds no weights of resnet18" in said and len(said) < 2000 and "\x1b" not in said


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pt", _zip(["archive/data.pkl", "archive/data/0"])),
        ("a.safetensors", _safetensors({"w": {"shape": [1, 1], "data_offsets": [0, 4]}}, b"1234")),
    ],
)
def test_files_of_weights_are_accepted(in_process, write_matrix, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    done = in_process("plan", write_matrix(BASE), "--set", f"classifiers.0.weights={tmp_path / name}")
    assert done.code == 0, done.err


PRETRAINED = "classifiers.0={name: timm, model: resnet18, pretrained: true}"


@pytest.fixture
def empty_caches(tmp_path, monkeypatch):
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    published_weights._unreachable.cache_clear()


def test_published_weights_without_a_network_are_refused(refused, empty_caches, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    message = refused(PRETRAINED)
    assert "published weights of resnet18" in message and "weights: PATH" in message


def test_published_weights_from_an_address_that_does_not_answer_are_refused(
    refused, empty_caches, monkeypatch
):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the port for what is discarded
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    message = refused("classifiers.0={name: mobilenetv2-lstm, pretrained: true}")
    assert "mobilenetv2_100" in message and "cannot be reached" in message


@pytest.mark.parametrize(
    "file",
    [
        "hf/hub/models--timm--resnet18.a1_in1k/snapshots/0/model.safetensors",
        "torch/hub/checkpoints/resnet18_a1_0-d63eafa0.pth",
    ],
)
def test_published_weights_in_a_cache_need_no_network(
    in_process, write_matrix, tmp_path, empty_caches, monkeypatch, file
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    done = in_process("plan", write_matrix(BASE), "--set", PRETRAINED)
    assert done.code == 0, done.err
