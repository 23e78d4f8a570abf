"""The classifier of DermaGAN (paper 003). Its pooling layers can be read in two ways; both are offered. At 64 px:

    literal   conv 60@1x1 -> 64x64x60 -> pool 2x2 stride 1 -> 63x63x60 -> conv 50@3x3 -> 61x61x50
              -> pool 5x5 stride 1 -> 57x57x50 = 162,450 -> 256 -> 128 -> K     41,648,158 parameters at K = 4
    pooled    conv 60@1x1 -> 64x64x60 -> pool 2x2 -> 32x32x60 -> conv 50@3x3 -> 30x30x50
              -> pool 5x5 -> 6x6x50 = 1,800 -> 256 -> 128 -> K                     521,758

The sizes in the paper's table need stride 1, whereas its text says that each pooling halves the side. ReLU follows
every layer but the last, and dropout follows both hidden dense layers. The paper lists no BatchNorm. It does not state
the initialisation; torch's default is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from derm_bench.errors import UserError
from derm_bench.training.module_classifier import ModuleClassifier

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.classifiers.specs.dermagan_cnn import DermaganCnnOptions


def make(options: DermaganCnnOptions, task: Task) -> ModuleClassifier:
    net = cnn(len(task.classes), task.size, options.dropout, options.pooled)
    return ModuleClassifier(net, net[-1], options, task)


def cnn(classes: int, size: int, dropout: float, pooled: bool) -> nn.Sequential:
    """Return the network: images [N,3,size,size] -> logits [N,classes].

    Raises UserError if `size` is below 14 px (`pooled`) or 8 px (literal).
    """
    side = (size // 2 - 2) // 5 if pooled else size - 7
    if side < 1:
        raise UserError(f"dermagan-cnn needs images of at least {14 if pooled else 8} px, not {size}")
    return nn.Sequential(
        nn.Conv2d(3, 60, 1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2, stride=2 if pooled else 1),
        nn.Conv2d(60, 50, 3),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(5, stride=5 if pooled else 1),
        nn.Flatten(),
        nn.Linear(side * side * 50, 256),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(256, 128),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(128, classes),
    )
