"""Each part of the loss against numbers worked out by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training import recipe
from training.diffusion import losses

TOKENS = torch.tensor([[3.0, -4.0], [0.0, 2.0]])
LABELS = torch.tensor([[6.0, -8.0], [-5.0, 0.0]])  # the cosines are 1 and 0


def test_the_error_of_the_noise_is_of_each_item() -> None:
    target = torch.zeros(2, 1, 1, 2)
    predicted = torch.tensor([[[[1.0, 3.0]]], [[[0.0, 2.0]]]])
    assert losses.noise_error(predicted, target).tolist() == [5.0, 2.0]


def test_the_magnitude_is_a_mean_over_all_numbers() -> None:
    assert losses.mean_magnitude(TOKENS) == (3 + 4 + 0 + 2) / 4


def test_the_squared_length_is_a_sum_for_each_token() -> None:
    assert losses.squared_length(TOKENS) == (25 + 4) / 2


def test_the_distance_to_the_label_is_one_less_the_cosine_squared() -> None:
    assert losses.label_distance(TOKENS, LABELS).item() == pytest.approx((0 + 1) / 2)
    assert losses.label_distance(TOKENS, -LABELS).item() == pytest.approx((4 + 1) / 2)


def test_parts_are_weighted_and_add_up() -> None:
    weights = recipe.Loss(l1=0.1, l2=0.01, label=0.5)
    found = losses.joined(torch.tensor([5.0, 2.0]), TOKENS, LABELS, weights)
    expected = {"noise": 3.5, "l1": 0.1 * 2.25, "l2": 0.01 * 14.5, "label": 0.5 * 0.5}
    assert {name: part.item() for name, part in found.parts.items()} == pytest.approx(expected)
    assert found.total.item() == pytest.approx(sum(expected.values()))


def test_a_part_without_weight_is_left_out() -> None:
    found = losses.joined(torch.tensor([5.0, 2.0]), TOKENS, LABELS, recipe.Loss())
    assert list(found.parts) == ["noise"]
    assert found.total == 3.5


def test_parts_are_of_float32_under_mixed_precision() -> None:
    weights = recipe.Loss(l1=0.1, l2=0.01, label=0.5)
    expected = losses.joined(torch.tensor([5.0, 2.0]), TOKENS, LABELS, weights)
    with torch.autocast("cpu", torch.bfloat16):
        error = losses.noise_error(torch.ones(2, 1, 1, 1, dtype=torch.bfloat16), torch.zeros(2, 1, 1, 1))
        found = losses.joined(torch.tensor([5.0, 2.0]), TOKENS.bfloat16(), LABELS, weights)
    assert error.dtype == found.total.dtype == torch.float32
    assert found.total == expected.total


@pytest.mark.parametrize(
    ("prediction_type", "expected"),
    [
        ("epsilon", [1.0, 1.0, 1.0, 5 / 20]),  # min(snr, 5) / snr
        ("v_prediction", [0.0, 0.5, 5 / 6, 5 / 21]),  # min(snr, 5) / (snr + 1)
    ],
)
def test_min_snr_weights_are_those_of_the_paper(prediction_type: str, expected: list[float]) -> None:
    weights = losses.min_snr_weights(torch.tensor([0.0, 1.0, 5.0, 20.0]), 5, prediction_type)
    assert weights.tolist() == pytest.approx(expected)


@given(snr=st.floats(1e-6, 1e6), gamma=st.floats(0.1, 100))
def test_min_snr_counts_an_error_of_the_clean_latents_alike_for_both_targets(snr: float, gamma: float) -> None:
    # The same error of the latents is one of the noise snr times as large in square, one of the velocity snr + 1 times.
    ratio = torch.tensor([snr], dtype=torch.float64)
    of_noise = losses.min_snr_weights(ratio, gamma, "epsilon") * ratio
    of_velocity = losses.min_snr_weights(ratio, gamma, "v_prediction") * (ratio + 1)
    assert of_noise.item() == pytest.approx(of_velocity.item())
    assert of_noise.item() == pytest.approx(min(snr, gamma))
