"""Purges that die: a warm process that forks a child for each line it reads, so that a kill costs no imports.

Reads JSON lines {home, item, event}; the child kills itself at that event, if it comes to it: a file that is written,
renamed or removed. Writes "ended STATUS" when the child is gone.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets  # noqa: F401  imported for the children: it takes a second
import duckdb  # noqa: F401
import numpy as np
import pydub  # noqa: F401

from curation import music_features, removal
from curation.store import Home
from tests.curation.tables import RATE_HZ


class Watched:
    """Counts what a purge does to files, and ends it where it was told to."""

    def __init__(self, event: int) -> None:
        self.left = event

    def count(self) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **more: Any) -> Any:
            self.count()
            result = function(*arguments, **more)
            self.count()
            return result

        return called

    def replacing(self, replacing: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def called(home: Home, path: Path) -> Iterator[Path]:
            with replacing(home, path) as temporary:
                yield temporary
                self.count()
            self.count()

        return called


def purge(home: str, item: str, event: int) -> None:
    watched = Watched(event)
    Home.replacing = watched.replacing(Home.replacing)  # type: ignore[method-assign]
    Path.unlink = watched.around(Path.unlink)  # type: ignore[method-assign]
    shutil.rmtree = watched.around(shutil.rmtree)  # type: ignore[assignment]
    removal.remove(Home(Path(home)), item, "asked for", purge=True)


def serve() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (RATE_HZ, 1)).astype(np.float32)
    music_features.describe(noise, RATE_HZ)  # compiles what librosa compiles, once for all children
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            purge(**json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.write(1, f"ended {status}\n".encode())


if __name__ == "__main__":
    serve()
