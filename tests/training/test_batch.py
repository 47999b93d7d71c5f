"""What is drawn for an item depends on the item."""

import dataclasses

import pytest
import torch

from training.batch import Batch, training_draws, validation_draws

EIGHT = Batch(
    tuple(f"pair-{i}" for i in range(8)), tuple(range(8)), torch.zeros(8, dtype=torch.int64), torch.zeros(8, 8, 2, 3)
)
TWO = dataclasses.replace(EIGHT, pair_ids=EIGHT.pair_ids[5:7], positions=(5, 6), moments=EIGHT.moments[5:7])


def test_an_item_in_training_has_the_same_draws_whatever_is_beside_it() -> None:
    alone, among = training_draws(TWO, 3, 1, 1000), training_draws(EIGHT, 3, 1, 1000)
    assert torch.equal(alone.noise, among.noise[5:7])
    assert torch.equal(alone.latent, among.latent[5:7])
    assert torch.equal(alone.timesteps, among.timesteps[5:7])


def test_an_item_in_validation_has_the_same_draws_wherever_it_stands() -> None:
    moved = dataclasses.replace(TWO, positions=(100, 101))
    alone, among = validation_draws(moved, 3, 0, 4, 1000), validation_draws(EIGHT, 3, 0, 4, 1000)
    assert torch.equal(alone.noise, among.noise[5:7])
    assert torch.equal(alone.timesteps, among.timesteps[5:7])


@pytest.mark.parametrize(("seed", "epoch"), [(4, 1), (3, 2)])
def test_another_seed_or_epoch_draws_anew(seed: int, epoch: int) -> None:
    assert not torch.equal(training_draws(TWO, 3, 1, 1000).noise, training_draws(TWO, seed, epoch, 1000).noise)


def test_latents_and_noise_are_drawn_apart() -> None:
    drawn = training_draws(TWO, 3, 1, 1000)
    assert drawn.latent.shape == drawn.noise.shape == (2, 4, 2, 3)
    assert not torch.equal(drawn.latent, drawn.noise)


@pytest.mark.parametrize("part", range(4))
def test_each_part_of_validation_has_its_part_of_the_time_steps(part: int) -> None:
    timesteps = validation_draws(EIGHT, 3, part, 4, 1000).timesteps
    assert ((timesteps >= 250 * part) & (timesteps < 250 * (part + 1))).all()


def test_time_steps_of_training_are_of_the_whole_range() -> None:
    many = dataclasses.replace(EIGHT, positions=tuple(range(400)), moments=torch.zeros(400, 2, 1, 1))
    timesteps = training_draws(many, 0, 0, 1000).timesteps
    assert timesteps.min() < 50
    assert timesteps.max() > 950
    assert 450 < timesteps.float().mean() < 550


def test_a_batch_moves_whole() -> None:
    moved = dataclasses.replace(EIGHT, waves=torch.zeros(8, 5), lengths=torch.zeros(8)).to("meta")
    assert {t.device.type for t in (moved.labels, moved.moments, moved.waves, moved.lengths) if t is not None} == {
        "meta"
    }
    assert moved.features is None
    assert moved.pair_ids == EIGHT.pair_ids
