"""Killed (SIGKILL) at any moment and run again, a rehydration ends with the same bytes and asks nothing twice."""

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

import pyarrow.parquet as pq
import pytest

from curation import building, ingest, releases, verifying
from curation.batches import in_threads
from curation.sources import Facts, Found
from curation.store import Home
from tests.curation.collection import files_of
from tests.curation.ingesting import FACES, MEANS, SITE, rules_for
from tests.curation.publications import publish, rules_for_spans, write_media
from tests.curation.rehydrate_child import GONE, toys

ROOT = Path(__file__).parents[3]
KILLS = 8
WORKERS = 2


@dataclass
class Children:
    """The warm process that forks the rehydrations of one publication."""

    process: subprocess.Popen[str]
    root: Path

    def run(self, folder: Path, kill_at: int | None = None) -> tuple[bool, int]:
        """Rehydrate; return whether it was killed, and how many events it had if not."""
        folder.mkdir(exist_ok=True)
        request = {"home": folder / "home", "log": folder / "asked"}
        request |= {"published": self.root / "published", "media": self.root / "media"}
        line = {name: str(path) for name, path in request.items()} | {"kill_at": kill_at}
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        events = 0
        while True:
            kind, _, value = self.process.stdout.readline().strip().partition(" ")
            if kind == "events":
                events = int(value)
            else:
                assert kind == "ended"
                was_killed = os.WIFSIGNALED(int(value)) and os.WTERMSIG(int(value)) == signal.SIGKILL
                assert was_killed or value == "0"
                return was_killed, events


@pytest.fixture(scope="module")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Children]:
    root = tmp_path_factory.mktemp("killed")
    home, rule_set = Home(root / "home"), rules_for_spans()
    asked = rules_for((FACES, "faces")).collect
    media = write_media(root / "media", pictures=())
    with toys() as toy, pytest.MonkeyPatch.context() as patched:
        patched.setattr(building, "bucket_counts", lambda rule_set: {"train": 2, "validation": 1, "test": 1})
        toy.WORLD.lists = {"faces": [Found(str(n), f"{SITE}{n}", Facts(title=f"Face {n}")) for n in range(6)]}
        ingest.ingest(home, ["toy"], rule_set.model_copy(update={"collect": asked}), MEANS)
        building.build(home, ["toy", f"folder:{media}"], rule_set, in_threads(2))
    release = releases.get(home, 1)
    rows = pq.read_table(release.folder / "metadata", columns=["pair_id", "image_source_id"]).to_pylist()
    embedded = sorted(row["pair_id"] for row in rows if f"{SITE}{row['image_source_id']}" != GONE)
    publish(home, release, root / "published", embedded[:2])
    command = [sys.executable, "-m", "tests.curation.rehydrate_child"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield Children(process, root)
    process.stdin.close()
    process.wait()
    process.stdout.close()


@dataclass(frozen=True)
class Undisturbed:
    files: dict[str, bytes]
    asked: set[str]
    events: int


@pytest.fixture(scope="module")
def undisturbed(children: Children, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    _, events = children.run(folder)
    asked = (folder / "asked").read_text().split()
    assert GONE in asked
    assert len(set(asked)) == len(asked) == 4
    return Undisturbed(files_of(folder / "home" / "releases"), set(asked), events)


def ends_like(undisturbed: Undisturbed, children: Children, folder: Path, kills: int) -> None:
    assert children.run(folder)[0] is False
    found = files_of(folder / "home" / "releases")
    assert sorted(found) == sorted(undisturbed.files)
    assert [name for name, data in found.items() if data != undisturbed.files[name]] == []
    asked = Counter((folder / "asked").read_text().split())
    assert set(asked) == undisturbed.asked
    assert asked.total() <= len(undisturbed.asked) + kills * WORKERS  # what was on its way when it died
    assert verifying.verify(Home(folder / "home"), in_threads(2)) == []
    assert list((folder / "home" / "tmp").iterdir()) == []


def test_killed_once_at_any_event_and_run_again_it_ends_as_if_it_was_not(children, undisturbed, tmp_path):
    assert undisturbed.events > 3 * KILLS
    # Threads take turns as they like: the last events may not come to pass.
    for kill_at in sorted(random.Random(4).sample(range(undisturbed.events - WORKERS), KILLS)):
        folder = tmp_path / str(kill_at)
        assert children.run(folder, kill_at)[0] is True, kill_at
        ends_like(undisturbed, children, folder, kills=1)


def test_killed_again_and_again_it_comes_to_its_end(children, undisturbed, tmp_path):
    folder, kills, lots = tmp_path / "again", 0, random.Random(5)
    while children.run(folder, kill_at=lots.randrange(10, 40) + 10 * kills)[0]:
        kills += 1
    assert kills > 2
    ends_like(undisturbed, children, folder, kills)
