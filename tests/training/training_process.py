"""A process that trains a run: `python -m` this with the run's folder, and where it is to be killed by the system.

For every place that is named it forks before anything is trained: all that is imported takes longer than to train.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from tests.training.small_runs import be_plain
from training.encoders import beats  # noqa: F401 - likewise
from training.fitting import checkpoints
from training.fitting.loop import Progress, train
from training.runs.run import Run


def told(progress: Progress) -> None:
    sys.stdout.write(json.dumps(asdict(progress)) + "\n")
    sys.stdout.flush()


def killing(name: str, call: int) -> None:
    """Have this process killed when a function of the checkpoints is called for the given time."""
    original: Callable = getattr(checkpoints, name)
    calls = []

    def kill(*args):
        calls.append(args)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args)

    setattr(checkpoints, name, kill)


def main() -> None:
    folder, *places = sys.argv[1:]
    torch.set_num_threads(1)
    be_plain(pytest.MonkeyPatch())  # for as long as this process lives
    for place in places:  # as save_file:2
        name, _, call = place.partition(":")
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            sys.stdout.write(f"{place} {os.WTERMSIG(status) if os.WIFSIGNALED(status) else 'ended by itself'}\n")
            sys.stdout.flush()
        else:
            killing(name, int(call))
            train(Run.open(Path(folder)), lambda progress: None)
            os._exit(0)
    if not places:
        train(Run.open(Path(folder)), told)


if __name__ == "__main__":
    main()
