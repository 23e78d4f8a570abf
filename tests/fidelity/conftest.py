"""Images with structure (coloured blobs on skin tones) and a reference network fitted with few updates."""

import pytest
import torch
from torch.nn import functional as F

from derm_bench.fidelity import reference
from derm_bench.images import ImageSet


def blobs(n, seed=0, size=64):
    """uint8 [n,3,size,size]: dark discs of random place, radius and tint on light, textured ground."""
    draw = torch.Generator().manual_seed(seed)
    rows = torch.arange(size)[None, :, None]
    columns = torch.arange(size)[None, None, :]
    centre = size * (0.35 + 0.3 * torch.rand(n, 2, 1, 1, generator=draw))
    radius = size * (0.12 + 0.15 * torch.rand(n, 1, 1, generator=draw))
    disc = ((rows - centre[:, 0]) ** 2 + (columns - centre[:, 1]) ** 2 < radius**2).float()[:, None]
    ground, tint = (
        torch.tensor(colour).view(1, 3, 1, 1) + spread * torch.randn(n, 3, 1, 1, generator=draw)
        for colour, spread in (([220.0, 170.0, 150.0], 10), ([90.0, 60.0, 50.0], 20))
    )
    texture = 12 * F.interpolate(torch.randn(n, 1, size // 2, size // 2, generator=draw), size=(size, size))
    return (disc * tint + (1 - disc) * ground + texture).clamp(0, 255).byte()


def image_set(n, classes=("a", "b"), seed=0, size=64):
    names = tuple(f"i{i}" for i in range(n))
    labels = torch.arange(n) % len(classes)
    images = blobs(n, seed, size)
    images[labels == 1] = images[labels == 1].flip(1)
    return ImageSet(images, labels, classes, names, names)


@pytest.fixture(scope="session")
def quick_reference():
    """The network after 15 of its updates: enough for orderings that are far apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "UPDATES", 15)
        state = reference.fit_reference(image_set(64))
    return reference.Reference.load(state, ("a", "b"))
