"""Training in bfloat16 that is computed in float32 errs as much as bfloat16 itself."""

import contextlib
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

QUALITY = Path(__file__).parents[2] / "benchmarks" / "quality"


@pytest.fixture
def rounded(monkeypatch):
    monkeypatch.syspath_prepend(str(QUALITY))
    yield pytest.importorskip("rounded").Rounded
    sys.modules.pop("rounded", None)


def test_gradients_are_as_far_from_float32_as_those_of_autocast(rounded):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1),
        nn.BatchNorm2d(8),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(8, 3, 4, 2, 1),
        nn.Tanh(),
    )
    images = torch.randn(16, 3, 8, 8)

    def gradients(context: contextlib.AbstractContextManager) -> torch.Tensor:
        net.zero_grad()
        with context:
            out = net(images)
        out.float().square().mean().backward()
        return torch.cat([parameter.grad.flatten() for parameter in net.parameters()])

    exact, ours, theirs = (
        gradients(context)
        for context in (contextlib.nullcontext(), rounded(), torch.autocast("cpu", torch.bfloat16))
    )
    error, expected = ((found - exact).norm() / exact.norm() for found in (ours, theirs))
    assert 0.5 < float(error / expected) < 1.5
    assert float(expected) > 1e-3
