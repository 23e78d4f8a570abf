"""Small images in memory for the kit: classes that are easy to distinguish, with groups, ages and masks."""

from __future__ import annotations

import torch

from derm_bench.images import ImageSet

COLOURS = ((200, 80, 70), (90, 170, 90), (80, 90, 190), (190, 180, 80))
NAMES = ("red", "green", "blue", "yellow")


def phantoms(classes: int = 3, per_class: int = 16, size: int = 32, seed: int = 0) -> ImageSet:
    """Return `per_class` images of each of 2 to 4 classes, uint8 [N,3,size,size]: a coloured disc on a skin tone."""
    generator = torch.Generator().manual_seed(seed)
    n = classes * per_class
    labels = torch.arange(n) % classes
    axis = torch.linspace(-1, 1, size)
    centre = torch.rand(n, 2, 1, 1, generator=generator) * 0.6 - 0.3
    distance = ((axis[:, None] - centre[:, :1]) ** 2 + (axis[None, :] - centre[:, 1:]) ** 2).sqrt()
    radius = 0.35 + 0.25 * torch.rand(n, 1, 1, 1, generator=generator)
    disc = (distance < radius).float()
    colour = torch.tensor(COLOURS, dtype=torch.float32)[labels].view(n, 3, 1, 1)
    skin = torch.tensor((215.0, 175.0, 155.0)).view(1, 3, 1, 1)
    noise = 12 * torch.randn(n, 3, size, size, generator=generator)
    images = (disc * colour + (1 - disc) * skin + noise).clamp(0, 255).to(torch.uint8)
    return ImageSet(
        images,
        labels,
        NAMES[:classes],
        tuple(f"phantom-{seed}-{k:03d}" for k in range(n)),
        tuple(f"lesion-{seed}-{k // 2:03d}" for k in range(n)),
        attributes={"age": [20 + k % 60 for k in range(n)]},
        masks=(disc * 255).to(torch.uint8),
    )
