"""Optimizers and learning-rate schedules."""

import pytest
import torch

from derm_bench.specs import ClassifierOptions
from derm_bench.training.optim import make_optimizer, make_schedule

LOSS = torch.tensor(1.0)


def rates(name, budget=100, losses=None):
    """The learning rate that each update uses."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, used = make_schedule(name, optimizer, 1.0, budget), []
    for step in range(1, budget + 1):
        used.append(optimizer.param_groups[0]["lr"])
        schedule(step, losses[step - 1] if losses else LOSS)
    return used


def test_schedules_start_at_the_given_rate_and_end_where_they_say():
    assert set(rates("none")) == {1.0}
    cosine = rates("cosine")
    assert cosine[0] == 1.0 and cosine[50] == pytest.approx(0.5) and cosine[-1] < 0.001
    step = rates("step")
    assert (step[0], step[49], step[50], step[75]) == (1.0, 1.0, 0.1, 0.01)


def test_plateau_halves_when_the_loss_stays_and_not_while_it_falls():
    assert rates("plateau")[-1] < 1.0
    falling = [torch.tensor(100.0 - k) for k in range(100)]
    assert set(rates("plateau", losses=falling)) == {1.0}


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "adagrad"])
def test_every_optimizer_moves_trainable_parameters_only(name):
    free, frozen = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3), requires_grad=False)
    optimizer = make_optimizer(ClassifierOptions(optimizer=name, lr=0.1), [free, frozen])
    (free.sum() ** 2).backward()
    optimizer.step()
    assert (free < 1).all() and (frozen == 1).all()


def test_a_plateau_schedule_keeps_an_open_window_through_an_interruption():
    def rate(interrupted):
        parameter = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([parameter], lr=1.0)
        schedule = make_schedule("plateau", optimizer, 1.0, budget=80)  # windows of 4 updates
        losses = [1.0] * 4 + [9.0, 1.0, 1.0, 1.0] * 2  # no gain over the first window but without the 9
        losses[4], losses[8] = 1.4, 1.4
        losses[5:8] = losses[9:12] = [0.99] * 3
        for step, loss in enumerate(losses, 1):
            schedule(step, torch.tensor(loss))
            if interrupted and step in (5, 9):
                state = schedule.state_dict()
                schedule = make_schedule("plateau", optimizer, 1.0, budget=80)
                schedule.load_state_dict(state)
        return optimizer.param_groups[0]["lr"]

    assert rate(False) == rate(True) == 0.5
