"""A training in several processes: what they tell each other, without starting any."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from curation.errors import TransientError
from flows import training_process
from rules.errors import ConfigurationError
from tests.training.made_runs import made
from training.fitting import loop, processes
from training.fitting.processes import Ended
from training.runs.run import Run, Settings


def progress(step: int) -> loop.Progress:
    return loop.Progress("step", step, 4, 1, 2, {"total": 0.5}, 1e-3, 1.0, 2.0, None, 0, "")


def test_several_processes_tell_what_they_do_in_lines(tmp_path, monkeypatch, capsys):
    run = made(tmp_path / "run", settings=Settings(cache=tmp_path, processes=2, threads=3))
    seen: list[Settings] = []

    def train(opened: Run, told: training_process.Heard) -> None:
        seen.append(opened.settings)
        told(progress(1))

    def launch(module: str, words: list[str], count: int, heard: Any) -> Ended:
        assert (module, count) == ("flows.training_process", 2)
        assert training_process.main(*words) == 0
        heard("a word of some library")
        heard(capsys.readouterr().out.strip())
        return Ended(0, "")

    monkeypatch.setattr(loop, "train", train)
    monkeypatch.setattr(processes, "launch", launch)
    heard: list[loop.Progress] = []
    training_process.train_in_processes(run, heard.append)
    assert [asdict(one) for one in heard] == [asdict(progress(1))]
    assert seen == [run.settings]


@pytest.mark.parametrize(
    ("raised", "code", "known"),
    [(ConfigurationError("mend it"), 2, ConfigurationError), (TransientError("busy"), 3, TransientError)],
)
def test_why_several_processes_ended_is_told_as_of_one(tmp_path, monkeypatch, capsys, raised, code, known):
    run = made(tmp_path / "run", settings=Settings(processes=2))

    def fail(opened: Run, told: object) -> None:
        raise raised

    def launch(module: str, words: list[str], count: int, heard: Any) -> Ended:
        assert training_process.main(*words) == code
        told = capsys.readouterr().out.strip()
        assert json.loads(told)["message"] == str(raised)
        heard(told)
        return Ended(1, "ChildFailedError")

    monkeypatch.setattr(loop, "train", fail)
    monkeypatch.setattr(processes, "launch", launch)
    with pytest.raises(known, match=str(raised)):
        training_process.train_in_processes(run, lambda told: None)


def test_processes_that_were_killed_are_no_mistake_of_a_person(tmp_path, monkeypatch):
    run = made(tmp_path / "run", settings=Settings(processes=2))
    monkeypatch.setattr(processes, "launch", lambda *_: Ended(137, "out of memory"))
    with pytest.raises(RuntimeError, match="exit code 137:\nout of memory"):
        training_process.train_in_processes(run, lambda told: None)
