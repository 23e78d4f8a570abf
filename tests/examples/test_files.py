"""The examples that are single files: short, written against the public interface alone, and run through `--plugin`."""

import json
import re
import sys

import pytest
import torch
from tests.conftest import ROOT, read_csv

from derm_bench.plugins import Plugins
from derm_bench.specs import SampleRequest, Task

FILES = sorted((ROOT / "examples").glob("*.py"))
PLUGINS = [file for file in FILES if "DERM_BENCH_API" in file.read_text()]
GUIDE = ROOT / "docs/plugin-guide.md"
SIZE = 16


@pytest.fixture(autouse=True)
def _path(monkeypatch):
    """Leaves the import path as it was."""
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_is_short_and_uses_the_public_interface_alone(file):
    text = file.read_text()
    assert len(text.splitlines()) <= 60
    used = re.findall(r"^(?:from|import) derm_bench.*", text, flags=re.MULTILINE)
    assert set(used) <= {"from derm_bench import api"}


def test_the_readme_lists_every_example():
    shown = (ROOT / "examples/README.md").read_text()
    for place in [*FILES, *(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))]:
        assert f"({place.name})" in shown, place.name


def test_all_examples_and_the_one_in_the_guide_run_in_one_matrix(in_process, tmp_path, write_matrix):
    (guide,) = re.findall(r"```python\n(# my_gan.py\n.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    (tmp_path / "my_gan.py").write_text(guide)
    files = [*PLUGINS, tmp_path / "my_gan.py"]
    found = Plugins(files=files)
    torch.save(sys.modules["small_nets"].generator(SIZE).state_dict(), tmp_path / "g.pt")
    elsewhere = {"name": "from-elsewhere", "weights": str(tmp_path / "g.pt"), "trained_on": "noise"}
    names = [found_one.spec.name for found_one in found.all() if found_one.version == "local"]
    special = {"from-elsewhere": elsewhere, "my-gan": {"name": "my-gan", "budget": {"updates": 3}}}
    generators = [special.get(name, {"name": name, "preset": "tiny"}) for name in names]
    strategies = [
        {"name": one["name"], "generator": one | ({} if one["name"] == "guided" else {"scope": "pooled"})}
        for one in generators
    ]
    matrix = write_matrix(
        dataset={"name": "toy-blobs", "size": SIZE, "images": 60},
        strategies=strategies,
        seeds=[0],
        classifiers=[],
    )
    chosen = [word for file in files for word in ("--plugin", file)]
    ran = in_process("run", matrix, *chosen, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert len(names) == len(files) == 6
    sheets = json.loads((tmp_path / "out/samples/index.json").read_text())
    assert {sheet["strategy"] for sheet in sheets if sheet["shows"] == "last"} == set(names)
    curves = [row for row in read_csv(tmp_path / "out/history.csv") if row["name"] == "vae-gan"]
    steps = {
        name: {int(row["step"]) for row in curves if row["metric"] == name} for name in ("loss_vae", "d_real")
    }
    assert max(steps["loss_vae"]) < min(steps["d_real"]), "one phase after the other"
    assert max(steps["d_real"]) == 4, "and both within the budget"


class _RedMeansOne:
    """A classifier that takes red images for the class 1 and all others for the class 0."""

    def logits(self, images):
        red = images[:, 0].mean((1, 2)) - images[:, 1:].mean((1, 2, 3))
        return torch.stack([-50 * red, 50 * red], 1)


def test_guidance_moves_samples_towards_the_class():
    spec = Plugins(files=[ROOT / "examples/guided.py"]).get("generator", "guided")
    guided = sys.modules["guided"].Guided(
        spec.options(steps=20, strength=0.3), Task(("other", "red"), SIZE, inputs={"guide": _RedMeansOne()})
    )
    chances = []
    for label in (0, 1):
        images = guided.sample(SampleRequest(label=label, n=8, seed=0)).images
        chances.append(_RedMeansOne().logits(images / 255).softmax(1)[:, 1].mean())
    assert chances[1] > 4 * chances[0]


def test_the_schedule_grows_to_the_size_of_the_images_within_the_budget():
    spec = Plugins(files=[ROOT / "examples/progressive.py"]).get("generator", "progressive")
    made = sys.modules["progressive"].Progressive(spec.options(), Task(("a",), 64))
    assert made.levels == 4, "8, 16, 32 and 64 pixels"
    z = made.prior(2, torch.Generator().manual_seed(0))
    assert [made.g(z, level).shape[-1] for level in range(4)] == [8, 16, 32, 64]
    assert made.d(torch.zeros(2, 3, 64, 64), 0).shape == (2, 1)
