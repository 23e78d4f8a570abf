"""efgan: colours in, turns out, a DCGAN between."""

import colorsys
import csv

import numpy as np
import pytest
import torch
from scipy import ndimage

import derm_bench.stages.fit as fit_stage
from derm_bench.images import ImageSet
from derm_bench.options import Budget
from derm_bench.plan import params as p
from derm_bench.plugins import Plugins
from derm_bench.specs import SampleRequest, Task
from derm_bench.stages.context import Device, StageContext
from derm_bench.testing.phantoms import phantoms
from derm_bench.testing.runs import RecordedRun
from derm_bench.training.stage_run import seed_everything
from derm_bench.worker.lookup import Lookup
from derm_bench_plugins.generators.dcgan import Dcgan
from derm_bench_plugins.generators.efgan import Efgan, permuted, recoloured, rotated, shifted_hues
from derm_bench_plugins.generators.specs.efgan import EfganOptions


def noise(n=3, size=8):
    return torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0)).byte()


def fitted(**options):
    seed_everything(0)
    gan = Efgan(EfganOptions(base=4, z_dim=6, batch_size=12, **options), Task(("red",), 16))
    seen = []

    class Run(RecordedRun):
        def batches(self, *arguments, **named):
            for batch in super().batches(*arguments, **named):
                seen.append(batch.images)
                yield batch

    plain = torch.tensor([20, 90, 200]).byte().view(1, 3, 1, 1).expand(6, 3, 16, 16).contiguous()
    names = tuple("abcdef")
    gan.fit(ImageSet(plain, torch.zeros(6).long(), ("red",), names, names), Run(seed=0, budget=3))
    return gan, {tuple(p.mul(127.5).add(127.5).round().int().tolist()) for p in torch.cat(seen)[:, :, 0, 0]}


def test_permutations_are_the_six_orders_of_the_channels_exactly():
    images = noise()
    found = permuted(images)
    assert list(found) == ["rgb", "rbg", "grb", "gbr", "brg", "bgr"]
    for name, made in found.items():
        for k, channel in enumerate(name):
            assert torch.equal(made[:, k], images[:, "rgb".index(channel)])


def test_hues_turn_and_leave_saturation_and_value():
    images = noise(2)
    found = shifted_hues(images, 0.05)
    assert list(found) == ["-0.05", "-0.025", "+0", "+0.025", "+0.05"] and torch.equal(found["+0"], images)
    for name, made in found.items():
        before, after = (p.permute(0, 2, 3, 1).reshape(-1, 3).numpy() / 255 for p in (images, made))
        for one, other in zip(before, after, strict=True):
            hue, saturation, value = colorsys.rgb_to_hsv(*one)
            expected = colorsys.hsv_to_rgb((hue + float(name)) % 1, saturation, value)
            assert np.abs(np.array(expected) - other).max() < 2 / 255


def test_the_set_is_multiplied_with_its_labels_under_names_of_their_own():
    train = phantoms(classes=2, per_class=3, size=8)
    many = recoloured(train, permuted(train.images))
    assert len(many) == 36 and len(set(many.ids)) == 36 and many.ids[6] == f"{train.ids[0]}/rbg"
    assert torch.equal(many.labels, train.labels.repeat(6))
    assert torch.equal(many.images[:6], train.images)


def test_the_gan_is_shown_all_colours_and_within_the_limits_of_diagnosis_by_default():
    _, shown = fitted(colour="permutations")
    assert {tuple(sorted(colour)) for colour in shown} == {(20, 90, 200)} and len(shown) == 6
    _, shown = fitted()
    hues = [colorsys.rgb_to_hsv(*colour)[0] - colorsys.rgb_to_hsv(20, 90, 200)[0] for colour in shown]
    assert len(shown) == 5 and max(map(abs, hues)) == pytest.approx(0.05, abs=0.003)


def test_quarter_turns_are_exact_and_others_resample():
    images = noise(5, 33)
    quarters = rotated(images, torch.tensor([0, 90, 180, 270, 90]))
    for image, made, k in zip(images, quarters, (0, 1, 2, 3, 1), strict=True):
        assert np.array_equal(np.rot90(image.numpy(), k, axes=(1, 2)), made.numpy())
    smooth = np.stack([ndimage.gaussian_filter(image.float().numpy(), (0, 3, 3)) for image in images])
    made = rotated(torch.from_numpy(smooth).byte(), torch.tensor([30, 60, 120, 210, 330]))
    for image, degrees, one in zip(smooth, (30, 60, 120, 210, 330), made, strict=True):
        expected = ndimage.rotate(image, degrees, axes=(2, 1), reshape=False, order=1)
        middle = np.s_[:, 8:25, 8:25]
        same_way = np.abs(expected[middle] - one.numpy()[middle]).max()
        other_way = ndimage.rotate(image, -degrees, axes=(2, 1), reshape=False, order=1)
        assert same_way < 2 < np.abs(other_way[middle] - one.numpy()[middle]).max()


def test_samples_are_those_of_the_dcgan_turned():
    gan, _ = fitted()
    request = SampleRequest(0, 40, 3)
    plain, made = Dcgan.__mro__[1].sample(gan, request).images, gan.sample(request).images
    turns = [
        next(k for k in range(4) if torch.equal(torch.rot90(one, k, dims=(1, 2)), other))
        for one, other in zip(plain, made, strict=True)
    ]
    assert set(turns) == {0, 1, 2, 3}


def test_an_epoch_of_the_history_is_one_of_the_budget(tmp_path, monkeypatch):
    """As many images as there are originals, not five times as many."""
    monkeypatch.setattr(fit_stage, "training_images", lambda context, size: phantoms(2, 6, size))
    images = phantoms(2, 6, 8)
    updates = Budget(epochs=3).in_updates(len(images), 12)
    out, plugins = tmp_path / "out", Lookup(Plugins(builtins_only=True))
    out.mkdir()
    params = p.Fit(
        split="",
        classes=images.classes,
        size=8,
        fraction=1.0,
        clean={},
        select_on_test=False,
        generator="efgan",
        options={"base": 4, "z_dim": 6, "batch_size": 12},
        fit_classes=images.classes,
        reads="train",
        updates=updates,
        snapshots=None,
        seed=0,
    )
    context = StageContext(
        params=params,
        local={},
        inputs={},
        out=out,
        data=tmp_path / "data",
        machine=Device("cpu", "fp32", 1),
        plugins=plugins,
    )
    assert fit_stage.fit(context)["updates"] == 3
    with (out / "history.csv").open(newline="") as file:
        assert [float(row["epoch"]) for row in csv.DictReader(file) if row["metric"] == "loss_d"] == [1, 2, 3]
