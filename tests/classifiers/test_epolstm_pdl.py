"""EPOLSTM-PDL: features of three networks, the search within the budget, and what of it is restored."""

import pytest
import torch
from pydantic import ValidationError

from derm_bench.specs import Task
from derm_bench.testing.phantoms import phantoms
from derm_bench.training.feed import FeedOptions
from derm_bench.training.selection import Selection
from derm_bench.training.stage_run import StageRun
from derm_bench_plugins.classifiers.epolstm_pdl import Search, Settings, make
from derm_bench_plugins.classifiers.specs.epolstm_pdl import SPEC, EpolstmPdlOptions

TINY = SPEC.presets["tiny"]
CLASSES = ("red", "green", "blue")


def made(size=32, **given):
    torch.manual_seed(0)
    return make(EpolstmPdlOptions(**{**TINY, "networks": ("squeezenet1_1",), **given}), Task(CLASSES, size))


def a_run(budget, val=None, **given):
    return StageRun(
        seed=0,
        budget=budget,
        feed=FeedOptions(batch_size=4),
        selection=Selection(val=val, mode="last"),
        **given,
    )


def test_points_of_the_search_are_settings_within_the_ranges():
    options = EpolstmPdlOptions()
    ends = [Settings.at(torch.full((4,), u, dtype=torch.float64), options) for u in (0.0, 0.5, 1.0)]
    assert [one.hidden for one in ends] == [64, 181, 512]
    assert [one.layers for one in ends] == [1, 2, 2]
    assert [one.dropout for one in ends] == [0, 0.25, 0.5]
    assert [one.lr for one in ends] == pytest.approx([1e-4, 1e-3, 1e-2])


@pytest.mark.parametrize(
    ("budget", "trials", "of_trial"), [(1000, 24, 20), (40, 20, 1), (4, 2, 1), (3, 0, 1), (1, 0, 1)]
)
def test_the_search_takes_its_share_of_the_budget_and_no_more(budget, trials, of_trial):
    classifier = made(trials=24, soldiers=8)
    search = Search(classifier.network, a_run(budget), classifier.given)
    assert (search.trials, search.of_trial) == (trials, of_trial)
    assert search.searched <= budget / 2


def test_the_best_settings_are_trained_after_the_trials_and_are_part_of_the_state():
    images = phantoms(per_class=3, size=32)
    classifier = made(trials=3)
    seen = []

    class Recorded(StageRun):
        def score(self, predict):
            seen.append(classifier.network.head.settings.tolist())
            return [0.2, 0.9, 0.1][len(seen) - 1] if super().score(predict) is not None else None

    run = Recorded(
        seed=0, budget=8, feed=FeedOptions(batch_size=4), selection=Selection(val=images, mode="last")
    )
    classifier.fit(images, images, run)
    assert len(seen) == 3 and run.updates == 8
    assert classifier.network.head.settings.tolist() == seen[1]
    fresh = made(trials=3)
    fresh.load_state(classifier.state())
    pixels = torch.randn(2, 3, 32, 32)
    assert torch.equal(fresh.predict_proba(pixels), classifier.predict_proba(pixels))
    assert torch.allclose(fresh.logits((pixels + 1) / 2).softmax(1), fresh.predict_proba(pixels), atol=1e-5)


def test_without_validation_images_trials_are_scored_by_their_loss():
    classifier, run = made(), a_run(4)
    classifier.fit(phantoms(per_class=3, size=32), phantoms(per_class=1, size=32), run)
    assert run.score(classifier.predict_proba) is None and run.updates == 4


def test_without_a_search_the_settings_are_those_of_the_options():
    classifier = made(search=False, hidden=12, layers=2, dropout=0.1, lr=1e-3)
    classifier.fit(phantoms(per_class=3, size=32), phantoms(per_class=1, size=32), a_run(2))
    assert classifier.network.head.settings.tolist() == pytest.approx([12, 2, 0.1, 1e-3])


def test_frozen_networks_need_weights_and_stay_as_they_are(tmp_path):
    with pytest.raises(ValidationError, match="freeze: true needs `weights` of squeezenet1_1"):
        made(freeze=True)
    with pytest.raises(ValidationError, match="a file for alexnet, which is not one of"):
        made(weights={"alexnet": tmp_path / "a.pt"})
    from torchvision.models import squeezenet1_1

    published = squeezenet1_1(num_classes=7)
    torch.save(published.state_dict(), tmp_path / "squeeze.pt")
    classifier = made(freeze=True, weights={"squeezenet1_1": tmp_path / "squeeze.pt"})
    assert classifier.weights_from["squeezenet1_1 file"] == "squeeze.pt"
    before = {name: value.clone() for name, value in classifier.network.backbones.state_dict().items()}
    assert torch.equal(
        before["squeezenet1_1.net.features.0.weight"], published.state_dict()["features.0.weight"]
    )
    classifier.fit(phantoms(per_class=3, size=32), phantoms(per_class=1, size=32), a_run(4))
    assert all(torch.equal(before[k], v) for k, v in classifier.network.backbones.state_dict().items())


@pytest.mark.slow
def test_the_networks_of_the_paper_have_their_features():
    net = make(EpolstmPdlOptions(), Task(CLASSES, 64)).network
    assert [backbone.width for backbone in net.backbones.values()] == [4096, 2048, 1024]
    assert net(torch.randn(2, 3, 64, 64)).shape == (2, 3)
