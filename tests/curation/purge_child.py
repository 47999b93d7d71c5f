"""Purges that die: a warm process that forks a child for each line it reads, so that a kill costs no imports.

Reads JSON lines {home, item, event}; the child kills itself at that event, if it comes to it: a file that is written,
renamed or removed. Writes "ended STATUS" when the child is gone.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import datasets  # noqa: F401  imported for the children: it takes a second
import duckdb  # noqa: F401
import numpy as np
import pydub  # noqa: F401

from curation import music_features, removal
from curation.store import Home
from tests.curation.tables import RATE_HZ
from tests.curation.watching import Watched


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
