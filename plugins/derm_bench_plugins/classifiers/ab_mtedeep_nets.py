"""The networks of AB-MTEDeep: residual blocks, an LSTM over patches, cross-residual connections, attention, heads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from derm_bench_plugins.classifiers.specs.ab_mtedeep import AbMtedeepOptions

STAGES = 4


class Features(NamedTuple):
    """The vectors of one task: `residual` [N,8 width] and `lstm` [N,2 hidden]; None for a branch that is left out."""

    residual: torch.Tensor | None
    lstm: torch.Tensor | None


# ------------------------------------------------------------------------------ attention


class SqueezeExcitation(nn.Module):
    """Weights channels by a function of their means (Hu et al. 2018, section 3): [N,C,H,W] -> [N,C,H,W]."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        inner = max(4, channels // reduction)
        self.mlp = nn.Sequential(nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights: torch.Tensor = self.mlp(x.mean(dim=(2, 3))).sigmoid()
        return x * weights[:, :, None, None]


class Cbam(nn.Module):
    """Convolutional block attention (Woo et al. 2018, eq. 2 and 3): weights for channels, from their means and maxima,
    then for places, from the mean and the maximum over channels. [N,C,H,W] -> [N,C,H,W]."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        inner = max(4, channels // reduction)
        self.mlp = nn.Sequential(nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels))
        self.places = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        channels = (self.mlp(x.mean(dim=(2, 3))) + self.mlp(x.amax(dim=(2, 3)))).sigmoid()
        x = x * channels[:, :, None, None]
        summary = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        places: torch.Tensor = self.places(summary)
        return x * places.sigmoid()


ATTENTION = {"se": SqueezeExcitation, "cbam": Cbam}


class AttentionPooling(nn.Module):
    """A weighted mean over steps, [N,T,C] -> [N,C], with weights softmax(v tanh(W h)) (Bahdanau et al. 2015)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(channels, channels), nn.Tanh(), nn.Linear(channels, 1))

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        weights: torch.Tensor = self.score(steps).softmax(dim=1)
        return (weights * steps).sum(dim=1)


class MeanPooling(nn.Module):
    """The mean over steps, [N,T,C] -> [N,C]."""

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        return steps.mean(dim=1)


# ------------------------------------------------------------------- residual units and streams


class ResidualBlock(nn.Module):
    """F of a residual block, two depthwise-separable 3x3 convolutions and attention, and its shortcut:
    [N,c_in,H,W] -> [N,c_out,H/stride,W/stride]."""

    def __init__(self, c_in: int, c_out: int, stride: int, attention: str) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_separable(c_in, c_out, stride),
            nn.ReLU(inplace=True),
            *_separable(c_out, c_out, 1),
            *([ATTENTION[attention](c_out)] if attention in ATTENTION else []),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out)
            )

    def after(self, total: torch.Tensor) -> torch.Tensor:
        """Return what the next unit gets of the sum."""
        return F.relu(total)


class LstmLayer(nn.Module):
    """F of a residual layer, a bidirectional LSTM, and its shortcut: [N,T,2 hidden] -> [N,T,2 hidden]."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2 * hidden, hidden, batch_first=True, bidirectional=True)
        self.shortcut = nn.Identity()

    def residual(self, steps: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.lstm(steps)[0]
        return states

    def after(self, total: torch.Tensor) -> torch.Tensor:
        return total


class CrossResidual(nn.Module):
    """One residual unit for each task, with connections between the tasks (Jou and Chang 2016):

        y_t = F_t(x_t) + x_t + sum over s != t of lambda_ts x_s

    The lambdas are learned. Where F_t changes the shape, x_s is what the shortcut of task s makes of it. With `init`
    None the sum over s is left out.
    """

    def __init__(self, units: Sequence[nn.Module], init: float | None) -> None:
        super().__init__()
        self.units = nn.ModuleList(units)
        n = len(units)
        self.weights = nn.Parameter(torch.full((n, n - 1), init)) if n > 1 and init is not None else None

    def forward(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return y_t for each task. `inputs` are x_t, or a single x that all tasks share."""
        xs = list(inputs) if len(inputs) == len(self.units) else [inputs[0]] * len(self.units)
        short = [unit.shortcut(x) for unit, x in zip(self.units, xs, strict=True)]  # type: ignore[operator]
        outputs = []
        for t, (unit, x) in enumerate(zip(self.units, xs, strict=True)):
            total = unit.residual(x) + short[t]  # type: ignore[operator]
            if self.weights is not None:
                others = [s for s in range(len(xs)) if s != t]
                for weight, s in zip(self.weights[t], others, strict=True):
                    total = total + weight * short[s]
            outputs.append(unit.after(total))  # type: ignore[operator]
        return outputs


def _separable(c_in: int, c_out: int, stride: int) -> list[nn.Module]:
    """A depthwise-separable 3x3 convolution with BatchNorm."""
    return [
        nn.Conv2d(c_in, c_in, 3, stride, padding=1, groups=c_in, bias=False),
        nn.Conv2d(c_in, c_out, 1, bias=False),
        nn.BatchNorm2d(c_out),
    ]


# ------------------------------------------------------------------------------ branches


class ResidualBranch(nn.Module):
    """The light residual network ("Faster Residual CNN"): images [N,3,S,S] -> a vector [N,8 width] for each task. The
    stem and the first stages are shared by the tasks."""

    def __init__(self, options: AbMtedeepOptions, tasks: int, cross: float | None) -> None:
        super().__init__()
        widths = [options.width * 2**k for k in range(STAGES)]
        self.channels = widths[-1]
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 7, 2, padding=3, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, padding=1),
        )
        shared = STAGES - options.task_stages
        units = []
        for stage, width in enumerate(widths):
            before = widths[max(0, stage - 1)]
            for k in range(options.blocks):
                c_in, stride = (before, 1 if stage == 0 else 2) if k == 0 else (width, 1)
                streams = tasks if stage >= shared else 1
                made = [ResidualBlock(c_in, width, stride, options.attention) for _ in range(streams)]
                units.append(CrossResidual(made, cross))
        self.units = nn.ModuleList(units)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        streams = [self.stem(images)]
        for unit in self.units:
            streams = unit(streams)
        return [maps.mean(dim=(2, 3)) for maps in streams]


class LstmBranch(nn.Module):
    """A bidirectional LSTM over the patches of an image in raster order: images [N,3,S,S] -> a vector [N,2 hidden] for
    each task.

    Two convolutions embed each patch; no patch sees its neighbours before the LSTM. An image whose side is no multiple
    of the patch is padded with its edge pixels.
    """

    def __init__(self, options: AbMtedeepOptions, tasks: int, cross: float | None) -> None:
        super().__init__()
        self.patch, self.channels = options.patch, 2 * options.hidden
        inner = options.patch // 4
        self.embed = nn.Sequential(
            nn.Conv2d(3, options.hidden, 4, 4, bias=False),
            nn.BatchNorm2d(options.hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(options.hidden, self.channels, inner, inner, bias=False),
            nn.BatchNorm2d(self.channels),
            nn.ReLU(inplace=True),
        )
        self.layers = nn.ModuleList(
            CrossResidual([LstmLayer(options.hidden) for _ in range(tasks)], cross)
            for _ in range(options.layers)
        )
        pooling = AttentionPooling if options.pooling == "attention" else lambda _: MeanPooling()
        self.pools = nn.ModuleList(pooling(self.channels) for _ in range(tasks))

    def sequence(self, images: torch.Tensor) -> torch.Tensor:
        """Return the embedded patches [N,T,2 hidden], T = ceil(S / patch)^2, row by row."""
        missing = -images.shape[-1] % self.patch
        if missing:
            images = F.pad(images, (0, missing, 0, missing), mode="replicate")
        maps: torch.Tensor = self.embed(images)
        return maps.flatten(2).transpose(1, 2).contiguous()

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        streams = [self.sequence(images)]
        for layer in self.layers:
            streams = layer(streams)
        return [pool(steps) for pool, steps in zip(self.pools, streams, strict=True)]


class BranchConnections(nn.Module):
    """Cross-residual connections between the branches of one task, with learned weights a and b:

        r' = r + a A l,    l' = l + b B r

    where r and l are the vectors of the residual network and of the LSTM, and A and B linear maps between their widths.
    """

    def __init__(self, residual: int, lstm: int, init: float) -> None:
        super().__init__()
        self.to_residual = nn.Linear(lstm, residual, bias=False)
        self.to_lstm = nn.Linear(residual, lstm, bias=False)
        self.weights = nn.Parameter(torch.full((2,), init))

    def forward(self, residual: torch.Tensor, lstm: torch.Tensor) -> Features:
        return Features(
            residual + self.weights[0] * self.to_residual(lstm),
            lstm + self.weights[1] * self.to_lstm(residual),
        )


# ------------------------------------------------------------------------------ heads and whole


class Heads(nn.Module):
    """The heads of one task: `Features` -> a list of logits [N,K], those of the joint head last. Without `ensemble`, or
    with one branch, there is one head."""

    def __init__(self, options: AbMtedeepOptions, widths: Sequence[int], classes: int) -> None:
        super().__init__()
        self.single = nn.ModuleList(
            nn.Sequential(nn.Dropout(options.dropout), nn.Linear(width, classes)) for width in widths
        )
        if len(widths) > 1 and not options.ensemble:
            self.single = nn.ModuleList()
        self.joint: nn.Module | None = None
        if len(widths) > 1:
            self.joint = nn.Sequential(
                nn.Dropout(options.dropout),
                nn.Linear(sum(widths), options.fused),
                nn.ReLU(inplace=True),
                nn.Dropout(options.dropout),
                nn.Linear(options.fused, classes),
            )

    def forward(self, features: Features) -> list[torch.Tensor]:
        vectors = [vector for vector in features if vector is not None]
        # Without an ensemble there are no single heads, whatever the number of vectors.
        logits = [head(vector) for head, vector in zip(self.single, vectors, strict=False)]
        return [*logits, self.joint(torch.cat(vectors, dim=1))] if self.joint is not None else logits


class AbMtedeep(nn.Module):
    """Images [N,3,S,S] -> logits [N,K] of the classes, whose softmax is the mean of the probabilities of all heads.

    `features` gives the vectors of every task, of which the first is that of the classes. Heads of an auxiliary task
    are not part of the network, as predictions do not need them.
    """

    def __init__(self, options: AbMtedeepOptions, classes: int, tasks: int) -> None:
        super().__init__()
        init = options.cross_init
        between_tasks = init if options.cross_residual in ("both", "tasks") else None
        self.residual = ResidualBranch(options, tasks, between_tasks) if options.branches != "lstm" else None
        self.lstm = LstmBranch(options, tasks, between_tasks) if options.branches != "residual" else None
        self.widths = [branch.channels for branch in (self.residual, self.lstm) if branch is not None]
        self.between = nn.ModuleList()
        if len(self.widths) > 1 and options.cross_residual in ("both", "branches"):
            residual, lstm = self.widths
            self.between.extend(BranchConnections(residual, lstm, init) for _ in range(tasks))
        self.heads = Heads(options, self.widths, classes)
        self.tasks = tasks

    def features(self, images: torch.Tensor) -> list[Features]:
        nothing = [None] * self.tasks
        residual = self.residual(images) if self.residual is not None else nothing
        lstm = self.lstm(images) if self.lstm is not None else nothing
        found = [Features(r, s) for r, s in zip(residual, lstm, strict=True)]
        if not len(self.between):
            return found
        return [connect(*vectors) for connect, vectors in zip(self.between, found, strict=True)]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return log_mean_softmax(self.heads(self.features(images)[0]))


def log_mean_softmax(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return log of the mean of the softmax of several logits [N,K], float32 [N,K]."""
    logs = torch.stack([one.float().log_softmax(dim=1) for one in logits])
    return logs.logsumexp(dim=0) - math.log(len(logits))
