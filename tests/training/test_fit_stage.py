"""The fit stage: it goes on after an interruption with all its snapshots, and refuses collapsed generators."""

import pytest
import torch

import derm_bench.stages.fit as module
from derm_bench.errors import Diverged
from derm_bench.images import ImageSet, Samples
from derm_bench.plugins import Plugins
from derm_bench.specs import GeneratorOptions, GeneratorSpec
from derm_bench.stages.context import StageContext
from derm_bench.stages.fit import fit, sample_health
from derm_bench.stages.weights import load_state
from derm_bench.training.stage_run import StageRun


def image_set(n=20, classes=("mel",)):
    names = tuple(map(str, range(n)))
    images = torch.randint(0, 256, (n, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(images, torch.arange(n) % len(classes), classes, names, names)


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Runs the stage on a few images into a folder of tmp_path."""
    monkeypatch.setattr(module, "training_images", lambda context, size: image_set())

    def call(name, key="0123"):
        out = tmp_path / name
        out.mkdir()
        options = {"base": 4, "z_dim": 8, "batch_size": 8, "budget": {"updates": 7}}
        params = {"generator": "dcgan", "options": options, "size": 16, "seed": 5, "snapshots": 2}
        result = fit(
            StageContext(
                params=params,
                local={},
                inputs={},
                out=out,
                data=tmp_path / "store" / "data",
                device="cpu",
                precision="fp32",
                threads=1,
                plugins=Plugins(builtins_only=True),
                key=key,
                checkpoint_seconds=0,
            )
        )
        return out, result

    return call


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_an_interrupted_stage_leaves_what_the_uninterrupted_one_does(stage, tmp_path, monkeypatch):
    whole, result = stage("whole", key="")
    assert not (tmp_path / "store" / "checkpoints").exists()
    write = StageRun.checkpoint

    def dies(self, step, state):
        write(self, step, state)
        if step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(StageRun, "checkpoint", dies)
    with pytest.raises(KeyboardInterrupt):
        stage("first")
    assert files(tmp_path / "first") == {}
    monkeypatch.setattr(StageRun, "checkpoint", write)
    drawn = []
    batches = StageRun.batches
    monkeypatch.setattr(StageRun, "batches", lambda *a: (drawn.append(b.step) or b for b in batches(*a)))
    again, resumed = stage("again")
    assert drawn == [6, 7] and resumed == result
    assert sorted(files(again)) == sorted(
        ["history.csv", "state.safetensors", *[f"snapshots/{step}.safetensors" for step in (2, 4, 6)]]
    )
    assert files(again) == files(whole)


def test_short_fits_record_their_health(stage):
    out, result = stage("out")
    assert result["updates"] == 7 and load_state(out / "state.safetensors")
    health = result["health"]
    ratios = {"distance_ratio", "coarse_ratio", "nearest_ratio"}
    assert set(health) == {"d_real", "d_fake", "flags", *ratios}
    assert all(set(health[ratio]) == {"mel"} for ratio in ratios)


class Painter:
    """Paints `spread` of noise around grey; the class `flat` without any."""

    def __init__(self, flat=-1):
        self.flat, self.given = flat, []

    def sample(self, request, train=None):
        self.given.append((request.label, train is not None))
        noise = torch.randn(request.n, 3, 16, 16, generator=torch.Generator().manual_seed(request.seed))
        return Samples((128 + (0 if request.label == self.flat else 60) * noise).clamp(0, 255).byte())


def spec(**changes):
    return GeneratorSpec(name="painter", summary="", create="", options=GeneratorOptions, **changes)


def test_a_collapsed_class_of_a_conditional_generator_is_named():
    train = image_set(classes=("mel", "nv"))
    with pytest.raises(Diverged, match=r"samples of 'nv' collapsed: .* 0\.00% as far apart"):
        sample_health(spec(conditional=True), Painter(flat=1), train, 0, may_stop=True)
    health = sample_health(spec(conditional=True), Painter(flat=1), train, 0, may_stop=False)
    ratios = health["distance_ratio"]
    assert ratios["nv"] == 0 and ratios["mel"] > 0.5
    assert "nearly one image" in health["flags"]["nv"][0]


def test_pooled_generators_are_asked_for_any_class_and_given_images_where_they_want_them():
    painter = Painter()
    health = sample_health(
        spec(conditions_on="images"), painter, image_set(classes=("mel", "nv")), 0, may_stop=True
    )
    assert list(health["distance_ratio"]) == ["all"] and painter.given == [(None, True)]
    sample_health(spec(), painter, image_set(), 0, may_stop=True)
    assert painter.given[-1] == (0, False)
