"""The reference networks of the `_domain` metrics: small residual networks at 64 px, fitted to the training split.

Each learns to predict the classes. Since features must be useful for data with one class or few images too, it also
learns two tasks that need no labels: the quarter turn by which an image was rotated, and whether its blocks were
shuffled. Mild noise and blur are augmentation and not a task: a network that is trained to detect them calls an image
with invisible noise far from real ones. The last maps are pooled to 2x2, so that place counts.

Networks of other seeds disagree about images that are nearly right, so that every metric is the mean over `NETWORKS`
of them. Architecture, seeds and number of updates are fixed, so that values of one split can be compared. A change of
parameters or features requires a new protocol version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise, product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from derm_bench.fidelity.by_network import FEATURES, NETWORKS
from derm_bench.images import ImageSet
from derm_bench.training.precision import full_float32
from derm_bench.training.resize import resize_images

SIZE = 64
WIDTHS = (16, 32, 64)
POOLED = 2
SEED = 20_261_101
UPDATES = 75
BATCH = 64
LR = 3e-3
WEIGHT_DECAY = 0.05
MOMENTS_OF = 2048
BLOCKS = 4
"""The side of the table of blocks that are shuffled."""


class Network(nn.Module):
    """One network: float32 [N,3,64,64] in [-1,1] -> features [N,256]. Three 3x3 convolutions that halve the side, a
    fourth with a shortcut, each with batch normalisation and ReLU; the last maps are pooled to 2x2.

    `classes`, `turns` and `shuffled` are linear heads on the features, used only while fitting. `mean` and `std` of the
    features over training images are used to standardise features.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        sizes = pairwise((3, *WIDTHS))
        self.halving = nn.Sequential(*(_layer(fan_in, fan_out, stride=2) for fan_in, fan_out in sizes))
        self.last = _layer(WIDTHS[-1], WIDTHS[-1], stride=1)
        self.classes = nn.Linear(FEATURES, classes)
        self.turns = nn.Linear(FEATURES, 4)
        self.shuffled = nn.Linear(FEATURES, 2)
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("std", torch.ones(FEATURES))

    def forward(self, x: Tensor) -> Tensor:
        maps = self.halving(x)
        return F.adaptive_avg_pool2d(maps + self.last(maps), POOLED).flatten(1)


def _layer(fan_in: int, fan_out: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(fan_in, fan_out, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(fan_out), nn.ReLU(True))


class Reference:
    """The extractor `domain`: uint8 images [N,3,H,W] -> float64 features [N,NETWORKS*256] (NumPy), those of one network
    after those of another, each with mean 0 and standard deviation 1 over the training images. Images of another size
    are resized to 64 px, bilinear, antialiased.
    """

    name = "domain"

    def __init__(self, networks: nn.ModuleList, device: str | torch.device = "cpu") -> None:
        self.networks = networks.to(device).eval()
        self.device = device

    @classmethod
    def load(
        cls, state: Mapping[str, Tensor], classes: int | tuple[str, ...], device: str | torch.device = "cpu"
    ) -> Reference:
        """Create the extractor from the state dict of `fit_reference` and the classes (or their number) of its data."""
        count = classes if isinstance(classes, int) else len(classes)
        networks = nn.ModuleList(Network(count) for _ in range(NETWORKS))
        networks.load_state_dict(dict(state))
        return cls(networks, device)

    @torch.inference_mode()
    def features(self, images: Tensor) -> NDArray[np.float64]:
        """Return the features of uint8 images [N,3,H,W]. The networks run in float32 without TF32."""
        with full_float32():
            parts = [
                self._standardised(_normalised(resize_images(part, SIZE).to(self.device)))
                for part in images.split(256)
            ]
        out = torch.cat(parts) if parts else torch.empty(0, NETWORKS * FEATURES, dtype=torch.float64)
        return out.cpu().numpy()

    __call__ = features

    def _standardised(self, batch: Tensor) -> Tensor:
        found = []
        for network in self.networks:
            assert isinstance(network, Network)
            out = network(batch).double()
            found.append((out - network.mean.to(out)) / network.std.to(out))
        return torch.cat(found, 1)


def fit_reference(train: ImageSet, device: str | torch.device = "cpu") -> dict[str, Tensor]:
    """Fit the networks to the whole training split, in under a minute on two cores. Return their state dict on the CPU.

    Classes are drawn equally often. On the CPU, the same images give the same state for any number of threads, of which
    each network takes one, and any memory layout of the images. TF32 is not used. Raises ValueError if there are no
    images.
    """
    if not len(train):
        raise ValueError("the reference networks need training images")
    classes = len(train.classes)
    with torch.random.fork_rng(devices=[]):
        networks = nn.ModuleList()
        for k in range(NETWORKS):
            torch.manual_seed(SEED + k)
            networks.append(Network(classes).to(device))
    side_by_side = torch.get_num_threads() if torch.device(device).type == "cpu" else 1
    images = resize_images(train.images, SIZE).contiguous()

    def fit(k: int) -> None:
        torch.set_num_threads(1)
        _fit(networks[k], images, train.labels, SEED + k, device)  # type: ignore[arg-type]

    with _one_thread(), full_float32(), ThreadPoolExecutor(min(NETWORKS, side_by_side)) as pool:
        list(pool.map(fit, range(NETWORKS)))
    return {name: value.detach().cpu().contiguous() for name, value in networks.state_dict().items()}


def _fit(network: Network, images: Tensor, labels: Tensor, seed: int, device: str | torch.device) -> None:
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    count = network.classes.out_features
    weights = 1.0 / torch.bincount(labels, minlength=count).clamp(min=1)[labels]
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LR, weight_decay=WEIGHT_DECAY, foreach=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=UPDATES)
    for _ in range(UPDATES):
        index = torch.multinomial(weights, BATCH, replacement=True, generator=draw)
        batch, turns, shuffled = distort(images.index_select(0, index), draw)
        features = network(batch.to(device).contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(network.classes(features), labels[index].to(device))
        loss = loss + F.cross_entropy(network.turns(features), turns.to(device))
        loss = loss + F.cross_entropy(network.shuffled(features), shuffled.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    _set_moments(network.eval(), images, device)


def distort(images: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Turn some of uint8 images [N,3,S,S] by quarters, shuffle the blocks of some, and damage some mildly.

    Returns float32 [N,3,S,S], about in [-1,1]; turns int64 [N] in 0..3; shuffled int64 [N] in 0..1.
    """
    n = len(images)
    batch = images.float().div_(127.5).sub_(1)
    turns = torch.randint(4, (n,), generator=draw)
    for k in (1, 2, 3):
        chosen = _where(turns == k)
        batch.index_copy_(0, chosen, batch.index_select(0, chosen).rot90(k, (2, 3)))
    shuffled = torch.randint(2, (n,), generator=draw)
    chosen = _where(shuffled == 1)
    batch.index_copy_(0, chosen, _blocks_shuffled(batch.index_select(0, chosen), draw))
    return _mildly_damaged(batch, draw), turns, shuffled


def _blocks_shuffled(x: Tensor, draw: torch.Generator) -> Tensor:
    """Permute the 16 blocks of images [N,3,S,S], in the same order for all."""
    side = x.shape[-1] // BLOCKS
    places = [
        (..., slice(i, i + side), slice(j, j + side))
        for i, j in product(range(0, x.shape[-1], side), repeat=2)
    ]
    out = torch.empty_like(x)
    for place, source in zip(places, torch.randperm(BLOCKS**2, generator=draw).tolist(), strict=True):
        out[place] = x[places[source]]
    return out


def _mildly_damaged(x: Tensor, draw: torch.Generator) -> Tensor:
    """Add noise of up to 8 of 255 levels to half of the images, and blur half of them a little (3x3). Changes `x`."""
    n = len(x)

    def half() -> Tensor:
        return _where(torch.rand(n, generator=draw) < 0.5)

    def uniform(count: int) -> Tensor:
        return torch.rand(count, 1, 1, 1, generator=draw)

    noisy = half()
    deviation = uniform(len(noisy)) * 8 / 127.5
    x.index_add_(0, noisy, torch.randn((len(noisy), *x.shape[1:]), generator=draw).mul_(deviation))
    blurred = half()
    sharp, share = x.index_select(0, blurred), uniform(len(blurred)) * 0.7
    x.index_copy_(0, blurred, sharp.lerp_(_mean3x3(sharp), share))
    return x


def _mean3x3(x: Tensor) -> Tensor:
    """Return the means of 3x3 pixels [N,3,S,S], as sums of shifted images: faster than pooling on the CPU."""
    x = F.pad(x, (1, 1, 1, 1), mode="reflect")
    x = x[..., :-2] + x[..., 1:-1] + x[..., 2:]
    return (x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]).div_(9)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread within the block: more would change the order of sums."""
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
    # Small batches stay in the cache of a processor: half of the time of batches of 256.
    parts = [network(_normalised(part.to(device))).double() for part in images[index].split(32)]
    out = torch.cat(parts)
    spread = out.std(0, unbiased=False)
    network.mean.copy_(out.mean(0))
    # Without a lower bound, a feature that hardly varies over the reals would magnify small differences.
    network.std.copy_(spread.clamp(min=max(float(spread.mean()) * 0.1, 1e-6)))


def _normalised(images: Tensor) -> Tensor:
    return images.to(memory_format=torch.channels_last).float().div_(127.5).sub_(1)


def _where(chosen: Tensor) -> Tensor:
    return chosen.nonzero()[:, 0]
