"""dermagan-cnn: the parameter counts of paper 003's table in both readings, and its settings."""

import pytest
import torch

from derm_bench.errors import UserError
from derm_bench.specs import Task
from derm_bench_plugins.classifiers.dermagan_cnn import cnn, make
from derm_bench_plugins.classifiers.specs.dermagan_cnn import SPEC, DermaganCnnOptions


@pytest.mark.parametrize(
    ("pooled", "features", "parameters"), [(False, 162_450, 41_648_158), (True, 1_800, 521_758)]
)
def test_features_and_parameters_are_the_papers(pooled, features, parameters):
    with torch.device("meta"):
        net = cnn(4, 64, 0.2, pooled)
        assert net[:7](torch.empty(1, 3, 64, 64)).shape == (1, features)
        assert net(torch.empty(2, 3, 64, 64)).shape == (2, 4)
    assert sum(p.numel() for p in net.parameters()) == parameters


def test_the_papers_settings_are_the_defaults():
    options = DermaganCnnOptions()
    assert (options.optimizer, options.lr, options.betas, options.batch_size, options.dropout) == (
        "adam",
        2e-4,
        (0.5, 0.999),
        64,
        0.2,
    )
    assert not options.pooled


@pytest.mark.parametrize(("pooled", "smallest"), [(True, 14), (False, 8)])
def test_images_too_small_for_its_pools_are_refused(pooled, smallest):
    net = cnn(2, smallest, 0.0, pooled)
    assert net(torch.zeros(1, 3, smallest, smallest)).shape == (1, 2)
    with pytest.raises(UserError, match=f"at least {smallest} px, not {smallest - 1}"):
        cnn(2, smallest - 1, 0.0, pooled)


def test_published_weights_are_refused_for_there_are_none():
    with pytest.raises(ValueError, match="False"):
        DermaganCnnOptions(pretrained=True)


def test_it_predicts_probabilities_of_the_tasks_classes():
    model = make(SPEC.options(**SPEC.presets["tiny"]), Task(("a", "b", "c"), 16))
    proba = model.predict_proba(torch.zeros(5, 3, 16, 16))
    torch.testing.assert_close(proba.sum(dim=1), torch.ones(5))
    assert proba.shape == (5, 3) and list(model.parts()) == ["net"]
