"""An ingest into a bucket: the rows and blobs of a folder, also after a kill."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation import ingested
from curation.store import Home
from tests.curation.ingest_child import NAMES, WORKERS
from tests.curation.ingesting import FACES, SITE, ingest_from, rows_of, rules_for, toy_source
from tests.curation.object_storage.copied import held, names_below
from tests.curation.test_ingest_web import PICTURE, found_at
from tests.sites import Asked, Site

ROOT = Path(__file__).parents[3]
RULES = rules_for((FACES, "faces"))
KILLED_AT = (10, 40, 90)  # of some 130 events


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with Site() as found:
        web = found.web()
        monkeypatch.setattr("curation.web.of", lambda settings: web)
        yield found


def test_an_ingest_from_a_site_writes_the_rows_and_blobs_of_a_folder(site, remote_home, tmp_path):
    large = PICTURE + bytes(3 << 20)  # it goes through a file on its way

    def answer(asked: Asked):
        if asked.path.endswith("gone.png"):
            return 404, {}, b""
        return 200, {"ETag": f'"{asked.path}"'}, (large if "large" in asked.path else PICTURE + asked.path.encode())

    site.otherwise = answer
    homes = (Home(tmp_path / "local"), remote_home)
    for home in homes:
        with toy_source() as toy:
            del toy.fetched  # so that plain http does it
            toy.WORLD.lists = {"faces": found_at(site, "a.png", "gone.png", "large.png", "b.png")}
            done = ingest_from(home, RULES)
            assert (done.ended.fetched, done.ended.failed) == (3, {"gone": 1})
            assert ingest_from(home, RULES).ended.count == 0
    local, remote = (held(home, "items", "found", "blobs") for home in homes)
    assert remote == local
    assert len([name for name in remote if name.startswith("blobs/")]) == 3
    left = [path for path in remote_home.local.rglob("*") if path.is_file()]
    assert left == []


class Children:
    """The warm process that forks the ingests."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "asked"
        command = [sys.executable, "-m", "tests.curation.ingest_child"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)

    def run(self, home: str, kill_at: int | None = None) -> bool:
        """Run an ingest; return whether it was killed."""
        self.process.stdin.write(json.dumps({"home": home, "log": str(self._log), "kill_at": kill_at}) + "\n")
        self.process.stdin.flush()
        while True:
            kind, _, value = self.process.stdout.readline().strip().partition(" ")
            if kind == "ended":
                was_killed = os.WIFSIGNALED(int(value)) and os.WTERMSIG(int(value)) == signal.SIGKILL
                assert was_killed or int(value) == 0
                return was_killed
            assert kind == "events"

    def asked(self) -> Counter[str]:
        return Counter(self._log.read_text().split())

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    found = Children(tmp_path)
    yield found
    found.close()


def test_a_killed_ingest_goes_on_from_what_it_fetched(children, remote_home, tmp_path):
    where = str(remote_home.root)
    for kill_at in KILLED_AT:
        assert children.run(where, kill_at)
    assert not children.run(where)
    asked = children.asked()
    assert set(asked) == {f"{SITE}{name}" for name in NAMES}
    # What was on its way when it was killed is asked for again, and nothing else.
    assert sum(asked.values()) <= len(NAMES) + WORKERS * len(KILLED_AT)
    undisturbed = Home(tmp_path / "undisturbed")
    assert not children.run(str(undisturbed.root))
    assert rows_of(remote_home) == rows_of(undisturbed)
    assert held(remote_home, "blobs") == held(undisturbed, "blobs")
    assert list(ingested.working_folder(remote_home, "toy").iterdir()) == []


def test_another_machine_fetches_again_what_a_killed_one_did_not_write_down(
    children, remote_home, tmp_path, monkeypatch
):
    assert children.run(str(remote_home.root), KILLED_AT[1])
    sent = names_below(remote_home.root / "blobs")
    assert sent
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # what is there is of this machine only
    monkeypatch.setattr("tempfile.tempdir", None)
    elsewhere = Children(tmp_path)
    try:
        assert not elsewhere.run(str(remote_home.root))
    finally:
        elsewhere.close()
    rows = rows_of(remote_home, "source_id", "sha256")
    assert len(rows) == len(NAMES) + 1
    assert sorted(names_below(remote_home.root / "blobs")) == sorted({sha256 for _, sha256 in rows if sha256})
    assert set(sent) <= {sha256 for _, sha256 in rows}
