"""Spectral normalisation of the layers of a network (Miyato et al. 2018, ICLR)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Embedding)
# Steps of the power iteration before training, as in torch.
FIRST_STEPS = 15
EPSILON = 1e-12


def spectrally_normalised(net: nn.Module) -> nn.Module:
    """Divide the weight of every convolution, linear layer and embedding of `net` by its largest singular value, in all
    forward passes from now on. Returns `net`.

    Call it after the weights are initialised, since an initialisation cannot set a weight that is computed. A
    convolution counts as the matrix [output channels, input channels x kernel]. In train mode each forward pass
    performs one step of the power iteration (algorithm 1 of the paper); in eval mode the last estimate is used. Biases
    and normalisation layers do not change. A layer that is normalised already is left as it is.
    """
    for layer in [module for module in net.modules() if isinstance(module, LAYERS)]:
        if not parametrize.is_parametrized(layer, "weight"):
            transposed = isinstance(layer, nn.ConvTranspose2d)
            parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight, transposed))
    return net


class SpectralNorm(nn.Module):
    """Weight -> weight / sigma(weight), the same shape; sigma is estimated by power iteration.

    This is `torch.nn.utils.parametrizations.spectral_norm`, except that the estimate is computed in float32 under
    autocast too. On a GPU, the module of torch computes it in the low precision there, so that the scale of the weights
    would be rounded to three digits.

    transposed: the second axis of the weight is that of the outputs, as in a transposed convolution.
    """

    u: torch.Tensor
    v: torch.Tensor

    def __init__(self, weight: torch.Tensor, transposed: bool = False) -> None:
        super().__init__()
        self.transposed = transposed
        with torch.no_grad():
            matrix = self._matrix(weight.float())
            for name, length in zip(("u", "v"), matrix.shape, strict=True):
                self.register_buffer(
                    name, F.normalize(matrix.new_empty(length).normal_(), dim=0, eps=EPSILON)
                )
            for _ in range(FIRST_STEPS):
                self._iterate(matrix)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            matrix = self._matrix(weight)
            if self.training:
                self._iterate(matrix.detach())
            # Copies, since the next forward pass changes the vectors before the gradient of this one is computed.
            u, v = self.u.clone(), self.v.clone()
            return weight / torch.dot(u, matrix.mv(v))

    def _matrix(self, weight: torch.Tensor) -> torch.Tensor:
        return (weight.transpose(0, 1) if self.transposed else weight).flatten(1)

    @torch.no_grad()
    def _iterate(self, matrix: torch.Tensor) -> None:
        self.u.copy_(F.normalize(matrix.mv(self.v), dim=0, eps=EPSILON))
        self.v.copy_(F.normalize(matrix.T.mv(self.u), dim=0, eps=EPSILON))
