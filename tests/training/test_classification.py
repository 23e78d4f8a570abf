"""The training loop of classifiers: it learns, restores the best state, freezes, and repeats under a seed."""

import pytest
import torch
from torch import nn

from derm_bench.images import ImageSet
from derm_bench.specs import ClassifierOptions
from derm_bench.training.classification import fit_classifier, predict_proba
from derm_bench.training.selection import Selection
from derm_bench.training.stage_run import StageRun, seed_everything


def easy_set(n=40, seed=0):
    """Class 1 is brighter."""
    labels = torch.arange(n) % 2
    noise = torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    images = ((noise * 0.5 + labels.view(-1, 1, 1, 1) * 0.4) * 255).byte()
    names = tuple(f"{seed}/{k}" for k in range(n))
    return ImageSet(images, labels, ("dark", "bright"), names, names)


def small_net(seed=0):
    seed_everything(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


def fitted(options=None, seed=0, budget=40, selection=None, **run_options):
    net, train, val = small_net(seed), easy_set(), easy_set(20, seed=1)
    options = options or ClassifierOptions(lr=0.05, batch_size=8)
    run = StageRun(seed=seed, budget=budget, selection=Selection(val, **(selection or {})), **run_options)
    fit_classifier(net, train, val, run, options, head=net[-1])
    return net, run


@pytest.mark.parametrize("loss", ["ce", "bce"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_learns_what_is_easy(loss, precision):
    options = ClassifierOptions(lr=0.05, batch_size=8, loss=loss, schedule="cosine")
    _, run = fitted(options, precision=precision)
    assert run.best_score > 0.9
    assert {row.metric for row in run.history()} == {"loss", "accuracy", "balanced_accuracy"}


def test_the_best_state_on_validation_is_what_remains():
    scores = iter([0.1, 0.9, 0.3, 0.2])
    shown = {}

    def primary(labels, proba, groups):
        score = next(scores)
        shown[score] = torch.from_numpy(proba).float()
        return score

    net, run = fitted(selection={"evaluations": 4, "metric": primary})
    pixels = next(run._val_pixels.chunks(100))
    torch.testing.assert_close(predict_proba(net, pixels), shown[0.9])
    assert not torch.equal(shown[0.9], shown[0.2])


def test_select_last_keeps_the_last_state():
    shown = []
    net, run = fitted(
        selection={
            "evaluations": 4,
            "mode": "last",
            "metric": lambda y, p, groups: shown.append(p) or -float(len(shown)),
        }
    )
    pixels = next(run._val_pixels.chunks(100))
    torch.testing.assert_close(predict_proba(net, pixels).double(), torch.from_numpy(shown[-1]))


def test_the_same_seed_gives_the_same_weights_and_another_others():
    def weights(seed):
        return torch.cat([p.detach().flatten() for p in fitted(seed=seed, budget=5)[0].parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_freeze_trains_the_head_alone_and_leaves_statistics_as_they_were():
    before = small_net().state_dict()
    net, _ = fitted(ClassifierOptions(lr=0.05, batch_size=8, freeze=True, select="last"), budget=5)
    changed = {key for key, value in net.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"5.weight", "5.bias"}


@pytest.mark.parametrize("loss", ["ce", "bce"])
def test_probabilities_sum_to_one_whatever_the_chunks_and_the_mode_is_restored(loss):
    net, images = small_net().train(), torch.randn(300, 3, 8, 8)
    proba = predict_proba(net, images, loss)
    torch.testing.assert_close(proba.sum(dim=1), torch.ones(300))
    torch.testing.assert_close(proba[250:], predict_proba(net, images[250:], loss))
    assert net.training


def test_regularisers_join_the_loss():
    def heavy(model, batch):
        return 100 * sum(p.square().sum() for p in model.parameters())

    net, _ = fitted(
        ClassifierOptions(lr=0.05, batch_size=8), regularisers=[heavy], selection={"mode": "last"}
    )
    assert max(p.abs().max().item() for p in net.parameters()) < 0.2
