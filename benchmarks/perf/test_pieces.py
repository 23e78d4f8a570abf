"""Micro-benchmarks of single components, for local optimisation: `pytest benchmarks/perf`. They have no bounds."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
import yaml
from material import random_inception
from ours.row6 import transforms
from ours.row10 import matrix

from derm_bench.images import ImageSet
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins
from derm_bench.specs import Task
from derm_bench.training.feed import Feed, FeedOptions
from derm_bench.training.stage_run import StageRun
from derm_bench_plugins.generators.dcgan import Dcgan
from derm_bench_plugins.generators.specs.dcgan import DcganOptions
from derm_bench_plugins.metrics.inception import extractor
from derm_bench_plugins.metrics.inception_options import InceptionOptions

N, SIZE, BATCH, UPDATES = 2048, 64, 64, 4


@pytest.fixture(scope="module", autouse=True)
def _two_threads():
    torch.set_num_threads(2)


@pytest.fixture(scope="module")
def train() -> ImageSet:
    images = torch.randint(0, 256, (N, 3, SIZE, SIZE), dtype=torch.uint8)
    names = tuple(map(str, range(N)))
    return ImageSet(images, torch.arange(N) % 2, ("a", "b"), names, names)


@pytest.mark.parametrize("augmented", [False, True], ids=["gather", "augment"])
def test_feed(benchmark, train, augmented):
    uses = transforms(Task(train.classes, SIZE)) if augmented else []
    feed = Feed(train, FeedOptions(BATCH, image_transforms=uses), 0)
    rows = itertools.cycle(torch.randperm(N).split(BATCH))
    batch = benchmark(lambda: feed.batch(next(rows)))
    assert batch.images.shape == (BATCH, 3, SIZE, SIZE)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_dcgan_updates(benchmark, train, precision):
    gan = Dcgan(DcganOptions(base=64, batch_size=BATCH), Task(train.classes, SIZE))

    def fit():
        gan.fit(
            train, StageRun(seed=0, budget=UPDATES, precision=precision, feed=FeedOptions(batch_size=BATCH))
        )

    benchmark.pedantic(fit, rounds=3, warmup_rounds=1)


def test_inception_features(benchmark, train, tmp_path):
    random_inception(tmp_path / "weights.pth")
    network = extractor(InceptionOptions(weights=tmp_path / "weights.pth"), "cpu")
    features = benchmark.pedantic(network, (train.images[:32],), rounds=2, warmup_rounds=1)
    assert features.shape == (32, 2048)


def test_plan_of_10000_cells(benchmark, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("DERM_BENCH_CACHE", str(tmp_path))
    file = tmp_path / "matrix.yaml"
    file.write_text(yaml.safe_dump(matrix("large", 10, 10, 99)))
    plugins = Plugins()

    def plan():
        loaded = load_matrix(file, plugins)
        return make_plan(loaded, cells(loaded, plugins), plugins, Machine("cpu", ("cpu",), "fp32", 1))

    assert len(benchmark.pedantic(plan, rounds=2).cells) == 10_000
