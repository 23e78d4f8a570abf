"""The two networks of the examples beside this file: a small DCGAN, for images whose side is divisible by 8."""

from torch import nn

Z, WIDTH = (
    64,
    32,
)  # length of the noise; channels at the full side, of which there are twice as many at half of it


def generator(
    size: int,
) -> nn.Sequential:  # noise [N,Z] -> images [N,3,size,size] in [-1,1]; 8 divides the size
    layers: list[nn.Module] = [nn.Linear(Z, 8 * WIDTH * (size // 8) ** 2)]
    layers += [nn.Unflatten(1, (8 * WIDTH, size // 8, size // 8)), nn.BatchNorm2d(8 * WIDTH), nn.ReLU()]
    for width in (4 * WIDTH, 2 * WIDTH, WIDTH):
        convolution = nn.Conv2d(2 * width, width, 3, padding=1)
        layers += [nn.Upsample(scale_factor=2), convolution, nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(WIDTH, 3, 3, padding=1), nn.Tanh())


def reader(size: int, outputs: int = 1) -> nn.Sequential:  # images [N,3,size,size] -> [N,outputs]
    layers: list[nn.Module] = []
    for a, b in ((3, WIDTH), (WIDTH, 2 * WIDTH), (2 * WIDTH, 4 * WIDTH)):
        layers += [nn.Conv2d(a, b, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * WIDTH * (size // 8) ** 2, outputs))
