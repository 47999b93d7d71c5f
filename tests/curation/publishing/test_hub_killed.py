"""A publication that is killed (SIGKILL) at any request and run again: the same files, nothing sent twice."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest
from datasets import load_dataset

from curation.publishing import hub as hubs
from curation.releases import Release
from tests.curation.publishing.conftest import REPO_ID, Editions
from tests.curation.publishing.to_hub import publish
from tests.hub.people import User
from tests.hub.repos import Repo
from tests.hub_site import Hub

ROOT = Path(__file__).parents[3]
REQUESTS = [
    ("GET", "/refs$"),
    ("POST", "/branch/"),
    ("POST", "/preupload/"),
    ("POST", "/objects/batch"),
    ("PUT", "^/lfs/"),
    ("POST", "/objects/verify"),
    ("POST", "/commit/artune-v3"),
    ("POST", "/paths-info/"),
    ("POST", "/validate-yaml"),
    ("POST", "/commit/main"),
    ("POST", "/tag/"),
    ("DELETE", "/branch/"),
]


class Children:
    """The warm process that forks the publications."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.curation.publishing.publish_child"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._running: SimpleQueue[int] = SimpleQueue()

    def run(self, editions: Editions, release: Release, repo_id: str) -> int:
        """Run a publication and return how it ended, as `os.waitpid` tells it."""
        self._running = SimpleQueue()
        request = {"home": str(editions.home.root), "release": release.number, "repo_id": repo_id}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        self._running.put(int(self.process.stdout.readline().removeprefix("child ")))
        return int(self.process.stdout.readline().removeprefix("ended "))

    def kill(self, _: object) -> None:
        os.kill(self._running.get(), signal.SIGKILL)


@pytest.fixture(scope="module")
def children(hub: Hub) -> Iterator[Children]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HF_TOKEN", hub.user("ida").token)
        found = Children()
    yield found
    found.process.stdin.close()
    found.process.wait()
    found.process.stdout.close()


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_killed_before_and_after_a_request_and_run_again_it_ends_as_if_it_had_not_been(
    method, path, children: Children, undisturbed, editions: Editions, hub: Hub, repo: Repo
) -> None:
    seen = [repo.hashes("main")]
    hub.at("*", "", lambda _: seen.append(repo.hashes("main")), times=1_000)
    with hub.watch() as traffic:
        for done in (False, True):
            fault = hub.fail(method, path, do=children.kill, done=done)
            status = children.run(editions, editions.dropped, REPO_ID)
            assert (os.WTERMSIG(status) == signal.SIGKILL) == bool(fault.hits)
            assert fault.hits or done  # what was sent need not be verified again
        publish(editions.home, editions.dropped, REPO_ID)
    seen.append(repo.hashes("main"))
    assert [found for found in seen if found not in (seen[0], undisturbed)] == []  # nobody ever sees half of it
    assert seen[-1] == repo.hashes("v3") == undisturbed
    assert set(repo.tags) == {"v1", "v3"}
    assert repo.branches == {"main": repo.tags["v3"]}
    sent = Counter(request.path for request in traffic.of("PUT", "^/lfs/") if request.received_bytes)
    assert set(sent.values()) == {1}
    assert not list((editions.home.root / "tmp").glob(f"{os.getpid()}.*"))


def test_killed_when_the_repository_is_made_and_run_again_it_is_there(
    children: Children, editions: Editions, hub: Hub, ida: User
) -> None:
    repo_id = hub.new_id()
    for done in (False, True):
        hub.fail("POST", "/repos/create", do=children.kill, done=done)
        assert os.WTERMSIG(children.run(editions, editions.first, repo_id)) == signal.SIGKILL
        assert hub.has(repo_id) == done
    assert publish(editions.home, editions.first, repo_id).is_new
    assert hubs.check(editions.home, editions.first, repo_id) is not None


def test_who_loads_main_in_the_middle_gets_a_whole_release(
    editions: Editions, hub: Hub, repo: Repo, tmp_path: Path
) -> None:
    loaded = []

    def load(_: object) -> None:
        found = load_dataset(REPO_ID, cache_dir=str(tmp_path))
        loaded.append({split: len(rows) for split, rows in found.items()})

    hub.at("POST", "/commit/main", load)
    hub.at("POST", "/commit/main", load, done=True)
    outcome = publish(editions.home, editions.dropped, REPO_ID)
    before = {"train": 4, "validation": 1, "test": 1}
    assert loaded == [before, dict(outcome.manifest.pairs["default"])]
    assert before != loaded[1]
