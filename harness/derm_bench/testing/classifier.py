"""The rules for classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch

from derm_bench.images import ImageSet
from derm_bench.testing.fitting import ABOUT_FITS, Change, FitCase
from derm_bench.testing.phantoms import phantoms
from derm_bench.testing.rules import NotApplicable, Rule, plugin_code, require
from derm_bench.testing.runs import RecordedRun
from derm_bench.testing.spec import ABOUT_SPECS
from derm_bench.testing.watch import Watch
from derm_bench.training.feed import FeedOptions
from derm_bench.training.pixels import Pixels
from derm_bench.training.selection import Selection
from derm_bench.training.stage_run import Checkpointing

UPDATES = {"tiny": 4, "smoke": 20}
HALF = (0.5, 0.5, 0.5)


class ClassifierCase(FitCase):
    """A classifier with phantoms of three classes. The kit sets the budget, as a matrix would."""

    @cached_property
    def train(self) -> ImageSet:
        """The phantoms, with labels of the auxiliary tasks that the spec asks for; every fifth image has none."""
        images = phantoms(size=self.size)
        with plugin_code(f"{self.name}: auxiliary(options, classes)"):
            names = self.spec.auxiliary(self.options, images.classes) if self.spec.auxiliary else ()
        labels = torch.tensor([-1 if k % 5 == 4 else k % 2 for k in range(len(images))])
        return replace(images, aux_labels=dict.fromkeys(names, labels))

    @property
    def side(self) -> int:
        return int(self.options.input_size or self.size)

    def run(self, plugin: Any, change: Change) -> RecordedRun:
        return RecordedRun(
            seed=change.seed,
            budget=UPDATES[self.preset],
            device=change.device,
            feed=FeedOptions(
                batch_size=self.options.batch_size,
                size=self.side,
                mean=getattr(plugin, "mean", HALF),
                std=getattr(plugin, "std", HALF),
                label_smoothing=self.options.label_smoothing,
            ),
            selection=Selection(
                val=phantoms(per_class=6, size=self.size, seed=1), mode=self.options.select, evaluations=2
            ),
            checkpointing=Checkpointing(change.folder, seconds=0),
            die_at=change.die_at,
        )

    def call_fit(self, plugin: Any, run: Any, change: Change) -> None:
        plugin.fit(self.train, phantoms(per_class=6, size=self.size, seed=change.val_seed), run)

    def outputs(self, plugin: Any, watch: Watch | None = None) -> list[torch.Tensor]:
        return [self.predict(plugin, self.test, watch)]

    @cached_property
    def test(self) -> ImageSet:
        return phantoms(per_class=5, size=self.size, seed=2)

    def predict(self, plugin: Any, images: ImageSet, watch: Watch | None = None) -> torch.Tensor:
        """Return probabilities on the CPU for images normalised as the harness does."""
        parts = list(plugin.parts().values())
        where = next((str(p.device) for part in parts for p in part.parameters()), "cpu")
        mean, std = getattr(plugin, "mean", HALF), getattr(plugin, "std", HALF)
        pixels = next(Pixels(images.images, where, self.side, mean, std).chunks(len(images)))
        watched = watch or nullcontext()
        with torch.inference_mode(), watched, plugin_code(f"{self.name}: predict_proba()"):
            proba = plugin.predict_proba(pixels)
        require(
            isinstance(proba, torch.Tensor),
            f"{self.name}: predict_proba() returned {type(proba).__name__}; return a float32 tensor [N,classes]",
        )
        return torch.as_tensor(proba).detach().cpu()


def probabilities_have_the_right_shape(case: ClassifierCase) -> None:
    """Probabilities have the shape [N,classes], for one and for several images."""
    classes = len(case.train.classes)
    for n in (1, 5):
        shape = list(case.predict(case.first.plugin, case.test.subset(range(n))).shape)
        require(
            shape == [n, classes],
            f"{case.name}: predict_proba() of {n} images returned shape {shape}, expected {[n, classes]}; one row per "
            "image, one column per class of task.classes",
        )


def probabilities_are_float32(case: ClassifierCase) -> None:
    """Probabilities are float32, not class indices or half precision."""
    dtype = case.first.outputs[0].dtype
    require(
        dtype == torch.float32,
        f"{case.name}: probabilities are {dtype}, expected torch.float32; end predict_proba() with .float()",
    )


def probabilities_sum_to_one(case: ClassifierCase) -> None:
    """Probabilities are in [0,1], and each row sums to 1."""
    proba = case.first.outputs[0].double()
    if proba.ndim != 2:
        raise NotApplicable("the probabilities have the wrong shape")
    good = proba.isfinite().all() and proba.min() >= 0 and ((proba.sum(-1) - 1).abs() < 1e-4).all()
    require(
        bool(good),
        f"{case.name}: probabilities from {float(proba.min()):.3g} to {float(proba.max()):.3g}, rows that sum to "
        f"{float(proba.sum(-1).min()):.3g} or more; return logits.softmax(dim=1), not logits",
    )


def an_image_is_predicted_by_itself(case: ClassifierCase) -> None:
    """Probabilities do not depend on the other images of the batch, as test images must not affect each other."""
    plugin, whole = case.first.plugin, case.first.outputs[0]
    parts = [case.predict(plugin, case.test.subset(range(k, k + 5))) for k in range(0, len(case.test), 5)]
    alone = torch.cat(parts)
    require(
        alone.shape != whole.shape or torch.allclose(alone.float(), whole.float(), atol=1e-4),
        f"{case.name}: an image's probabilities change with the other images of the batch; call eval() before "
        "predicting, and use no statistic of the batch",
    )


def images_make_a_difference(case: ClassifierCase) -> None:
    """Probabilities differ between images."""
    rows = case.first.outputs[0]
    require(
        len(rows) < 2 or bool((rows != rows[:1]).any()),
        f"{case.name}: every image gets the same probabilities after {case.first.run.budget} updates; let the output "
        "depend on the images, and increase the learning rate of preset tiny",
    )


def validation_images_are_not_trained_on(case: ClassifierCase) -> None:
    """The validation images passed to `fit` do not change the fit; selection happens in run.evaluate."""
    if not case.deterministic:
        raise NotApplicable("fits with the same seed differ, so they cannot be compared")
    other = case.fit(Change(val_seed=9))
    require(
        torch.equal(other.outputs[0], case.first.outputs[0]),
        f"{case.name}: the fit depends on the pixels of `val`; train on run.batches(train) alone, and leave selection "
        "to run.evaluate and run.selected",
    )


def evaluates_after_every_update(case: ClassifierCase) -> None:
    """run.evaluate is called after every update, which `select: best`, curves and equal evaluation steps require."""
    missing = case.first.run.evaluation_steps - set(case.first.run.evaluated)
    require(
        not missing,
        f"{case.name}: fit() did not call run.evaluate(step, predict, state) at update {sorted(missing)}; call it "
        "after every update with batch.step; the harness selects the steps",
    )


def kept_states_are_copies(case: ClassifierCase) -> None:
    """The state passed to run.evaluate does not change as training continues; otherwise the best would be the last."""
    require(
        all(_equal(kept, copy) for kept, copy in case.first.run.kept),
        f"{case.name}: the state passed to run.evaluate changes as training continues; pass copies: "
        "{key: value.detach().clone() for key, value in net.state_dict().items()}",
    )


def logits_can_be_differentiated(case: ClassifierCase) -> None:
    """logits(images), if there is one, is differentiable with respect to images in [0,1] and agrees with
    predict_proba."""
    plugin = case.first.plugin
    if getattr(plugin, "logits", None) is None:
        raise NotApplicable("the plugin has no method logits(images), which guidance needs")
    before = {name: value.clone() for name, value in plugin.state().items()}
    where = next((str(p.device) for part in plugin.parts().values() for p in part.parameters()), "cpu")
    pixels = (case.test.images.to(where).float() / 255).requires_grad_()
    with plugin_code(f"{case.name}: logits(images)"):
        logits = plugin.logits(pixels)
        (slope,) = torch.autograd.grad(logits.log_softmax(dim=1)[:, 0].sum(), pixels)
    require(
        bool(slope.isfinite().all() and (slope != 0).any()),
        f"{case.name}: the gradient of logits(images) is not finite, or zero everywhere; compute it without "
        "torch.no_grad, inference_mode or detach",
    )
    after = plugin.state()
    require(
        all(torch.equal(value, after[name]) for name, value in before.items()),
        f"{case.name}: logits(images) changes the state of the classifier; call eval() first",
    )
    same = case.side != case.size or torch.allclose(
        logits.detach().softmax(dim=1).cpu(), case.first.outputs[0].float(), atol=1e-4
    )
    require(
        same,
        f"{case.name}: the softmax of logits(images) is not what predict_proba returns; it gets images in [0,1] and "
        "normalises them itself",
    )


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, Mapping):
        return all(_equal(one[key], other[key]) for key in other)
    return not isinstance(one, (list, tuple)) or all(map(_equal, one, other))


RULES: tuple[Rule, ...] = (
    *ABOUT_SPECS,
    probabilities_have_the_right_shape,
    probabilities_are_float32,
    probabilities_sum_to_one,
    an_image_is_predicted_by_itself,
    images_make_a_difference,
    validation_images_are_not_trained_on,
    evaluates_after_every_update,
    kept_states_are_copies,
    logits_can_be_differentiated,
    *ABOUT_FITS,
)
