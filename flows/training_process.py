"""A training in this process, or in several of them: `python -m flows.training_process RUN_FOLDER HOW` is one of these.

Each process says what it has to say in lines of JSON, which the one that started them reads.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from curation.errors import TransientError
from flows.terminal import FAILED_EXIT_CODE
from rules.errors import ConfigurationError
from training.fitting import loop, processes
from training.fitting.loop import Progress
from training.runs.run import Run, Settings

REFUSED_EXIT_CODE = 2

Heard = Callable[[Progress], None]


def train_here(run: Run, heard: Heard) -> None:
    """Train in this process."""
    loop.train(run, heard)


def train_in_processes(run: Run, heard: Heard) -> None:
    """Train in as many processes as the run's settings say.

    Raises:
        ConfigurationError, TransientError: as the processes raise it.
        RuntimeError: they ended otherwise.
    """
    failures: list[dict[str, str]] = []

    def line(text: str) -> None:
        told = _read(text)
        if told is None:
            return
        if "error" in told:
            failures.append(told)
        else:
            heard(Progress(**told))

    arguments = [str(run.folder), json.dumps(_plain(run.settings))]
    ended = processes.launch("flows.training_process", arguments, run.settings.processes, line)
    if not ended.code:
        return
    told = next(iter(failures), None)
    if told is None:
        raise RuntimeError(f"the processes of a training ended with exit code {ended.code}:\n{ended.stderr}")
    raise (TransientError if told["error"] == "busy" else ConfigurationError)(told["message"])


def _read(text: str) -> dict[str, Any] | None:
    """Return what a process tells; None for what a library printed."""
    try:
        told = json.loads(text)
    except ValueError:
        return None
    return told if isinstance(told, dict) and ("what" in told or "error" in told) else None


def _plain(how: Settings) -> dict[str, Any]:
    return asdict(how) | {"cache": how.cache and str(how.cache)}


def main(folder: str, how: str) -> int:
    """Train as one of several processes; return the exit code."""
    written = json.loads(how)
    chosen = Settings(**written | {"cache": written["cache"] and Path(written["cache"])})
    try:
        loop.train(Run.open(Path(folder), settings=chosen), lambda told: _say(asdict(told)))
    except ConfigurationError as error:
        _say({"error": "refused", "message": str(error)})
        return REFUSED_EXIT_CODE
    except TransientError as error:
        _say({"error": "busy", "message": str(error)})
        return FAILED_EXIT_CODE
    return 0


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
