"""One step: its losses, its gradients, and when it refuses to be taken."""

import dataclasses
import math

import pytest
import torch

from rules.errors import ConfigurationError
from tests.training.small_runs import SMALL, ready, run_of
from training.fitting import stepping
from training.fitting.devices import accelerator_for
from training.fitting.preparing import Prepared, prepared

# Sums of float32 in another order; Adam divides by the root of squares, so a gradient near 0 may move a weight by more.
CLOSE = {"rtol": 1e-4, "atol": 2e-6}


@pytest.fixture
def small(tiny_release, tmp_path):
    """Give what prepares a small run with some changes."""

    def made(*changes: str) -> Prepared:
        return ready(run_of(tiny_release, tmp_path / str(len(list(tmp_path.iterdir()))), changes))

    return made


def batches_of(prepared_run: Prepared) -> list:
    """Give the micro-batches of the first step."""
    found = prepared_run.loader.batches(0)
    taken = [next(found) for _ in range(prepared_run.recipe.accumulation)]
    found.close()
    return taken


def trained_weights(prepared_run: Prepared) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in prepared_run.model.trained_state().items()}


def test_accumulation_gives_the_weights_and_losses_of_a_larger_batch(small):
    # Dropout is drawn by micro-batch, so it is off; the losses are means over items of equal number.
    # One after the other: accelerate keeps the accumulation of the newest run of a process.
    one = small("pooling_dropout=0", "batch_size=8", "accumulation=1")
    whole = one.stepper.take(1, 0, batches_of(one))
    four = small("pooling_dropout=0", "batch_size=2", "accumulation=4")
    parts = four.stepper.take(1, 0, batches_of(four))

    assert parts.losses == pytest.approx(whole.losses, rel=1e-5)
    assert parts.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-4)
    torch.testing.assert_close(trained_weights(four), trained_weights(one), **CLOSE)


def test_a_step_depends_on_its_number_and_its_batches_alone(small):
    one, other = small(), small()
    batches = batches_of(one)
    torch.manual_seed(1)
    first = one.stepper.take(1, 0, batches)
    torch.manual_seed(2)

    assert other.stepper.take(1, 0, batches) == first
    assert all(torch.equal(value, trained_weights(other)[name]) for name, value in trained_weights(one).items())


def test_dropout_is_another_in_each_step_and_each_batch(small, monkeypatch):
    seeds = []
    monkeypatch.setattr(stepping.torch, "manual_seed", seeds.append)
    run = small()
    for step in (1, 2):
        run.stepper.take(step, 0, batches_of(run))

    assert len(set(seeds)) == 4


def test_only_what_is_trained_changes(small):
    run = small("train.unet=lora")
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.stepper.take(1, 0, batches_of(run))
    changed = {name for name, value in run.model.state_dict().items() if not torch.equal(value, before[name])}

    assert changed
    assert changed <= set(run.model.trainable())


def test_the_gradient_is_cut_to_the_norm_of_the_recipe_and_told_uncut(small):
    free, cut = small("optimizer.max_gradient_norm=null"), small("optimizer.max_gradient_norm=1e-3")
    whole, limited = free.stepper.take(1, 0, batches_of(free)), cut.stepper.take(1, 0, batches_of(cut))

    assert whole.gradient_norm == limited.gradient_norm > 1e-3
    moments = [[value["exp_avg"] for value in run.optimizer.state.values()] for run in (free, cut)]
    norms = [math.sqrt(sum(value.square().sum().item() for value in of_run)) for of_run in moments]
    assert norms == pytest.approx([0.1 * whole.gradient_norm, 0.1 * 1e-3], rel=1e-3)  # 1 - beta of the first moment


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_before_any_weight_changes(small, monkeypatch, value):
    run = small()
    batches, before = batches_of(run), trained_weights(run)
    drawn = stepping.training_draws

    def spoiled(batch, *words):
        draws = drawn(batch, *words)
        return dataclasses.replace(draws, noise=draws.noise * value) if batch is batches[1] else draws

    monkeypatch.setattr(stepping, "training_draws", spoiled)
    with pytest.raises(ConfigurationError) as refused:
        run.stepper.take(3, 0, batches)

    assert "step 3, epoch 1, learning rate 0.0012: the loss is" in str(refused.value)
    assert all(pair_id in str(refused.value) for pair_id in batches[1].pair_ids)
    assert not any(pair_id in str(refused.value) for pair_id in set(batches[0].pair_ids) - set(batches[1].pair_ids))
    assert "lower optimizer.learning_rate" in str(refused.value)
    assert all(torch.equal(value, before[name]) for name, value in trained_weights(run).items())


def overflowing(run: Prepared, steps: int) -> None:
    """Let the gradients of some steps be infinite, though the losses are not."""
    seen = []

    def overflow(gradient: torch.Tensor) -> torch.Tensor:
        seen.append(1)
        return gradient * math.inf if len(seen) <= steps * run.recipe.accumulation else gradient

    next(iter(run.model.trainable().values())).register_hook(overflow)


def test_a_gradient_that_is_no_number_stops_before_any_weight_changes(small):
    run = small()
    before = trained_weights(run)
    overflowing(run, steps=1)
    with pytest.raises(ConfigurationError, match="step 1, epoch 1, learning rate 0.0004: the gradients are"):
        run.stepper.take(1, 0, batches_of(run))

    assert all(torch.equal(value, before[name]) for name, value in trained_weights(run).items())


def test_gradients_that_overflow_float16_leave_the_step_out_and_lower_their_scale(tiny_release, tmp_path):
    run = run_of(tiny_release, tmp_path / "run")
    accelerator = accelerator_for(run.recipe)
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)  # what accelerate makes for fp16 on a GPU
    state = prepared(run, accelerator)
    accelerator.native_amp, accelerator.state._mixed_precision = True, "fp16"  # so that gradients are unscaled
    before = trained_weights(state)
    overflowing(state, steps=1)

    left_out = state.stepper.take(1, 0, batches_of(state))
    assert (left_out.is_left_out, left_out.gradient_norm) == (True, None)
    assert all(torch.equal(value, before[name]) for name, value in trained_weights(state).items())
    assert accelerator.scaler.get_scale() == 512

    taken = state.stepper.take(2, 0, batches_of(state))
    assert not taken.is_left_out
    assert taken.gradient_norm < 1  # unscaled
    assert any(not torch.equal(value, before[name]) for name, value in trained_weights(state).items())


def test_a_step_in_bfloat16_is_near_one_in_float32(small):
    exact, short = small(), small("mixed_precision=bf16")

    expected = exact.stepper.take(1, 0, batches_of(exact)).losses["noise"]
    assert short.stepper.take(1, 0, batches_of(short)).losses["noise"] == pytest.approx(expected, rel=0.02)


def test_small_runs_have_dropout_accumulation_and_a_mean_of_weights():
    assert {"accumulation=2", "ema_decay=0.9"} <= set(SMALL)  # what the tests of resumption rely on
