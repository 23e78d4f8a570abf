"""A GAN's discriminator as a classifier. In paper 004, the discriminator of the DCGAN finally classifies lesions as
malignant or benign.

The paper does not state how. Its keyword "pretraining" suggests that the GAN is fitted without labels, and that the
discriminator's last layer is then replaced by a head of K classes and trained on labelled images. Thresholding the
real-or-fake logit would be another method, which is not offered. `mode` selects what is trained:

    finetune      the whole network (the default)
    linear-probe  only the head; the other layers keep the GAN's weights and BatchNorm statistics
    k+1           the semi-supervised loss of Salimans et al. 2016, section 5, with its K + 1st logit fixed at 0:
                  L = - E log p(y|x, y <= K) - E_real log D(x) - E_fake log (1 - D(x)),  D(x) = Z / (Z + 1),
                  Z = sum_k exp l_k(x)

The fakes of `k+1` are images of the fitted generator. They are drawn once, as many as there are training images (at
most 2,048). The generator is not trained further, so that any generator can be used and the classifiers of all arms get
the same number of updates. Images that a strategy adds to the training set are labelled and count as real, including
synthetic ones. The head is initialised from N(0, .02), as in DCGAN.

A discriminator can be used if it has a method `features(images) -> [N,...]` from which its logit is computed, or if its
forward pass takes images only. A discriminator with several outputs, or with labels as input, needs the method; its
layer `logit`, if present, is then left out. Without the method, the features are the input of its last linear layer or
convolution. If the output is a map of logits (PatchGAN), they are averaged over the map. Images of another side are
resized to the side of the generator.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.errors import UserError
from derm_bench.specs import SampleRequest
from derm_bench.training.classification import predict_proba
from derm_bench.training.engine import Engine, minimise
from derm_bench.training.losses import soft_cross_entropy
from derm_bench.training.module_classifier import ModuleClassifier
from derm_bench.training.optim import make_optimizer, make_schedule
from derm_bench.training.resize import resize_images, resized
from derm_bench.training.seeding import child_seed

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Batch, Run
    from derm_bench.specs import Generator, Task
    from derm_bench_plugins.classifiers.specs.discriminator import DiscriminatorOptions

MAX_FAKES = 2048
CHUNK = 128


class DiscriminatorClassifier(ModuleClassifier):
    """A copy of the discriminator of the generator `from`, with a new head for `task.classes`.

    It takes images in [-1,1].
    """

    def __init__(self, options: DiscriminatorOptions, task: Task) -> None:
        self.mode = options.mode
        self.source: Generator = task.inputs["from"]
        self.source_task = task.input_tasks.get("from", task)
        net = DiscriminatorNet(
            task.part("from"), self.source_task.size, len(task.classes), options.dropout, task.device
        )
        if self.mode == "linear-probe":
            options = options.model_copy(update={"freeze": True})
        super().__init__(net, net.head, options, task)

    def fit(self, train: ImageSet, val: ImageSet, run: Run) -> None:
        if self.mode == "k+1":
            self._fit_with_fakes(train, run)
        else:
            super().fit(train, val, run)

    def _fit_with_fakes(self, train: ImageSet, run: Run) -> None:
        """Train as `fit_classifier` does, with a batch of fakes in addition to each batch."""
        net, fakes = self.net, self.fakes(train, run.seed).to(run.device)
        engine = Engine(run, net=net)
        optimizer = make_optimizer(self.options, net.parameters())
        schedule = make_schedule(self.options.schedule, optimizer, self.options.lr, run.budget)
        engine.keep("optimizer", optimizer)
        engine.keep("schedule", schedule)
        draws = engine.stream("fakes")

        def step(batch: Batch) -> dict[str, torch.Tensor]:
            rows = torch.randint(len(fakes), (len(batch.images),), generator=draws, device=draws.device)
            fake = fakes[rows].float() / 127.5 - 1
            net.train()
            with engine.autocast():
                logits, fake_logits = net(batch.images), net(fake)
            supervised = soft_cross_entropy(logits, batch.targets, batch.weights)
            unsupervised = real_or_fake(logits, fake_logits)
            minimise(supervised + unsupervised + run.extra_loss(net, batch), optimizer)
            correct = logits.detach().argmax(dim=1) == batch.targets.argmax(dim=1)
            return {
                "loss": supervised,
                "loss_unsupervised": unsupervised,
                "accuracy": correct.float().mean(),
            }

        def after(batch: Batch, logs: Mapping[str, torch.Tensor]) -> None:
            schedule(batch.step, logs["loss"])
            run.evaluate(batch.step, lambda images: predict_proba(net, images), lambda: _copied(net))

        engine.fit(step, train, self.options.batch_size, after=after)
        best = run.selected()
        if best is not None:
            net.load_state_dict(best)

    def fakes(self, train: ImageSet, seed: int) -> torch.Tensor:
        """Return images of the generator, uint8 [n,3,size,size]; a conditional one gives equally many of each class."""
        classes = self.source_task.classes
        # The labels are indices into the generator's classes, which may be a subset of the classes of `train`.
        if set(classes) <= set(train.classes):
            train = train.of_classes(classes)
        shown, labels = resized(train, self.source_task.size), len(classes)
        each = -(-min(len(train), MAX_FAKES) // labels)
        images = []
        for label in range(labels):
            for start in range(0, each, CHUNK):
                request_seed = child_seed(seed, f"fakes {label} {start}") % 2**31
                request = SampleRequest(label, min(CHUNK, each - start), request_seed, start, each)
                images.append(self.source.sample(request, shown).images.cpu())
        return resize_images(torch.cat(images), self.task.size)


def real_or_fake(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return - E log D(real) - E log (1 - D(fake)), D = Z / (Z + 1), from logits [N,K] each, in float32."""
    z_real, z_fake = (torch.logsumexp(logits.float(), dim=1) for logits in (real, fake))
    return F.softplus(-z_real).mean() + F.softplus(z_fake).mean()


class DiscriminatorNet(nn.Module):
    """Images [N,3,S,S] -> logits [N,K]: a copy of a discriminator up to its features, followed by a head.

    `size` is the side at which the discriminator was trained. Raises UserError if no layer can be found that the head
    could replace.
    """

    def __init__(
        self, discriminator: nn.Module, size: int, classes: int, dropout: float, device: str = "cpu"
    ) -> None:
        super().__init__()
        self.trunk = copy.deepcopy(discriminator).to(device).requires_grad_(True)
        self.size = size
        self.tap: list[Tap] = []  # in a list, so that the module is not registered a second time
        probe = torch.zeros(2, 3, size, size, device=device)
        if not callable(getattr(self.trunk, "features", None)):
            self.tap.append(swap_last_layer(self.trunk, probe))
        elif isinstance(getattr(self.trunk, "logit", None), nn.Module):
            self.trunk.logit = nn.Identity()
        with torch.no_grad():
            width = self.in_eval_mode(probe).shape[1]
        linear = nn.Linear(width, classes, device=device)
        nn.init.normal_(linear.weight, 0.0, 0.02)
        nn.init.zeros_(linear.bias)
        self.head = nn.Sequential(nn.Dropout(dropout), linear)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(images))
        return logits

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features [N,D] from which the discriminator computes its logit."""
        if images.shape[-1] != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", antialias=True)
        if not self.tap:
            trunk: Any = self.trunk
            return torch.flatten(trunk.features(images), 1)
        self.trunk(images)
        return self.tap[0].features()

    def in_eval_mode(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features, computed in eval mode, so that BatchNorm statistics do not change."""
        self.trunk.eval()
        found = self.features(images)
        self.trunk.train()
        return found


class Tap(nn.Module):
    """The replacement of the layer that computes the logit: it keeps its input and returns zeros of the `shape` of that
    layer's output, so that the layers after it still work."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.shape = shape
        self.kept: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.kept = x
        return x.new_zeros(len(x), *self.shape)

    def features(self) -> torch.Tensor:
        """Return the input kept last, [N,D], averaged over the positions if the output is a map of logits."""
        assert self.kept is not None
        kept, self.kept = self.kept, None
        is_map = len(self.shape) == 3 and self.shape[1] * self.shape[2] > 1
        return kept.mean(dim=(2, 3)) if is_map else kept.flatten(1)


@torch.no_grad()
def swap_last_layer(net: nn.Module, probe: torch.Tensor) -> Tap:
    """Replace the last linear layer or convolution that a forward pass runs with a `Tap`, and return the tap."""
    ran: list[tuple[str, torch.Size]] = []
    hooks = [
        module.register_forward_hook(lambda _, __, out, name=name: ran.append((name, out.shape[1:])))
        for name, module in net.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    training = net.training
    net.eval()
    try:
        net(probe)
    except TypeError as error:
        raise UserError(
            f"the forward pass of {type(net).__name__} does not take images only: {error}",
            hint="a discriminator with further inputs needs a method features(images) to be used as a classifier",
        ) from error
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    if not ran:
        raise UserError(f"{type(net).__name__} has no linear layer or convolution that a head could replace")
    name, shape = ran[-1]
    tap = Tap(shape)
    parent, _, leaf = name.rpartition(".")
    setattr(net.get_submodule(parent), leaf, tap)
    return tap


def _copied(net: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.detach().clone() for key, value in net.state_dict().items()}
