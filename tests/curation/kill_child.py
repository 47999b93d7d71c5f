"""Builds that die: a warm process that forks a child for each line it reads, so that a kill costs no imports.

Reads JSON lines {home, folder, stage, event}; the child kills itself at that event of that stage, if any is given.
Writes "event STAGE NAME" before and after whatever a build does, and "ended STATUS" when the child is gone.
"""

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets  # noqa: F401  imported for the children: it takes a second
import duckdb  # noqa: F401
import numpy as np
import pydub  # noqa: F401

from curation import building, music_features, planning
from curation.batches import in_threads
from curation.store import Home
from tests.curation.tables import RATE_HZ, ROOMY, tiny_rules

WORKERS = 2


class Watched:
    """Says what a build does, and ends it where it was told to."""

    def __init__(self, stage: str | None, event: int) -> None:
        self.last, self.event, self.stage, self.seen = stage, event, "start", Counter[str]()

    def say(self, name: str) -> None:
        os.write(1, f"event {self.stage}\t{name}\n".encode())
        self.seen[self.stage] += 1
        if self.stage == self.last and self.seen[self.stage] > self.event:
            os.kill(os.getpid(), signal.SIGKILL)

    def enter(self, stage: str) -> None:
        self.stage = stage
        self.say("begins")

    def each(self, work: Callable[[Any], Any], batches: Sequence[Any], stage: str) -> list[Any]:
        def one(batch: Any) -> Any:
            result = work(batch)
            self.say("batch")
            return result

        self.enter(stage)
        return in_threads(WORKERS)(one, batches, stage)

    def entering(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            if self.stage != stage:
                self.enter(stage)
            return function(*arguments)

        return called

    def committing(self, create: Callable[..., bool]) -> Callable[..., bool]:
        def called(path: Path, content: bytes) -> bool:
            self.enter("commit" if path.suffix == ".json" else "claim")
            created = create(path, content)
            self.say("created")
            return created

        return called

    def replacing(self, replacing: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def called(home: Home, path: Path) -> Iterator[Path]:
            self.say(f"writes {path.name}")
            with replacing(home, path) as temporary:
                yield temporary
                self.say(f"renames {path.name}")
            self.say(f"wrote {path.name}")

        return called


def build(home: str, folder: str, stage: str | None, event: int) -> None:
    watched = Watched(stage, event)
    Home.replacing = watched.replacing(Home.replacing)  # type: ignore[method-assign]
    planning.assign = watched.entering("decide", planning.assign)
    building.write_plain = watched.entering("plain tables", building.write_plain)
    building.create_exclusively = watched.committing(building.create_exclusively)
    building.build(Home(Path(home)), [f"folder:{folder}"], tiny_rules(ROOMY), watched.each)


def serve() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (RATE_HZ, 1)).astype(np.float32)
    music_features.describe(noise, RATE_HZ)  # compiles what librosa compiles, once for all children
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            build(**json.loads(line))
            os._exit(0)
        os.write(1, f"child {child}\n".encode())
        _, status = os.waitpid(child, 0)
        os.write(1, f"ended {status}\n".encode())


if __name__ == "__main__":
    serve()
