"""The stages fit and health: a fit goes on after an interruption with all its snapshots; what collapsed is refused."""

from dataclasses import replace

import pytest
import torch

from derm_bench.errors import Diverged, UserError
from derm_bench.images import ImageSet, Samples
from derm_bench.plan import params as p
from derm_bench.plugins import Plugins
from derm_bench.specs import GeneratorOptions, GeneratorSpec, Task
from derm_bench.stages.context import Checkpoints, Device, StageContext
from derm_bench.stages.fit import fit
from derm_bench.stages.health import health
from derm_bench.stages.weights import load_state, save_state
from derm_bench.training.health import STRETCH, DiscriminatorWatch
from derm_bench.training.stage_run import StageRun
from derm_bench.worker.lookup import Lookup

VIEW = {
    "split": "",
    "classes": ("mel",),
    "size": 16,
    "fraction": 1.0,
    "clean": {},
    "select_on_test": False,
    "fit_classes": ("mel",),
    "reads": "train",
}
CPU = Device("cpu", "fp32", 1)


def image_set(n=20, classes=("mel",)):
    names = tuple(map(str, range(n)))
    images = torch.randint(0, 256, (n, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(images, torch.arange(n) % len(classes), classes, names, names)


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Runs the stage on a few images into a folder of tmp_path; with checkpoints after every update unless told not to
    keep any."""
    monkeypatch.setattr("derm_bench.stages.fit.training_images", lambda context, size: image_set())

    def call(name, checkpoints=True, generator="dcgan", **more):
        out = tmp_path / name
        out.mkdir()
        options = {"base": 4, "z_dim": 8, "batch_size": 8, **more}
        context = StageContext(
            params=p.Fit(**VIEW, generator=generator, options=options, updates=7, seed=5, snapshots=2),
            local={},
            inputs={},
            out=out,
            data=tmp_path / "store" / "data",
            machine=CPU,
            plugins=Lookup(Plugins(builtins_only=True)),
            checkpoints=Checkpoints(tmp_path / "store" / "checkpoints" if checkpoints else None, 0),
            watch=DiscriminatorWatch,
        )
        return out, fit(context)

    return call


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_an_interrupted_stage_leaves_what_the_uninterrupted_one_does(stage, tmp_path, monkeypatch):
    whole, result = stage("whole", checkpoints=False)
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


def test_a_generator_sees_flipped_images_if_it_is_augmented_and_images_as_they_are_by_default(
    stage, monkeypatch
):
    shown = []
    batches = StageRun.batches
    monkeypatch.setattr(StageRun, "batches", lambda *a: (shown.append(b.images) or b for b in batches(*a)))
    as_stored = image_set().images.float() / 127.5 - 1

    def flipped():
        """Whether each image that the last fit was shown is a mirror image of a stored one."""
        images = torch.cat(shown)
        shown.clear()
        straight = [bool((as_stored - image).abs().amax(dim=(1, 2, 3)).min() < 1e-5) for image in images]
        mirrored = [
            bool((as_stored - image.flip(2)).abs().amax(dim=(1, 2, 3)).min() < 1e-5) for image in images
        ]
        assert all(a or b for a, b in zip(straight, mirrored, strict=True))
        return [b and not a for a, b in zip(straight, mirrored, strict=True)]

    stage("plain", checkpoints=False)
    assert not any(flipped())
    stage("augmented", checkpoints=False, augment=["hflip"])
    assert 10 < sum(flipped()) < 46, "of 56 images, about half"


@pytest.mark.parametrize(("classes", "rare"), [(2, 2), (3, 1)])
def test_a_conditional_generator_sees_a_rare_class_as_seldom_as_it_is_or_with_balance_as_often_as_any(
    stage, monkeypatch, classes, rare
):
    names = "abc"[:classes]
    labels = torch.tensor([0] * (20 - rare * (classes - 1)) + list(range(1, classes)) * rare)
    monkeypatch.setattr(
        "derm_bench.stages.fit.training_images",
        lambda context, size: replace(image_set(), labels=labels, classes=tuple(names)),
    )
    shown = []
    batches = StageRun.batches
    monkeypatch.setattr(StageRun, "batches", lambda *a: (shown.append(b.targets) or b for b in batches(*a)))

    def seen(name, images, **options):
        """How often each class is among the first `images` images of a fit."""
        shown.clear()
        stage(name, checkpoints=False, generator="cgan", **options)
        return torch.cat(shown)[:images].sum(dim=0).tolist()

    counts = labels.bincount().tolist()
    assert seen("plain", 20) == counts
    most = max(counts)
    assert seen("balanced", most * classes, balance=True) == [most] * classes


def test_a_fit_records_what_its_discriminator_said(stage):
    out, result = stage("out")
    assert result["updates"] == 7 and load_state(out / "state.safetensors")
    assert set(result["health"]) == {"d_real", "d_fake"}


class LogsDistances:
    """A generator that logs distances, which are small, as d_real and d_fake."""

    def __init__(self, options, task):
        pass

    def fit(self, train, run):
        for batch in run.batches(train, 4):
            run.log(batch.step, d_real=0.2, d_fake=0.2)

    def parts(self):
        return {}

    def state(self):
        return {"weight": torch.zeros(1)}


class StopsAtHalf(LogsDistances):
    def fit(self, train, run):
        next(run.batches(train, 4))


class FitsNothing(LogsDistances):
    def fit(self, train, run):
        pass


@pytest.fixture
def generator(monkeypatch):
    """Makes the stage fit a generator of this class."""

    def call(cls, **spec):
        made = GeneratorSpec(name="my-gan", summary="", create="m:A", options=GeneratorOptions, **spec)
        monkeypatch.setattr(Lookup, "get", lambda *_: made)
        monkeypatch.setattr(Lookup, "options", lambda *_: GeneratorOptions())
        monkeypatch.setattr("derm_bench.stages.fit.create", lambda spec, options, task: cls(options, task))

    return call


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (StopsAtHalf, r"my-gan: fit\(\) took 1 of 7 updates"),
        (FitsNothing, r"my-gan: fit\(\) took 0 of 7 updates and trained nothing"),
    ],
)
def test_a_fit_that_does_not_take_its_budget_fails_and_leaves_nothing(stage, generator, tmp_path, cls, said):
    generator(cls)
    with pytest.raises(UserError, match=said):
        stage("out")
    assert files(tmp_path / "out") == {}


def test_a_fit_that_trains_nothing_passes_if_its_spec_says_so(stage, generator):
    generator(FitsNothing, trains=False)
    assert "state.safetensors" in files(stage("out")[0])


@pytest.mark.parametrize("declared", [None, ("d_real", "d_fake")])
def test_what_a_fit_logs_has_a_meaning_only_if_its_spec_says_so(stage, generator, monkeypatch, declared):
    """The thresholds of the check are lowered so far that seven updates are enough for them."""
    for name, value in {"WARM_UP": 0, "STRETCH": 2, "LONGEST": 2}.items():
        monkeypatch.setattr(f"derm_bench.training.health.{name}", value)
    generator(LogsDistances, discriminator_outputs=declared)
    if declared:
        with pytest.raises(Diverged, match="the discriminator is dead: d_real and d_fake"):
            stage("out")
    else:
        assert stage("out")[1]["health"] == {}


class Painter:
    """Paints `spread` of noise around grey; the class `flat` without any."""

    def __init__(self, flat=-1):
        self.flat, self.given = flat, []

    def sample(self, request, train=None):
        self.given.append((request.label, train is not None))
        noise = torch.randn(request.n, 3, 16, 16, generator=torch.Generator().manual_seed(request.seed))
        return Samples((128 + (0 if request.label == self.flat else 60) * noise).clamp(0, 255).byte())


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """The result of the stage `health` on the samples of a painter, after so many updates of its fit."""

    def call(painter, train, updates, **spec):
        made = GeneratorSpec(name="painter", summary="", create="", options=GeneratorOptions, **spec)
        folder = tmp_path / "fit"
        folder.mkdir(exist_ok=True)
        save_state(folder / "state.safetensors", {"weight": torch.zeros(1)})
        (folder / "history.csv").write_text(
            "step,images,epoch,split,metric,value\n1,8,0.4,train,loss_g,0.5\n2,16,0.8,train,loss_g,0.25\n"
        )
        task = Task(train.classes, 16)
        monkeypatch.setattr("derm_bench.stages.health.restored_generator", lambda *_: (painter, task))
        monkeypatch.setattr("derm_bench.stages.health.training_images", lambda *_: train)
        plugins = Lookup(Plugins(builtins_only=True))
        monkeypatch.setattr(plugins, "get", lambda kind, name: made)
        context = StageContext(
            params=p.Health(**VIEW, generator="painter", options={}, updates=updates, seed=0),
            local={},
            inputs={"fit": folder},
            out=tmp_path,
            data=tmp_path,
            machine=CPU,
            plugins=plugins,
        )
        return health(context)["health"]

    return call


def test_a_class_of_a_conditional_generator_that_collapsed_is_named_with_the_curves(measured):
    train = image_set(classes=("mel", "nv"))
    with pytest.raises(Diverged, match=r"samples of 'nv' collapsed: .* 0\.00% as far apart") as caught:
        measured(Painter(flat=1), train, STRETCH, conditional=True)
    assert caught.value.curve == [[1, "loss_g", 0.5], [2, "loss_g", 0.25]]


def test_after_a_short_fit_it_is_noted_and_stops_nothing(measured):
    train = image_set(classes=("mel", "nv"))
    found = measured(Painter(flat=1), train, STRETCH - 1, conditional=True)
    assert set(found) == {"flags", "distance_ratio", "coarse_ratio", "nearest_ratio"}
    assert all(set(found[figure]) == {"mel", "nv"} for figure in found if figure != "flags")
    ratios = found["distance_ratio"]
    assert ratios["nv"] == 0 and ratios["mel"] > 0.5
    assert "nearly identical" in found["flags"]["nv"][0]


def test_pooled_generators_are_asked_for_any_class_and_given_images_where_they_want_them(measured):
    painter = Painter()
    found = measured(painter, image_set(classes=("mel", "nv")), STRETCH, conditions_on="images")
    assert list(found["distance_ratio"]) == ["all"] and painter.given == [(None, True)]
    measured(painter, image_set(), STRETCH)
    assert painter.given[-1] == (0, False)
