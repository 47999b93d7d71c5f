"""A publication into a folder that is killed at any moment goes on from there."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from curation.publishing.folder_state import UNFINISHED
from tests.curation.collection import files_of
from tests.curation.publishing.conftest import Editions

ROOT = Path(__file__).parents[3]
EVENTS = (0, 2, 5, 9, 14, 18, 20, 22, 23, 24, 25, 26)  # one after the other, each goes on from the one before
NEVER = 10**6


@pytest.fixture(scope="module")
def child() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.curation.publishing.folder_child"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield process
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.fixture
def publish(child: subprocess.Popen[bytes], editions: Editions) -> Callable[[int, Path, int], int]:
    """Return what publishes a release in a process that dies at an event, and says how it ended."""

    def published(release: int, where: Path, event: int) -> int:
        request = {"home": str(editions.home.root), "release": release, "where": str(where), "event": event}
        child.stdin.write(json.dumps(request).encode() + b"\n")
        child.stdin.flush()
        return int(child.stdout.readline().split()[1])

    return published


def was_killed(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("release", [1, 2])
def test_killed_at_any_moment_and_run_again_it_ends_with_the_same_bytes(publish, tmp_path, release):
    where, before = tmp_path / "place", tmp_path / "before"
    if release == 2:
        assert publish(1, where, NEVER) == 0
        shutil.copytree(where, before)
    assert publish(release, where, NEVER) == 0
    right = files_of(where)
    shutil.rmtree(where)
    if release == 2:
        before.rename(where)
    killed = 0
    for event in EVENTS:
        killed += was_killed(publish(release, where, event))
        is_listed = (where / f"v{release}" / "artune.json").exists()
        found = files_of(where)
        assert not is_listed or {name: found.get(name) for name in right} == right  # never half a version
    assert killed >= 8
    assert publish(release, where, NEVER) == 0
    assert files_of(where) == right
    assert not any(UNFINISHED in name for name in right)
