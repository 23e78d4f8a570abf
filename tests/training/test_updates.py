"""A fit takes one budget, all of it, from run.batches; what trains otherwise is told from what does not train."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.training.checkpoints import TrainingState
from derm_bench.training.engine import Engine, minimise
from derm_bench.training.feed import FeedOptions
from derm_bench.training.selection import Selection
from derm_bench.training.stage_run import Checkpointing, StageRun
from derm_bench.training.updates import FitCheck

BUDGET = 6


def image_set(n=10, seed=0):
    names = tuple(map(str, range(n)))
    images = torch.randint(0, 256, (n, 3, 8, 8), generator=torch.Generator().manual_seed(seed)).byte()
    return ImageSet(images, torch.arange(n) % 2, ("a", "b"), names, names)


def run_of(budget=BUDGET, **options):
    return StageRun(seed=0, budget=budget, feed=FeedOptions(batch_size=4), **options)


# ---------------------------------------------------------------------------- one budget


def test_a_second_call_goes_on_with_what_is_left_and_with_the_epoch():
    train, whole, parts = image_set(), run_of(), run_of()
    expected = list(whole.batches(train))
    first = list(parts.batches(train, until=2))
    rest = list(parts.batches(train))
    assert [batch.step for batch in first] == [1, 2] and [batch.step for batch in rest] == [3, 4, 5, 6]
    for one, other in zip(expected, [*first, *rest], strict=True):
        assert torch.equal(one.images, other.images)


def test_leaving_the_loop_and_calling_again_gives_no_second_budget():
    run = run_of()
    seen = []
    for _ in range(3):
        for batch in run.batches(image_set()):
            seen.append(batch.step)
            if batch.step % 2 == 0:
                break
    assert seen == [1, 2, 3, 4, 5, 6] and run.updates == BUDGET


def test_a_call_after_the_whole_budget_is_an_error_that_says_how_phases_are_written():
    run = run_of()
    list(run.batches(image_set()))
    with pytest.raises(ValueError, match=r"after all 6 updates .* run\.batches\(train, until=\.\.\.\)"):
        next(run.batches(image_set()))


def test_a_phase_without_updates_yields_nothing():
    run = run_of()
    assert list(run.batches(image_set(), until=0)) == []
    assert len(list(run.batches(image_set(), until=BUDGET))) == BUDGET
    assert list(run.batches(image_set())) == []


@pytest.mark.parametrize("until", [-1, BUDGET + 1])
def test_a_phase_cannot_end_outside_of_the_budget(until):
    with pytest.raises(ValueError, match="expected an update from 0 to 6"):
        next(run_of().batches(image_set(), until=until))


def test_batches_of_two_calls_are_not_taken_alternately():
    run = run_of()
    with pytest.raises(RuntimeError, match="taken alternately"):
        for _ in zip(run.batches(image_set()), run.batches(image_set(seed=1)), strict=True):
            pass


def test_a_fit_cannot_change_its_budget():
    with pytest.raises(AttributeError):
        run_of().budget = 60


def test_patience_ends_every_phase():
    val = image_set()
    run = run_of(
        selection=Selection(val=val, metric=lambda *_: 0.5, patience=1, evaluations=BUDGET, mode="last")
    )
    for until in (4, None):
        for batch in run.batches(image_set(), until=until):
            run.evaluate(batch.step, lambda images: torch.full((len(images), 2), 0.5), dict)
    assert run.updates == run.selected_step == 2 and run.stopped_early
    assert list(run.batches(image_set())) == []


def test_curves_count_the_images_of_phases_with_batches_of_different_sizes():
    run = run_of()
    for until, size in ((2, 4), (None, 8)):
        for batch in run.batches(image_set(), size, until=until):
            run.log(batch.step, loss=0.5)
    assert [row.images for row in run.history()] == [4, 8, 16, 24, 32, 40]
    assert [row.epoch for row in run.history()] == [0.4, 0.8, 1.6, 2.4, 3.2, 4.0]


# ------------------------------------------------------------------ phases and interruptions


class Died(BaseException):
    pass


def two_phases(folder, die_at=None, sizes=(4, 4), engine=False):
    """A fit whose first phase, of three updates, trains one net and whose second trains another; its state and run."""
    torch.manual_seed(3)
    run = run_of(8, checkpointing=Checkpointing(folder, 0))
    first, second = nn.Linear(192, 1), nn.Linear(192, 1)
    optimizers = [torch.optim.Adam(net.parameters(), 0.01) for net in (first, second)]
    state = TrainingState(first=first, second=second, one=optimizers[0], two=optimizers[1])
    steps = []

    def step(batch, net, optimizer):
        noise = torch.randn(len(batch.images), 192)
        loss = (net(batch.images.flatten(1) + noise)).square().mean()
        minimise(loss, optimizer)
        return {"loss": loss}

    def after(number):
        steps.append(number)
        if number == die_at:
            raise Died

    phases = zip((first, second), optimizers, sizes, (3, None), strict=True)
    if engine:
        trained = Engine(run, first=first, second=second)
        for name, optimizer in zip("ab", optimizers, strict=True):
            trained.keep(name, optimizer)
        for net, optimizer, size, until in phases:
            trained.fit(
                lambda batch, net=net, optimizer=optimizer: step(batch, net, optimizer),
                image_set(),
                size,
                until=until,
                after=lambda batch, _: after(batch.step - 1 if batch.step - 1 == die_at else -1),
            )
        return first.state_dict() | {f"2.{k}": v for k, v in second.state_dict().items()}, run
    state.load(run.resume())
    for net, optimizer, size, until in phases:
        for batch in run.batches(image_set(), size, until=until):
            run.log(batch.step, **step(batch, net, optimizer))
            run.checkpoint(batch.step, state.state)
            after(batch.step)
    return first.state_dict() | {f"2.{k}": v for k, v in second.state_dict().items()}, run


@pytest.mark.parametrize("sizes", [(4, 4), (4, 8)])
@pytest.mark.parametrize(
    ("engine", "die_at"), [(False, 2), (False, 3), (False, 4), (False, 8), (True, 2), (True, 3), (True, 4)]
)
def test_a_fit_of_two_phases_ends_the_same_after_an_interruption(tmp_path, die_at, sizes, engine):
    expected, whole = two_phases(None, sizes=sizes, engine=engine)
    with pytest.raises(Died):
        two_phases(tmp_path, die_at, sizes, engine)
    again, resumed = two_phases(tmp_path, sizes=sizes, engine=engine)
    assert all(torch.equal(again[name], value) for name, value in expected.items())
    assert resumed.history() == whole.history()


def test_two_engines_in_one_fit_are_refused_because_only_one_would_be_resumed():
    run = run_of()
    for_vae, for_gan = Engine(run, vae=nn.Linear(1, 1)), Engine(run, gan=nn.Linear(1, 1))
    for_vae.fit(lambda batch: {}, image_set(), until=2)
    with pytest.raises(RuntimeError, match="in one Engine"):
        for_gan.fit(lambda batch: {}, image_set())


# ------------------------------------------------------------------------- after the fit


class Plugin:
    """A net, an optimizer, and how often it is stepped for each batch."""

    def __init__(self):
        self.net = nn.Linear(1, 1)
        self.optimizer = torch.optim.SGD(self.net.parameters(), 0.1)

    def parts(self):
        return {"net": self.net}

    def step(self, times=1):
        for _ in range(times):
            minimise(self.net(torch.ones(1, 1)).sum(), self.optimizer)


def problem(fit, trains=True, budget=BUDGET, **options):
    """What the harness says after `fit(plugin, run)`; empty if nothing is wrong."""
    plugin, run = Plugin(), run_of(budget, **options)
    with FitCheck(run, plugin) as check:
        fit(plugin, run)
    found = check.problem("my-gan", trains)
    return str(found) if found else ""


def every(plugin, run, steps=1):
    for _ in run.batches(image_set()):
        plugin.step(steps)


def half(plugin, run):
    for batch in run.batches(image_set()):
        plugin.step()
        if batch.step == 3:
            return


def own_loader(plugin, run):
    plugin.step(60)


def by_hand(plugin, run):
    with torch.no_grad():
        plugin.net.weight -= 0.5


def goes_on(plugin, run):
    every(plugin, run)
    plugin.step(40)


def before(plugin, run):
    plugin.step(40)
    every(plugin, run)


def collects(plugin, run):
    for _ in list(run.batches(image_set())):
        plugin.step()


def between_phases(plugin, run):
    list(run.batches(image_set(), until=3))
    plugin.step(9)
    every(plugin, run)


@pytest.mark.parametrize(
    ("fit", "said"),
    [
        (half, "my-gan: fit() took 3 of 6 updates"),
        (own_loader, "trained outside of run.batches: it took 0 of 6 updates, but 60 optimizer steps"),
        (by_hand, "trained outside of run.batches: it took 0 of 6 updates, but changed its parameters"),
        (lambda plugin, run: None, "took 0 of 6 updates and trained nothing"),
        (goes_on, "took 40 optimizer steps outside of run.batches, beyond its budget of 6 updates"),
        (before, "took 40 optimizer steps outside"),
        (collects, "took 6 optimizer steps outside"),
        (between_phases, "took 9 optimizer steps outside"),
    ],
)
def test_a_fit_that_does_not_take_its_budget_is_told_the_numbers(fit, said):
    assert said in problem(fit)


def looks_ahead(plugin, run):
    batches = run.batches(image_set())
    waiting = next(batches)
    while waiting is not None:
        following = next(batches, None)
        plugin.step(2)
        waiting = following


def loads_the_best(plugin, run):
    every(plugin, run)
    plugin.net.load_state_dict(nn.Linear(1, 1).state_dict())


@pytest.mark.parametrize(
    "fit",
    [
        every,
        lambda plugin, run: every(plugin, run, steps=5),  # five steps of D
        lambda plugin, run: every(plugin, run, steps=0),  # a batch that is dropped is an update
        looks_ahead,
        loads_the_best,
        lambda plugin, run: [plugin.step() for _ in range(BUDGET) if next(run.batches(image_set()))],
    ],
)
def test_a_fit_that_takes_every_update_passes(fit):
    assert problem(fit) == ""


def test_a_fit_that_looks_ahead_passes_with_a_budget_of_one_update():
    assert problem(lambda plugin, run: (list(run.batches(image_set())), plugin.step()), budget=1) == ""


def test_what_says_that_it_trains_nothing_may_load_weights_but_not_train():
    assert problem(lambda plugin, run: None, trains=False) == ""
    assert problem(by_hand, trains=False) == ""
    assert "took 60 optimizer steps, but the spec says trains=False" in problem(own_loader, trains=False)


def test_patience_may_stop_a_fit_and_the_fit_itself_may_not():
    selection = Selection(val=image_set(), metric=lambda *_: 0.5, patience=1, evaluations=BUDGET)

    def fit(plugin, run):
        for batch in run.batches(image_set()):
            plugin.step()
            run.evaluate(batch.step, lambda images: torch.full((len(images), 2), 0.5), dict)

    assert problem(fit, selection=selection) == ""
    assert "3 of 6" in problem(half, selection=selection)


def test_networks_that_are_made_in_fit_are_no_sign_of_training():
    run, late = run_of(), SimpleNamespace()
    late.parts = lambda: {"net": late.net}
    with FitCheck(run, late) as check:
        late.net = nn.Linear(1, 1)
    assert "trained nothing" in str(check.problem("late", True))


def test_a_failed_check_leaves_no_checkpoint(tmp_path):
    run = run_of(checkpointing=Checkpointing(tmp_path / "kept", 0))
    plugin = Plugin()
    with FitCheck(run, plugin) as check:
        for batch in run.batches(image_set()):
            plugin.step()
            run.checkpoint(batch.step, dict)
            break
    with pytest.raises(UserError, match="1 of 6 updates"):
        check.require("my-gan", True)
    assert not (tmp_path / "kept").exists()
