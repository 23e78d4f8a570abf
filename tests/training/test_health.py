"""Health: dead and overpowering discriminators and collapsed samples are found, healthy ones are not."""

import math
import subprocess
import sys

import pytest
import torch

from derm_bench.errors import Diverged
from derm_bench.fidelity.likeness import likeness
from derm_bench.training.health import DiscriminatorWatch, collapsed, flags
from derm_bench.training.stage_run import Checkpointing, StageRun


def source_modules(*modules):
    """All modules of derm_bench that importing `modules` in a fresh interpreter brings in."""
    code = f"import sys, {', '.join(modules)}; print(*[name for name in sys.modules if name.startswith('derm_bench')])"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def noise(step, scale=1.0):
    return scale * math.sin(12.9898 * step)


def trained(budget, d_real, d_fake):
    """A run that logged the two curves, to its end."""
    run = StageRun(seed=0, budget=budget, watch=DiscriminatorWatch(budget))
    for step in range(1, budget + 1):
        run.log(step, d_real=d_real(step), d_fake=torch.tensor(d_fake(step), dtype=torch.float64))
    run.history()
    return run


def test_a_dead_discriminator_is_found_with_place_and_values():
    with pytest.raises(
        Diverged, match=r"dead.* from 501 to 800 of 2000 \(d_real 0.5, d_fake 0.5\)"
    ) as caught:
        trained(2000, lambda s: 0.8 if s <= 500 else 0.5, lambda s: 0.2 if s <= 500 else 0.5)
    assert len(caught.value.curve) == 200 and {row[1] for row in caught.value.curve} == {"d_real", "d_fake"}


def test_an_overpowering_discriminator_is_found_at_the_end():
    with pytest.raises(Diverged, match=r"overpowers.* last 300 of 1000 updates d_real is 0.9999") as caught:
        trained(1000, lambda s: 0.9999, lambda s: 1e-5)
    assert caught.value.curve


HEALTHY = {
    "balanced": (2000, lambda s: 0.5 + noise(s, 0.05), lambda s: 0.5 - noise(s, 0.05)),
    "strong": (2000, lambda s: 0.98 + noise(s, 0.01), lambda s: 0.02 + noise(s, 0.01)),
    "a spell of strength": (
        2000,
        lambda s: 0.99999 if s < 1500 else 0.7,
        lambda s: 1e-6 if s < 1500 else 0.3,
    ),
    "a spell of death": (
        2000,
        lambda s: 0.5 if 400 < s < 690 else 0.7,
        lambda s: 0.5 if 400 < s < 690 else 0.3,
    ),
    "a slow start": (2000, lambda s: 0.5 if s < 300 else 0.7, lambda s: 0.5 if s < 300 else 0.3),
    "short and equal": (50, lambda s: 0.5, lambda s: 0.5),
    "short and strong": (299, lambda s: 1.0, lambda s: 0.0),
    "a critic": (2000, lambda s: 30.0 + noise(s), lambda s: 30.0 + noise(s)),
}


@pytest.mark.parametrize("case", HEALTHY.values(), ids=HEALTHY)
def test_healthy_and_short_trainings_pass(case):
    trained(*case)


def test_the_names_are_those_that_the_spec_declares():
    names = ("p_of_reals", "p_of_fakes")
    run = StageRun(seed=0, budget=1000, watch=DiscriminatorWatch(1000, names))
    for step in range(1, 1001):
        run.log(step, d_real=0.5, d_fake=0.5, p_of_reals=0.75, p_of_fakes=0.25)
    assert run.history() and run.health() == {"d_real": 0.75, "d_fake": 0.25}
    with pytest.raises(
        Diverged, match=r"dead: p_of_reals and p_of_fakes .* \(p_of_reals 0.5, p_of_fakes 0.5\)"
    ):
        for step in range(1, 1001):
            run.log(step + 1000, p_of_reals=0.5, p_of_fakes=0.5)


def test_other_metrics_are_not_looked_at():
    run = StageRun(seed=0, budget=1000, watch=DiscriminatorWatch(1000))
    for step in range(1, 1001):
        run.log(step, loss=0.5, accuracy=0.5, d_real=0.5)
    run.history()
    assert run.health() == {}


def test_the_summary_has_the_means_at_the_end_of_training():
    run = trained(400, lambda s: 0.75, lambda s: 0.25)
    assert run.health() == {"d_real": 0.75, "d_fake": 0.25}


def test_what_was_seen_before_an_interruption_counts(tmp_path):
    first = StageRun(
        seed=0,
        budget=1000,
        watch=DiscriminatorWatch(1000),
        checkpointing=Checkpointing(folder=tmp_path, seconds=0),
    )
    for step in range(1, 301):
        first.log(step, d_real=0.5, d_fake=0.5)
    first.checkpoint(300, dict)
    second = StageRun(
        seed=0, budget=1000, watch=DiscriminatorWatch(1000), checkpointing=Checkpointing(folder=tmp_path)
    )
    second.resume()
    with pytest.raises(Diverged, match="from 101 to 400"):
        for step in range(301, 500):
            second.log(step, d_real=0.5, d_fake=0.5)


def test_without_a_watch_a_dead_discriminator_stops_nothing():
    run = StageRun(seed=0, budget=1000)
    for step in range(1, 1001):
        run.log(step, d_real=0.5, d_fake=0.5)
    assert len(run.history()) == 1000 and run.health() == {}


def test_training_imports_no_threshold_of_its_health():
    reached = source_modules(
        "derm_bench.training.stage_run", "derm_bench.training.engine", "derm_bench.fidelity.likeness"
    )
    assert "derm_bench.training.curves" in reached and "derm_bench.training.health" not in reached


def images(n, spread, seed=0):
    generator = torch.Generator().manual_seed(seed)
    picture = torch.rand(1, 3, 16, 16, generator=generator)
    each = torch.rand(n, 3, 16, 16, generator=generator)
    return ((picture * (1 - spread) + each * spread) * 255).byte()


def skin(n, seed=0, size=64):
    """Pictures as real ones are: a shade of skin, a dark spot of its own size and place, faint noise."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low, high):
        return torch.rand(n, 1, 1, generator=generator) * (high - low) + low

    grid = torch.linspace(-1, 1, size)
    far = ((grid[:, None] - draw(-0.3, 0.3)) ** 2 + (grid - draw(-0.3, 0.3)) ** 2) / draw(0.05, 0.4)
    shade = torch.cat([draw(0.7, 1.0), draw(0.5, 0.8), draw(0.5, 0.8)], 1)[..., None]
    pictures = shade * (1 - (draw(0.2, 0.8) * torch.exp(-far))[:, None])
    return ((pictures + torch.randn(pictures.shape, generator=generator) * 0.02).clamp(0, 1) * 255).byte()


def noisy(images, deviation, seed=3):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed)) * deviation
    return (images + noise).clamp(0, 255).byte()


def test_samples_that_are_nearly_one_image_have_collapsed():
    found = likeness(images(64, 0.01), images(100, 0.5, seed=1))
    assert collapsed(vars(found)) and 0 < found.distance_ratio < 0.05
    found = likeness(skin(1).expand(64, 3, 64, 64), skin(100, seed=1))
    assert (
        collapsed(vars(found))
        and (found.distance_ratio, found.coarse_ratio) == (0, 0)
        and len(flags(vars(found))) == 1
    )


def test_varied_samples_have_not():
    found = likeness(images(64, 0.5), images(100, 0.5, seed=1))
    assert found.distance_ratio == pytest.approx(1, abs=0.05) and not collapsed(vars(found))
    assert not collapsed(vars(likeness(images(64, 0.1), images(100, 0.5, seed=1))))


def test_real_images_have_no_flags():
    found = likeness(skin(64), skin(200, seed=1))
    assert flags(vars(found)) == [] and not collapsed(vars(found))
    assert found.coarse_ratio == pytest.approx(1, abs=0.2) and found.nearest_ratio == pytest.approx(
        1, abs=0.3
    )


def checkerboards():
    """One pattern on grey, of a strength of its own in each image."""
    board = (torch.arange(64)[:, None] + torch.arange(64)) % 2 * 2 - 1
    return (128 + torch.linspace(10, 110, 64)[:, None, None, None] * board).expand(64, 3, 64, 64).byte()


NOISE = {
    "on grey": noisy(torch.full((64, 3, 64, 64), 128.0), 60),
    "on one image": noisy(skin(1).expand(64, 3, 64, 64), 60),
    "a checkerboard": checkerboards(),
}


@pytest.mark.parametrize("samples", NOISE.values(), ids=NOISE)
def test_noise_lies_far_apart_and_is_flagged_all_the_same(samples):
    found = likeness(samples, skin(200, seed=1))
    assert found.distance_ratio > 0.5 and not collapsed(vars(found))
    assert found.coarse_ratio < 0.25 and "nearly identical" in flags(vars(found))[0]


def test_varied_images_that_look_like_none_of_the_real_ones_are_flagged():
    clouds = torch.rand(64, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    clouds = torch.nn.functional.interpolate(clouds, size=64, mode="bilinear").mul(255).byte()
    for samples in (clouds, noisy(skin(64), 60)):
        found = likeness(samples, skin(200, seed=1))
        assert found.coarse_ratio > 0.5
        (flag,) = flags(vars(found))
        assert "no training image" in flag and found.nearest_ratio > 2


def test_where_nothing_can_be_compared_nothing_is_said():
    one = images(1, 1.0)
    assert likeness(one, images(9, 0.5)) is likeness(images(9, 0.5), images(2, 0.5)) is None
    assert likeness(images(9, 0.0), one.expand(9, 3, 16, 16)) is None
