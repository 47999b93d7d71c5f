"""Checkpoints are whole or not there, whatever ends the process that writes them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rules.errors import ConfigurationError
from tests.training.small_runs import Killed, files_of_at_most
from training.fitting import checkpoints
from training.fitting.checkpoints import Pointer, State


def state_of(step: int, best: Pointer | None = None, loss: float | None = None) -> State:
    return State(step, 1, step, 10 * step, loss, best, None, {"recipe": "abc"})


def write(folder: Path, step: int, best: Pointer | None = None, loss: float | None = None, n: int = 4) -> Pointer:
    state = state_of(step, best, loss)
    weights = {"weight": torch.full((n,), float(step))}
    checkpoints.write(folder, state, weights, {"exp_avg/weight": torch.full((n,), step / 2)})
    return state.pointer


def assert_is_whole(folder: Path, pointer: Pointer) -> None:
    checkpoint = checkpoints.path(folder, pointer)
    assert checkpoints.state(checkpoint).step == pointer.step
    assert checkpoints.model_state(checkpoint)["weight"].tolist() == [float(pointer.step)] * 4
    assert checkpoints.optimizer_state(checkpoint)["exp_avg/weight"].tolist() == [pointer.step / 2] * 4


def kept(folder: Path) -> list[str]:
    return sorted(entry.name for entry in (folder / "checkpoints").iterdir())


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, moment: int) -> Iterator[list[str]]:
    """Raise before the call of this number to anything that changes the disk; give what was called."""
    called: list[str] = []

    def counted(name: str, work):
        def wrapped(*args, **kwargs):
            if len(called) == moment:
                raise Killed
            called.append(name)
            return work(*args, **kwargs)

        return wrapped

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "save_file", counted("save_file", checkpoints.save_file))
        patched.setattr(checkpoints.os, "fsync", counted("fsync", checkpoints.os.fsync))
        patched.setattr(checkpoints.shutil, "rmtree", counted("rmtree", checkpoints.shutil.rmtree))
        for method in ("rename", "replace", "write_text", "mkdir", "unlink"):
            patched.setattr(Path, method, counted(method, getattr(Path, method)))
        yield called


def test_a_folder_without_checkpoints_points_nowhere(tmp_path):
    assert checkpoints.last(tmp_path) is None
    assert checkpoints.best(tmp_path) is None
    checkpoints.tidy(tmp_path)


def test_only_the_last_and_the_best_checkpoint_are_kept(tmp_path):
    best = write(tmp_path, 1, state_of(1, loss=0.5).pointer, 0.5)
    write(tmp_path, 2, best, 0.7)
    last = write(tmp_path, 3, best, 0.6)

    assert kept(tmp_path) == [best.checkpoint, last.checkpoint]
    assert (checkpoints.best(tmp_path), checkpoints.last(tmp_path)) == (best, last)
    assert_is_whole(tmp_path, best)
    assert_is_whole(tmp_path, last)


def third_checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch, moment: int) -> tuple[Pointer, Pointer, list[str]]:
    """Write one that is the best and the last, over two others, until a moment; return these, and what was called."""
    best = write(folder, 1, state_of(1, loss=0.5).pointer, 0.5)
    before = write(folder, 2, best, 0.6)
    with killed_at(monkeypatch, moment) as called:
        write(folder, 3, NEW, 0.4)
    return best, before, called


NEW = state_of(3, loss=0.4).pointer
MOMENTS = 21  # calls that one checkpoint makes to the disk; the next test fails if there are more


def test_all_calls_of_a_checkpoint_to_the_disk_are_tried(tmp_path, monkeypatch):
    called = third_checkpoint(tmp_path, monkeypatch, -1)[-1]

    assert len(called) == MOMENTS, called


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_kill_at_any_moment_leaves_whole_what_the_pointers_name(tmp_path, monkeypatch, moment):
    with pytest.raises(Killed):
        third_checkpoint(tmp_path, monkeypatch, moment)

    last, best = checkpoints.last(tmp_path), checkpoints.best(tmp_path)
    assert (last.step, best.step) in ((2, 1), (3, 1), (3, 3))
    assert_is_whole(tmp_path, last)
    assert_is_whole(tmp_path, best)

    checkpoints.tidy(tmp_path)  # as a run that goes on does first
    assert checkpoints.best(tmp_path).step == (1 if last.step == 2 else 3)
    assert kept(tmp_path) == sorted({last.checkpoint, checkpoints.best(tmp_path).checkpoint})

    again = write(tmp_path, last.step + 1, NEW, 0.4)
    assert checkpoints.last(tmp_path) == again
    assert_is_whole(tmp_path, again)


def test_without_room_for_a_checkpoint_the_earlier_ones_stay_and_the_user_learns_how_to_go_on(tmp_path):
    best = write(tmp_path, 1, state_of(1, loss=0.5).pointer, 0.5)
    last = write(tmp_path, 2, best, 0.6)
    with files_of_at_most(100_000), pytest.raises(ConfigurationError) as refused:
        write(tmp_path, 3, state_of(3).pointer, 0.4, n=100_000)

    assert "checkpoint of step 3 cannot be written" in str(refused.value)
    assert "File too large" in str(refused.value)
    assert "that of step 2 is whole" in str(refused.value)
    assert f"artune train --resume {tmp_path}" in str(refused.value)
    assert kept(tmp_path) == [best.checkpoint, last.checkpoint]
    assert (checkpoints.best(tmp_path), checkpoints.last(tmp_path)) == (best, last)
    assert_is_whole(tmp_path, last)


def test_without_room_for_the_first_checkpoint_nothing_is_left_behind(tmp_path):
    with files_of_at_most(100_000), pytest.raises(ConfigurationError, match="there is none earlier"):
        write(tmp_path, 1, n=100_000)

    assert kept(tmp_path) == []


def test_a_damaged_checkpoint_is_named_with_what_to_do(tmp_path):
    pointer = write(tmp_path, 1)
    file = checkpoints.path(tmp_path, pointer) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-3])

    with pytest.raises(ConfigurationError, match=r"model\.safetensors: cannot be read.*copy best\.json"):
        checkpoints.model_state(file.parent)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"layout": 1, "step": 3}', '{"checkpoint": "step-00000001"}'])
def test_files_that_are_not_what_artune_wrote_are_refused_by_name(tmp_path, content):
    pointer = write(tmp_path, 1)
    state = checkpoints.path(tmp_path, pointer) / "state.json"
    for file in (state, tmp_path / "last.json"):
        file.write_text(content)

    with pytest.raises(ConfigurationError, match=r"state\.json: cannot be read"):
        checkpoints.state(state.parent)
    with pytest.raises(ConfigurationError, match=r"last\.json: cannot be read"):
        checkpoints.last(tmp_path)


def test_a_checkpoint_of_another_layout_is_refused_and_the_way_out_is_said(tmp_path):
    checkpoint = checkpoints.path(tmp_path, write(tmp_path, 1))
    written = json.loads((checkpoint / "state.json").read_text())
    (checkpoint / "state.json").write_text(json.dumps(written | {"layout": 99}))

    with pytest.raises(ConfigurationError, match="another version of artune.*layout 99.*begin a new run"):
        checkpoints.state(checkpoint)


def test_a_run_can_be_set_back_to_its_best_checkpoint(tmp_path):
    best = write(tmp_path, 1, state_of(1, loss=0.5).pointer, 0.5)
    write(tmp_path, 2, best, 0.6)
    (tmp_path / "last.json").write_bytes((tmp_path / "best.json").read_bytes())  # as the message of a damaged one says
    checkpoints.tidy(tmp_path)

    assert checkpoints.last(tmp_path) == best
    assert kept(tmp_path) == [best.checkpoint]


def test_a_state_comes_back_as_it_was_written(tmp_path):
    best = Pointer("step-00000001", 1, 1, 0.1 + 0.2)
    state = replace(state_of(2, best, 1 / 3), scaler={"scale": 65536.0, "growth_factor": 2.0})
    checkpoints.write(tmp_path, state_of(1, best, 0.1 + 0.2), {}, {})
    checkpoints.write(tmp_path, state, {}, {})

    assert checkpoints.state(checkpoints.path(tmp_path, state.pointer)) == state
