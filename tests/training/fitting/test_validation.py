"""The validation loss is the same number for the same weights."""

import math

import pytest
import torch

from rules.errors import ConfigurationError
from tests.training.small_runs import ready, run_of, trained
from training.fitting import validation
from training.fitting.preparing import Prepared


@pytest.fixture(scope="module")
def prepared_run(tiny_release, tmp_path_factory) -> Prepared:
    return ready(run_of(tiny_release, tmp_path_factory.mktemp("validated") / "run"))


def measured(run: Prepared, process: int = 0, processes: int = 1) -> float:
    assert run.validation is not None
    return validation.measured(run.accelerator, run.model, run.validation.validation_batches(process, processes))


def test_unchanged_weights_have_the_same_loss_in_every_epoch_bit_by_bit_and_the_first_is_best(tiny_release, tmp_path):
    run = run_of(tiny_release, tmp_path / "run", ("optimizer.learning_rate=1e-30", "samples.clips=1"))
    end = trained(run)
    losses = [row["validation_loss"] for row in run.rows() if row["kind"] == "epoch"]

    assert len(losses) == 2
    assert len(set(losses)) == 1
    assert (end.best.step, end.last.step) == (3, 6)
    assert len({row["loss"] for row in run.rows() if row["kind"] == "step"}) == 6  # where chance is another each time


def test_what_was_drawn_before_and_the_mode_of_the_model_change_nothing(prepared_run):
    before = measured(prepared_run)
    torch.manual_seed(7)
    prepared_run.model.train()

    assert measured(prepared_run) == before
    assert prepared_run.model.training


def test_several_processes_measure_what_one_does(prepared_run, monkeypatch):
    alone = measured(prepared_run)
    shares = []
    monkeypatch.setattr(validation, "gather_object", lambda own: shares.append(own) or own)
    for process in range(2):
        measured(prepared_run, process, 2)
    monkeypatch.setattr(validation, "gather_object", lambda own: [*shares[0], *shares[1]])

    assert all(shares)
    assert measured(prepared_run) == alone


def test_the_size_of_the_batches_changes_no_more_than_rounding_does(prepared_run, tiny_release, tmp_path):
    other = ready(run_of(tiny_release, tmp_path / "run", ("batch_size=3",)))

    assert measured(other) == pytest.approx(measured(prepared_run), rel=1e-6)


def test_a_validation_loss_that_is_no_number_stops_the_run(prepared_run, monkeypatch):
    monkeypatch.setattr(prepared_run.model, "validation_loss", lambda batch, draws: torch.full((len(batch),), math.nan))

    with pytest.raises(ConfigurationError, match="the validation loss is nan.*the checkpoints are as they were"):
        measured(prepared_run)


def test_a_split_of_which_nothing_can_be_read_stops_the_run(prepared_run):
    with pytest.raises(ConfigurationError, match=r"none of its pairs can be read, skipped\.jsonl says why"):
        validation.measured(prepared_run.accelerator, prepared_run.model, [])
