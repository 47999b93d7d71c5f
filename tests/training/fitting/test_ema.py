"""The mean of the weights over steps."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from training.fitting.ema import Mean


@given(decay=st.floats(0, 0.999), values=st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=20))
def test_the_mean_lies_between_the_smallest_and_the_largest_weight(decay, values):
    weight = nn.Parameter(torch.tensor([values[0]]))
    mean = Mean({"weight": weight}, decay)
    for value in values:
        weight.data.fill_(value)
        mean.update()

    with mean.swapped():
        assert min(values) - 1e-4 <= weight.item() <= max(values) + 1e-4


def test_the_first_steps_move_the_mean_by_more_than_its_decay_says():
    weight = nn.Parameter(torch.zeros(1))
    mean = Mean({"weight": weight}, 0.999)
    weight.data.fill_(1.0)
    mean.update()

    with mean.swapped():
        assert weight.item() == pytest.approx(1 - 2 / 11)  # (1 + n) / (10 + n) of it stays at update n


def test_after_many_steps_the_mean_moves_as_slowly_as_its_decay_says():
    weight = nn.Parameter(torch.zeros(1))
    mean = Mean({"weight": weight}, 0.9, updates=1_000)
    weight.data.fill_(1.0)
    mean.update()

    with mean.swapped():
        assert weight.item() == pytest.approx(0.1)


def test_weights_are_put_back_even_if_what_is_done_with_the_mean_fails():
    weight = nn.Parameter(torch.zeros(1))
    mean = Mean({"weight": weight}, 0.9)
    weight.data.fill_(1.0)

    def fail() -> None:
        with mean.swapped():
            assert weight.item() == 0
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    assert weight.item() == 1
