"""A run that was killed, wherever, ends with the bits of one that was not."""

import json
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from rules.errors import ConfigurationError
from tests.training.small_runs import Killed, files_of_at_most, killing_at, result, run_of, trained
from training.fitting import checkpoints
from training.fitting.loop import Progress

TRAIN_ENCODER = ("train.encoder=true",)  # its dropout is on, too


@pytest.fixture(scope="module")
def whole(tiny_release, tmp_path_factory) -> tuple[Path, list[str]]:
    """Train a run without a break; give its folder, and what was told."""
    folder, told = tmp_path_factory.mktemp("whole") / "run", []
    trained(run_of(tiny_release, folder, TRAIN_ENCODER), lambda progress: told.append(progress.what))
    return folder, told


def test_a_run_tells_what_it_does_in_this_order(whole):
    first = ["step", "step", "checkpoint", "step", "validation", "checkpoint"]
    second = ["step", "checkpoint", "step", "step", "validation", "checkpoint"]

    assert whole[1] == ["started", *first, *second]


# In the middle of an epoch, after its validation; and in the next one, after its first step.
@pytest.mark.parametrize("event", [5, 7])
def test_a_run_killed_between_any_two_deeds_ends_as_if_it_was_not(tiny_release, whole, tmp_path, event):
    with pytest.raises(Killed):
        trained(run_of(tiny_release, tmp_path / "run", TRAIN_ENCODER), killing_at(event))

    trained(run_of(tiny_release, tmp_path / "run"))

    assert result(tmp_path / "run") == result(whole[0])


def test_a_run_killed_after_every_checkpoint_ends_as_if_it_was_not(tiny_release, whole, tmp_path):
    for event in (3, 3, 2, 4):
        with pytest.raises(Killed, match="checkpoint"):
            trained(run_of(tiny_release, tmp_path / "run", TRAIN_ENCODER), killing_at(event))
    finished = trained(run_of(tiny_release, tmp_path / "run"))

    assert (finished.resumed_from, finished.steps) == (6, 6)
    assert result(tmp_path / "run") == result(whole[0])


def test_processes_that_the_system_killed_in_a_checkpoint_end_as_if_they_were_not(tiny_release, whole, tmp_path):
    """Each goes on from what the one before left: one file of the first, then all but a name, a pointer, the best's."""
    run_of(tiny_release, tmp_path / "run", TRAIN_ENCODER)
    places = ["save_file:2", "_sync:5", "_point:1", "_replace:2"]
    command = [sys.executable, "-m", "tests.training.training_process", str(tmp_path / "run"), *places]
    heard = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert heard.splitlines() == [f"{place} {signal.SIGKILL:d}" for place in places]

    trained(run_of(tiny_release, tmp_path / "run"))

    assert result(tmp_path / "run") == result(whole[0])


def test_a_run_without_room_for_a_checkpoint_goes_on_when_there_is_some_as_if_there_always_was(
    tiny_release, whole, tmp_path
):
    with ExitStack() as limits:

        def told(progress: Progress) -> None:
            if progress.what == "validation":
                limits.enter_context(files_of_at_most(50_000))

        with pytest.raises(ConfigurationError, match="checkpoint of step 3 cannot be written.*that of step 2 is whole"):
            trained(run_of(tiny_release, tmp_path / "run", TRAIN_ENCODER), told)
    finished = trained(run_of(tiny_release, tmp_path / "run"))

    assert finished.resumed_from == 2
    assert result(tmp_path / "run") == result(whole[0])


def test_to_train_a_finished_run_changes_nothing(tiny_release, whole, monkeypatch):
    before = result(whole[0])
    monkeypatch.setattr("training.fitting.loop.prepared", None)  # nothing is built
    finished = trained(run_of(tiny_release, whole[0]))

    assert (finished.resumed_from, finished.steps) == (6, 6)
    assert result(whole[0]) == before


def test_a_checkpoint_of_another_run_is_refused_with_all_that_differs(tiny_release, tmp_path):
    with pytest.raises(Killed):
        trained(run_of(tiny_release, tmp_path / "run"), killing_at(3))
    last = checkpoints.last(tmp_path / "run")
    state = checkpoints.path(tmp_path / "run", last) / "state.json"
    written = json.loads(state.read_text())
    others = {"recipe": "abc", "data": {"version": "v9"}, "label_names": ["Night"], "base_sha256": {}}
    state.write_text(json.dumps(written | {"identity": {**written["identity"], **others, "steps_per_epoch": 7}}))

    with pytest.raises(ConfigurationError) as refused:
        trained(run_of(tiny_release, tmp_path / "run"))

    told = str(refused.value)
    assert 'the recipe is "abc" there' in told
    assert '"v9"' in told
    assert 'the labels are ["Night"] there, ["Dawn"' in told
    assert "the frozen weights is {} there" in told
    assert "the steps in an epoch are 7 there, 3 now" in told
    assert "a new run in another folder" in told


def test_a_step_that_the_processes_cannot_share_is_refused_with_numbers_that_can(tiny_release, tmp_path, monkeypatch):
    with pytest.raises(Killed):
        trained(run_of(tiny_release, tmp_path / "run"), killing_at(3))
    monkeypatch.setattr("accelerate.Accelerator.num_processes", 3)

    with pytest.raises(ConfigurationError, match="made of 2 batches, which 3 processes.*expected 1 or 2 processes"):
        trained(run_of(tiny_release, tmp_path / "run"))
