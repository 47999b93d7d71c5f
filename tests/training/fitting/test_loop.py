"""A run from its first step to its last: what it learns, what it tells, and what it keeps."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from curation.errors import ItemError
from rules.errors import ConfigurationError
from tests.training.small_runs import Killed, ready, result, run_of, trained, weights
from training.batch import Batch, validation_draws
from training.data import Revision
from training.fitting import checkpoints, stepping
from training.models.audiotoken import AudioToken
from training.reading import media

OVERFIT = ("train.unet=full", "batch_size=4", "accumulation=1", "pooling_dropout=0", "epochs=15", "pairing=partner")
LEARNING = ("optimizer.learning_rate=1e-2", "schedule.warmup_steps=10", "ema_decay=null")


def error_of(model: AudioToken, batch: Batch) -> float:
    """Measure the loss at 20 fixed time steps of each item."""
    parts = [validation_draws(batch, 0, part, 20, model.n_timesteps) for part in range(20)]
    return float(np.mean([model.validation_loss(batch, drawn).mean().item() for drawn in parts]))


def difference(model: AudioToken, batch: Batch, one: int, other: int) -> float:
    """Draw for two clips from the same noise; return the mean difference of their images, of 255."""
    with torch.no_grad():
        tokens = model.tokens(batch)[[one, other]]
    drawn = [np.asarray(of_clip[0], np.float64) for of_clip in model.generate(tokens, seed=0, steps=5, guidance=7.5)]
    return float(np.abs(drawn[0] - drawn[1]).mean())


def test_the_loss_on_four_pairs_falls_by_80_percent_and_two_clips_get_two_images(tiny_release, tmp_path):
    run = ready(run_of(tiny_release, tmp_path / "run", OVERFIT + LEARNING))
    batch = next(run.loader.validation_batches(max_items=4))
    before = error_of(run.model, batch)
    run.model.train()
    for step in range(1, run.steps + 1):
        run.stepper.take(step, step, [batch])  # as if each were an epoch: other noise each time

    assert run.steps == 75
    assert error_of(run.model, batch) < 0.2 * before
    assert difference(run.model.eval(), batch, 0, 1) > 0
    assert difference(run.model, batch, 0, 0) == 0


@pytest.fixture(scope="module")
def finished(tiny_release, tmp_path_factory):
    """Train a run; give it, what was told, and what it came to."""
    told = []
    run = run_of(tiny_release, tmp_path_factory.mktemp("finished") / "run", ("samples.clips=2", "samples.steps=2"))
    return run, told, trained(run, told.append)


def test_a_run_tells_how_far_it_is(finished):
    steps = [progress for progress in finished[1] if progress.what == "step"]

    assert [(progress.step, progress.steps) for progress in steps] == [(step, 6) for step in range(1, 7)]
    assert [(progress.epoch, progress.epochs) for progress in steps] == [(1, 2)] * 3 + [(2, 2)] * 3
    assert all(progress.items_per_s > 0 for progress in steps)
    assert steps[0].losses["total"] == pytest.approx(sum(steps[0].losses.values()) - steps[0].losses["total"])
    assert steps[-1].learning_rate == 0  # the end of the cosine
    assert steps[3].validation_loss == steps[4].validation_loss != steps[2].validation_loss
    json.dumps([dataclasses.asdict(progress) for progress in finished[1]], allow_nan=False)


def test_metrics_hold_a_line_for_each_step_and_each_epoch_and_no_clock(finished):
    run, told, _ = finished
    rows = run.rows()

    assert [(row["kind"], row["step"]) for row in rows] == [
        *(("step", 1), ("step", 2), ("step", 3), ("epoch", 3)),
        *(("step", 4), ("step", 5), ("step", 6), ("epoch", 6)),
    ]
    assert list(rows[0]) == ["kind", "step", "epoch", "loss", "noise", "l1", "label", "learning_rate", "gradient_norm"]
    assert rows[3]["train_loss"] == pytest.approx(np.mean([row["loss"] for row in rows[:3]]))
    assert rows[7]["validation_loss"] == told[-1].validation_loss


def test_last_and_best_are_kept_and_the_run_says_which(finished):
    run, _, end = finished
    losses = {row["step"]: row["validation_loss"] for row in run.rows() if row["kind"] == "epoch"}

    assert (end.last.step, end.steps, end.resumed_from) == (6, 6, 0)
    assert end.best.step == min(losses, key=losses.get)
    assert end.best.validation_loss == min(losses.values())
    assert (checkpoints.last(run.folder), checkpoints.best(run.folder)) == (end.last, end.best)


def test_samples_are_drawn_after_every_epoch(finished):
    run, told, _ = finished

    assert [progress.detail for progress in told if progress.what == "samples"] == [
        str(run.folder / f"samples/epoch-00{epoch}.png") for epoch in (1, 2)
    ]
    assert all((run.folder / f"samples/epoch-00{epoch}.png").is_file() for epoch in (1, 2))


def test_the_mean_of_the_weights_is_what_is_kept_for_use(finished):
    kept = weights(finished[0].folder)
    raw = {name.removeprefix("raw/"): value for name, value in kept.items() if name.startswith("raw/")}

    assert raw
    assert any(not torch.equal(kept[name], value) for name, value in raw.items())


def test_drawing_samples_changes_nothing_that_is_learned(finished, tiny_release, tmp_path):
    run = run_of(tiny_release, tmp_path / "run")  # with none
    trained(run)
    one, other = weights(run.folder), weights(finished[0].folder)

    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_run_has_the_same_bits_however_many_threads_torch_has(tiny_release, tmp_path):
    changes, before = ("train.unet=full", "epochs=1"), torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        try:
            trained(run_of(tiny_release, tmp_path / str(threads), changes))
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)

    assert result(tmp_path / "1") == result(tmp_path / "3")


def test_without_a_validation_split_the_last_checkpoint_counts_as_the_best_and_it_is_said(
    tiny_release, tmp_path, monkeypatch
):
    split, told = Revision.split, []
    monkeypatch.setattr(Revision, "split", lambda self, name: None if name == "validation" else split(self, name))
    changes = ("epochs=1", "samples.clips=1", "samples.steps=1")  # drawn for a clip that is trained on
    end = trained(run_of(tiny_release, tmp_path / "run", changes), told.append)

    assert "no split validation, so the last checkpoint counts as the best" in told[0].detail
    assert end.best == end.last
    assert [progress.what for progress in told][-3:] == ["step", "samples", "checkpoint"]
    assert run_of(tiny_release, tmp_path / "run").rows()[-1]["validation_loss"] is None


def test_a_picture_that_cannot_be_read_is_left_out_counted_and_told_once(tiny_release, tmp_path, monkeypatch):
    picture, damaged, told = media.picture, [], []

    def read(content, *words):
        damaged.append(bytes(content))
        if bytes(content) == damaged[0]:
            raise ItemError("undecodable_image", "cut off")
        return picture(content, *words)

    monkeypatch.setattr(media, "picture", read)
    run = run_of(tiny_release, tmp_path / "run", ("pairing=partner",))
    end = trained(run, told.append)
    skipped = [json.loads(line) for line in (run.folder / "skipped.jsonl").read_text().splitlines()]

    assert (end.steps, end.skipped, told[-1].skipped) == (6, 1, 1)
    assert [(one["reason"], one["detail"]) for one in skipped] == [("undecodable_image", "cut off")]


def test_a_run_that_is_shorter_than_its_warm_up_says_so(tiny_release, tmp_path):
    told = []

    def stop(progress):
        told.append(progress)
        raise Killed

    with pytest.raises(Killed):
        trained(run_of(tiny_release, tmp_path / "run", ("schedule.warmup_steps=500",)), stop)

    assert told[0].detail.endswith("the 6 steps end before the warm-up of 500 does")


def test_a_loss_that_is_no_number_ends_the_run_and_touches_nothing_that_was_kept(tiny_release, tmp_path, monkeypatch):
    run, drawn, kept = run_of(tiny_release, tmp_path / "run"), stepping.training_draws, {}

    def spoiled(batch, seed, epoch, n_timesteps):
        draws = drawn(batch, seed, epoch, n_timesteps)
        return dataclasses.replace(draws, noise=draws.noise * math.nan) if epoch == 1 else draws

    def told(progress):
        if (progress.what, progress.step) == ("checkpoint", 3):
            kept.update(result(run.folder))

    monkeypatch.setattr(stepping, "training_draws", spoiled)
    with pytest.raises(ConfigurationError, match="step 4, epoch 2.*the loss is nan, of the pairs"):
        trained(run, told)

    assert result(run.folder) == kept
    assert not run.is_finished
