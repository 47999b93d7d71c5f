"""An ingest that is killed (SIGKILL) at any moment and run again loses nothing and fetches nothing twice."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from curation.store import Home
from tests.curation.ingest_child import NAMES, WORKERS
from tests.curation.ingesting import SITE, rows_of

ROOT = Path(__file__).parents[2]
KILLS = 20


class Children:
    """The warm process that forks the ingests."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.curation.ingest_child"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, folder: Path, kill_at: int | None = None) -> tuple[bool, int]:
        """Run an ingest; return whether it was killed, and how many events it had if not."""
        folder.mkdir(exist_ok=True)
        request = {"home": str(folder / "home"), "log": str(folder / "asked"), "kill_at": kill_at}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        events = 0
        while True:
            kind, _, value = self.process.stdout.readline().strip().partition(" ")
            if kind == "events":
                events = int(value)
            elif kind == "ended":
                status = int(value)
                was_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
                assert was_killed or status == 0
                return was_killed, events
            else:
                raise AssertionError(f"the warm process said {kind!r}")


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    found = Children()
    yield found
    found.process.stdin.close()
    found.process.wait()
    found.process.stdout.close()


@dataclass(frozen=True)
class Undisturbed:
    rows: list[tuple[Any, ...]]
    events: int


@pytest.fixture(scope="module")
def undisturbed(children: Children, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    _, events = children.run(folder)
    rows = rows_of(Home(folder / "home"))
    assert len(rows) == len(NAMES) + 1
    return Undisturbed(rows, events)


def ends_like(undisturbed: Undisturbed, children: Children, folder: Path, kills: int) -> None:
    assert children.run(folder)[0] is False
    home = Home(folder / "home")
    assert rows_of(home) == undisturbed.rows
    asked = Counter((folder / "asked").read_text().split())
    assert set(asked) == {f"{SITE}{name}" for name in NAMES}
    assert asked.total() <= len(NAMES) + kills * WORKERS  # what was on its way when it died
    assert list((home.root / "tmp").iterdir()) == []
    assert [path.name for path in (home.root / "fetching" / "toy").iterdir()] == ["lock"]


def test_killed_once_at_any_event_and_run_again_it_ends_as_if_it_was_not(children, undisturbed, tmp_path):
    assert undisturbed.events > 3 * KILLS
    # Threads take turns as they like: the last events may not come to pass.
    for kill_at in sorted(random.Random(4).sample(range(undisturbed.events - WORKERS), KILLS)):
        folder = tmp_path / str(kill_at)
        assert children.run(folder, kill_at)[0] is True, kill_at
        ends_like(undisturbed, children, folder, kills=1)


def test_killed_again_and_again_it_comes_to_its_end(children, undisturbed, tmp_path):
    folder, kills, lots = tmp_path / "again", 0, random.Random(5)
    while children.run(folder, kill_at=lots.randrange(2, 40))[0]:
        kills += 1
    assert kills > 2
    ends_like(undisturbed, children, folder, kills)
