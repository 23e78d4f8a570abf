"""The reference network of the `_domain` metrics: a small residual network at 64 px, fitted to the training split.

It learns to predict the classes. Since features must be useful for data with one class or few images too, it also
learns two tasks that need no labels: the quarter turn by which an image was rotated, and the corruption of an image
(none, blur, noise or shuffled blocks). Architecture, seed and number of updates are fixed, so that values of one split
can be compared. A change of parameters or features requires a new protocol version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from derm_bench.images import ImageSet
from derm_bench.training.precision import full_float32
from derm_bench.training.resize import resize_images

SIZE = 64
CROP = 56
WIDTHS = (24, 32, 64)
FEATURES = WIDTHS[1] + WIDTHS[2]
SEED = 20_260_101
UPDATES = 160
BATCH = 64
LR = 3e-3
WEIGHT_DECAY = 0.05
MOMENTS_OF = 2048
CORRUPTIONS = 4


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al. 2016, pre-activation), which halve the side."""

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(fan_in)
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, 2, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, 1, 1, bias=False)
        self.skip = nn.Conv2d(fan_in, fan_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(x))
        return self.skip(F.avg_pool2d(x, 2)) + self.conv2(F.relu(self.norm2(self.conv1(x))))


class Network(nn.Module):
    """The network: float32 [N,3,64,64] in [-1,1] -> features [N,96], the means of its feature maps at two depths.

    `classes`, `turns` and `corruptions` are linear heads on the features, used only while fitting. `mean` and `std` of
    the features over training images are used to standardise features.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTHS[0], 3, 2, 1, bias=False)
        self.middle = Block(WIDTHS[0], WIDTHS[1])
        self.high = Block(WIDTHS[1], WIDTHS[2])
        self.norm = nn.BatchNorm2d(WIDTHS[2])
        self.classes = nn.Linear(FEATURES, classes)
        self.turns = nn.Linear(FEATURES, 4)
        self.corruptions = nn.Linear(FEATURES, CORRUPTIONS)
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("std", torch.ones(FEATURES))

    def forward(self, x: Tensor) -> Tensor:
        middle = self.middle(self.stem(x))
        high = F.relu(self.norm(self.high(middle)))
        return torch.cat([F.relu(middle).mean((2, 3)), high.mean((2, 3))], 1)


class Reference:
    """The extractor `domain`: uint8 images [N,3,H,W] -> float64 features [N,96] (NumPy), with mean 0 and standard
    deviation 1 over the training images. Images of another size are resized to 64 px, bilinear, antialiased.
    """

    name = "domain"

    def __init__(self, network: Network, device: str | torch.device = "cpu") -> None:
        self.network = network.to(device).eval()
        self.device = device

    @classmethod
    def load(
        cls, state: Mapping[str, Tensor], classes: int | tuple[str, ...], device: str | torch.device = "cpu"
    ) -> Reference:
        """Create the extractor from the state dict of `fit_reference` and the classes (or their number) of its data."""
        network = Network(classes if isinstance(classes, int) else len(classes))
        network.load_state_dict(dict(state))
        return cls(network, device)

    @torch.inference_mode()
    def features(self, images: Tensor) -> NDArray[np.float64]:
        """Return the features of uint8 images [N,3,H,W]. The network runs in float32 without TF32."""
        with full_float32():
            parts = [
                self.network(_normalised(resize_images(part, SIZE).to(self.device))).double()
                for part in images.split(256)
            ]
        out = torch.cat(parts) if parts else torch.empty(0, FEATURES, dtype=torch.float64)
        standard = (out - self.network.mean.to(out)) / self.network.std.to(out)
        return standard.cpu().numpy()

    __call__ = features


def fit_reference(train: ImageSet, device: str | torch.device = "cpu") -> dict[str, Tensor]:
    """Fit the network to the whole training split, in about 10 s on one core. Returns its state dict on the CPU.

    Classes are drawn equally often. On the CPU, the same images give the same state for any number of threads and any
    memory layout of the images. TF32 is not used. Raises ValueError if there are no images.
    """
    if not len(train):
        raise ValueError("the reference network needs training images")
    with _one_thread(), full_float32():
        return _fit(train, device)


def _fit(train: ImageSet, device: str | torch.device) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = Network(len(train.classes)).to(device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = resize_images(train.images, SIZE)
    labels = train.labels
    weights = 1.0 / torch.bincount(labels, minlength=len(train.classes)).clamp(min=1)[labels]
    draw = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=UPDATES)
    for _ in range(UPDATES):
        index = torch.multinomial(weights, BATCH, replacement=True, generator=draw)
        batch, turns, corruptions = distort(images[index].contiguous(), draw)
        features = network(_normalised(batch.to(device)))
        loss = F.cross_entropy(network.classes(features), labels[index].to(device))
        loss = loss + F.cross_entropy(network.turns(features), turns.to(device))
        loss = loss + F.cross_entropy(network.corruptions(features), corruptions.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    _set_moments(network, images, device)
    return {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}


def distort(images: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Apply random 56 px crops and flips to uint8 [N,3,64,64], then a quarter turn and a corruption to each image.

    Returns uint8 [N,3,56,56], turns int64 [N] in 0..3, corruptions int64 [N] (none, blur, noise, blocks).
    """
    n = len(images)

    def integers(high: int) -> Tensor:
        return torch.randint(high, (n,), generator=draw)

    windows = images.unfold(2, CROP, 1).unfold(3, CROP, 1)
    slack = SIZE - CROP + 1
    batch = windows[torch.arange(n), :, integers(slack), integers(slack)]
    batch = torch.where(_each(integers(2) == 1), batch.flip(3), batch)
    turns, corruptions = integers(4), integers(CORRUPTIONS)
    for k in (1, 2, 3):
        batch = torch.where(_each(turns == k), batch.rot90(k, (2, 3)), batch)
    for k, corrupt in enumerate((_blurred, _noisy, _shuffled), 1):
        batch[corruptions == k] = corrupt(batch[corruptions == k], draw)
    return batch, turns, corruptions


def _blurred(images: Tensor, _: torch.Generator) -> Tensor:
    """Apply a Gaussian blur of sigma 1.2 px."""
    offsets = torch.arange(-3, 4, dtype=torch.float32)
    kernel = torch.exp(-(offsets**2) / (2 * 1.2**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, 7)
    x = F.pad(images.float(), (3, 3, 3, 3), mode="reflect")
    x = F.conv2d(F.conv2d(x, kernel, groups=3), kernel.transpose(2, 3), groups=3)
    return x.round_().clamp_(0, 255).byte()


def _noisy(images: Tensor, draw: torch.Generator) -> Tensor:
    """Add Gaussian noise of standard deviation 10 (of 255)."""
    noise = torch.randn(images.shape, generator=draw) * 10
    return (images.float() + noise).round_().clamp_(0, 255).byte()


def _shuffled(images: Tensor, draw: torch.Generator) -> Tensor:
    """Permute the 16 blocks of 14 px, in the same order for all images."""
    n, side = len(images), CROP // 4
    blocks = images.reshape(n, 3, 4, side, 4, side).permute(0, 2, 4, 1, 3, 5).reshape(n, 16, 3, side, side)
    blocks = blocks[:, torch.randperm(16, generator=draw)].reshape(n, 4, 4, 3, side, side)
    return blocks.permute(0, 3, 1, 4, 2, 5).reshape(n, 3, CROP, CROP)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread within the block: more would not be faster and would change the order of sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@torch.inference_mode()
def _set_moments(network: Network, images: Tensor, device: str | torch.device) -> None:
    """Set the mean and standard deviation of the features over up to 2048 evenly spaced training images."""
    index = torch.linspace(0, len(images) - 1, min(len(images), MOMENTS_OF)).long()
    network.eval()
    parts = [network(_normalised(part.to(device))).double() for part in images[index].split(256)]
    out = torch.cat(parts)
    spread = out.std(0, unbiased=False)
    network.mean.copy_(out.mean(0))
    # Without a lower bound, a feature that hardly varies over the reals would magnify small differences.
    network.std.copy_(spread.clamp(min=max(float(spread.mean()) * 0.1, 1e-6)))


def _normalised(images: Tensor) -> Tensor:
    return images.to(memory_format=torch.channels_last).float().div_(127.5).sub_(1)


def _each(chosen: Tensor) -> Tensor:
    return chosen.view(-1, 1, 1, 1)
