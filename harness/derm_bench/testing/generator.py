"""The rules for generators."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property
from typing import Any

import torch

from derm_bench.images import ImageSet, Samples
from derm_bench.specs import SampleRequest
from derm_bench.testing.fitting import ABOUT_FITS, Change, FitCase, Fitted
from derm_bench.testing.phantoms import phantoms
from derm_bench.testing.rules import NotApplicable, Rule, plugin_code, require
from derm_bench.testing.runs import RecordedRun
from derm_bench.testing.spec import ABOUT_SPECS
from derm_bench.testing.watch import Watch
from derm_bench.training.feed import FeedOptions
from derm_bench.training.seeding import seed_everything
from derm_bench.training.stage_run import Checkpointing

N = 8  # samples per request


class GeneratorCase(FitCase):
    """A generator with phantoms of three classes, or of one class if it is unconditional."""

    @property
    def side(self) -> int:
        return int(self.options.size or self.size)

    @cached_property
    def train(self) -> ImageSet:
        images = phantoms(size=self.side)
        return images if self.spec.conditional else images.of_classes(images.classes[:1])

    def run(self, plugin: Any, change: Change) -> RecordedRun:
        batch_size = getattr(self.options, self.spec.batch_option, 64)
        return RecordedRun(
            seed=change.seed,
            budget=self.options.budget.in_updates(len(self.train), batch_size),
            device=change.device,
            feed=FeedOptions(batch_size),
            checkpointing=Checkpointing(change.folder, seconds=0),
            die_at=change.die_at,
        )

    def call_fit(self, plugin: Any, run: Any, change: Change) -> None:
        plugin.fit(self.train, run)

    def outputs(self, plugin: Any, watch: Watch | None = None) -> list[torch.Tensor]:
        """Return samples of every class."""
        labels = range(len(self.train.classes))
        drawn = [self.draw(plugin, label, watch=watch).images for label in labels]
        return [images.cpu() if isinstance(images, torch.Tensor) else torch.empty(0) for images in drawn]

    def draw(
        self, plugin: Any, label: int = 0, n: int = N, seed: int = 5, watch: Watch | None = None
    ) -> Samples:
        """Draw one chunk of samples, with a request like that of the sample stage."""
        seed_everything(seed)
        given = self.train if self.spec.conditions_on != "none" else None
        with watch or nullcontext(), plugin_code(f"{self.name}: sample({n} of label {label})"):
            drawn: Samples = plugin.sample(SampleRequest(label, n, seed), given)
        require(
            isinstance(drawn, Samples) and isinstance(drawn.images, torch.Tensor),
            f"{self.name}: sample() returned {type(drawn).__name__}; return "
            "derm_bench.images.Samples(images) with a tensor",
        )
        return drawn

    @property
    def fitted(self) -> Fitted:
        return self.first


def samples_have_the_right_shape(case: GeneratorCase) -> None:
    """Samples have the shape [n,3,size,size], for one and for several images."""
    for n in (1, N):
        shape = tuple(case.draw(case.fitted.plugin, n=n).images.shape)
        require(
            shape == (n, 3, case.side, case.side),
            f"{case.name}: sample() of n={n} returned shape {list(shape)}, expected "
            f"{[n, 3, case.side, case.side]}; return request.n images of side task.size, channels first",
        )


def samples_are_uint8(case: GeneratorCase) -> None:
    """Samples are uint8."""
    dtype = case.fitted.outputs[0].dtype
    require(
        dtype == torch.uint8,
        f"{case.name}: samples are {dtype}, expected torch.uint8; to convert from [-1,1] use "
        "images.mul(127.5).add(127.5).round().clamp(0, 255).to(torch.uint8)",
    )


def samples_span_the_pixel_range(case: GeneratorCase) -> None:
    """Pixels range from 0 to 255, not from 0 to 1."""
    brightest = max(float(images.max()) if images.numel() else 0.0 for images in case.fitted.outputs)
    require(
        brightest > 1.0 or case.fitted.outputs[0].dtype != torch.uint8,
        f"{case.name}: no pixel of {N} samples is above {brightest:g}; uint8 images range from 0 to 255: scale before "
        "the conversion (from [0,1] times 255, from [-1,1] times 127.5 plus 127.5)",
    )


def equal_requests_give_equal_samples(case: GeneratorCase) -> None:
    """Samples depend on the seed of the request, not on earlier requests."""
    plugin = case.fitted.plugin
    one, other = case.draw(plugin).images, case.draw(plugin).images
    require(
        one.shape == other.shape and torch.equal(one, other),
        f"{case.name}: the same request gave other samples the second time; draw noise from "
        "a new stream(request.seed, NAME) in every call of sample(), and switch to eval mode",
    )


def other_requests_give_other_samples(case: GeneratorCase) -> None:
    """Requests with different seeds give different samples, unless the generator is finite and has a fixed order."""
    if case.spec.finite:
        raise NotApplicable(
            "the generator has a finite number of images, in an order that the fit determines"
        )
    plugin = case.fitted.plugin
    one, other = case.draw(plugin, seed=5).images, case.draw(plugin, seed=6).images
    require(
        one.shape != other.shape or not torch.equal(one, other),
        f"{case.name}: requests with seeds 5 and 6 gave the same samples; make the noise depend on request.seed",
    )


def classes_differ(case: GeneratorCase) -> None:
    """A conditional generator gives different samples for different classes."""
    if not case.spec.conditional:
        raise NotApplicable("the generator is unconditional: the harness fits one per class")
    red, green, blue = case.fitted.outputs
    same = [a for a, b in ((0, green), (1, blue)) if torch.equal((red, green)[a], b)]
    require(
        not same,
        f"{case.name}: samples of label {', '.join(f'{k} and {k + 1}' for k in same)} are the same; make them depend "
        "on request.label, or remove `conditional=True` from the spec",
    )


def outputs_of_the_discriminator_are_declared(case: GeneratorCase) -> str | None:
    """A fit logs both `discriminator_outputs` of its spec, or neither."""
    logged = {row.metric for row in case.fitted.run.history()}
    declared = case.spec.discriminator_outputs
    if declared is None:
        return WATCHED if {"d_real", "d_fake"} <= logged else None
    found = [name for name in declared if name in logged]
    require(
        len(found) != 1,
        f"{case.name}: discriminator_outputs of the spec are {list(declared)}, and fit() logs only {found}; log both "
        "at the same updates, as means of probabilities in [0,1]",
    )
    return None


def realness_grades_each_image(case: GeneratorCase) -> str | None:
    """`realness`, if the spec states it, gives one finite number per image that does not depend on the other images,
    and changes neither the images nor the generator."""
    plugin = case.fitted.plugin
    if not case.spec.realness:
        return UNSTATED if callable(getattr(plugin, "realness", None)) else None
    images = case.train.images[:N].to("cpu", torch.float32).div(127.5).sub(1)
    before = {name: tensor.clone() for name, tensor in plugin.state().items()}
    whole, given = _grades(case, plugin, images.clone())
    halves = torch.cat([_grades(case, plugin, part)[0] for part in images.split((1, N - 1))])
    require(
        torch.allclose(whole, halves, rtol=1e-3, atol=1e-5),
        f"{case.name}: realness() of an image depends on the images that are given with it; switch the discriminator "
        "to eval mode, and use no statistics of the batch",
    )
    after = plugin.state()
    changed = [name for name, tensor in before.items() if not torch.equal(tensor, after[name])]
    changed += [] if torch.equal(given, images) else ["the images"]
    require(
        not changed,
        f"{case.name}: realness() changes {', '.join(changed[:3])}; switch to eval mode and work on copies",
    )
    return None


def _grades(case: GeneratorCase, plugin: Any, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The grades of images of the first class, float64 [n], and the images as they are afterwards."""
    with torch.inference_mode(), plugin_code(f"{case.name}: realness({len(images)} images)"):
        found = plugin.realness(images, 0)
    what = list(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
    require(
        what == [len(images)] and bool(found.isfinite().all()),
        f"{case.name}: realness() of {len(images)} images returned {what}; return one finite float per image, such as "
        "its logit, in a tensor [n]",
    )
    return found.double().cpu(), images


UNSTATED = (
    "the generator has a method realness(images, label), and its spec does not say so: write realness=True, and "
    "`synthetic.filter: {by: discriminator}` can use it"
)
WATCHED = (
    "fit() logs d_real and d_fake, and the spec does not say what they are: if they are the mean probabilities of "
    "being real of real and of generated images, write "
    'discriminator_outputs=("d_real", "d_fake"), and the harness ends fits whose discriminator is dead'
)


RULES: tuple[Rule, ...] = (
    *ABOUT_SPECS,
    samples_have_the_right_shape,
    samples_are_uint8,
    samples_span_the_pixel_range,
    equal_requests_give_equal_samples,
    other_requests_give_other_samples,
    classes_differ,
    outputs_of_the_discriminator_are_declared,
    realness_grades_each_image,
    *ABOUT_FITS,
)
