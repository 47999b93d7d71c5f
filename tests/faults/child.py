"""Processes to which something happens: a warm one that forks a child for each line it reads, so none costs imports.

Reads JSON lines: {"run": NAME, "arguments": {...}, "hold": PATTERN, "at": PATH, "says": PATH} forks a child that calls
a function of JOBS and answers its process id; {"poll": PID} answers its status once it has ended, else null.

A child that was told to hold stops where it first comes to a file of that pattern, with its bytes written and not yet
under their name: it creates the file `at` and goes on when somebody removes that.
"""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import datasets  # noqa: F401  imported for the children: it takes a second
import duckdb  # noqa: F401
import numpy as np
import pydub  # noqa: F401

import rules
from curation import building, images, music_features
from curation.batches import in_threads
from curation.errors import TransientError
from curation.store import Home
from flows import cli
from rules.errors import ConfigurationError
from tests.curation.tables import RATE_HZ

WORKERS = 2
NEWER = "ARTUNE_TEST_IMAGES_VERSION"  # of the code that measures pictures


class Hold:
    """Stops a process at a file."""

    def __init__(self, pattern: str, at: Path) -> None:
        self.pattern, self.at, self.has_begun, self.lock = pattern, at, False, threading.Lock()

    def pass_by(self, path: Path) -> None:
        if not fnmatch(str(path), self.pattern):
            return
        with self.lock:  # other threads come by, too
            if not self.has_begun:
                self.at.touch()
            self.has_begun = True
        while self.at.exists():
            time.sleep(0.01)

    def replacing(self, replacing: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def called(home: Home, path: Path) -> Iterator[Path]:
            with replacing(home, path) as temporary:
                yield temporary
                self.pass_by(path)

        return called

    def creating(self, create: Callable[..., bool]) -> Callable[..., bool]:
        def called(path: Path, content: bytes) -> bool:
            self.pass_by(path)
            return create(path, content)

        return called


def artune(arguments: Sequence[str]) -> None:
    """Run the command."""
    sys.argv = ["artune", *arguments]
    cli.main()


def build(home: str, folder: str, seed: int = 1, may_drop: bool = False) -> None:
    """Build by plain functions with the rules beside the collection, and end as the command does."""
    rule_set = rules.load(str(Path(folder).with_name("tiny"))).model_copy(update={"seed": seed})
    try:
        building.build(Home(Path(home)), [f"folder:{folder}"], rule_set, in_threads(WORKERS), may_drop=may_drop)
    except ConfigurationError as error:
        sys.exit(str(error))
    except TransientError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(3)


JOBS: dict[str, Callable[..., None]] = {"artune": artune, "build": build}


def run(request: dict[str, Any]) -> None:
    says = os.open(request["says"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(says, 1)
    os.dup2(says, 2)
    os.environ |= request.get("environment", {})
    tempfile.tempdir = None  # it was looked up before the fork
    if NEWER in os.environ:
        images.VERSION = int(os.environ[NEWER])
    if request.get("hold"):
        hold = Hold(request["hold"], Path(request["at"]))
        Home.replacing = hold.replacing(Home.replacing)  # type: ignore[method-assign]
        building.create_exclusively = hold.creating(building.create_exclusively)
    try:
        JOBS[request["run"]](**request["arguments"])
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(end.code + "\n")
        code = end.code if isinstance(end.code, int) else 2 if end.code else 0
    except BaseException:  # noqa: BLE001 - the fork must end here, whatever it was
        sys.excepthook(*sys.exc_info())
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (RATE_HZ, 1)).astype(np.float32)
    music_features.describe(noise, RATE_HZ)  # compiles what librosa compiles, once for all children
    answers = os.dup(1)
    for line in sys.stdin:
        request = json.loads(line)
        if "ready" in request:
            answer: Any = True
        elif "poll" in request:
            pid, status = os.waitpid(request["poll"], os.WNOHANG)
            answer = status if pid else None
        else:
            answer = os.fork()
            if not answer:
                run(request)
        os.write(answers, f"{json.dumps(answer)}\n".encode())


if __name__ == "__main__":
    if "--prefect" in sys.argv:
        import flows.build  # noqa: F401  the embedding process has set what Prefect reads
    serve()
