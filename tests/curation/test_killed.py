"""A build that is killed (SIGKILL) at any moment and run again ends with the bytes of one that was not."""

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.curation.collection import files_of, write_collection

ROOT = Path(__file__).parents[2]
STAGES = (
    "collect",
    "measure images",
    "measure recordings",
    "decide",
    "cut clips",
    "write shards",
    "plain tables",
    "report",
    "hash",
    "commit",
)
AT_ONCE_PER_STAGE = 2
AFTER_A_DELAY = 10


@dataclass
class Run:
    """How a child ended, and the last thing that it said before."""

    status: int
    last: str
    began_s: dict[str, float]  # stage -> when it said so first

    @property
    def was_killed(self) -> bool:
        return os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL

    @property
    def stage(self) -> str:
        return self.last.partition("\t")[0]


class Children:
    """The warm process that forks the builds."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.curation.kill_child"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.buffer = b""

    def line(self, timeout_s: float | None = None) -> str | None:
        """Return the next line, or None when none comes in time."""
        while b"\n" not in self.buffer:
            if not select.select([self.process.stdout], [], [], timeout_s)[0]:
                return None
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            assert data, "the warm process is gone"
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode()

    def run(
        self, home: Path, folder: Path, stage: str | None = None, event: int = 0, delay_s: float | None = None
    ) -> Run:
        """Run a build; with a stage, kill it at that event of it, or that long after the stage began."""
        own = stage if delay_s is None else None
        request = {"home": str(home), "folder": str(folder), "stage": own, "event": event}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        child, last, began, deadline = 0, "start", {}, None
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            line = self.line(left)
            if line is None:
                os.kill(child, signal.SIGKILL)
                deadline = None
                continue
            kind, _, rest = line.partition(" ")
            if kind == "child":
                child = int(rest)
            elif kind == "ended":
                return Run(int(rest), last, began)
            else:
                last = rest
                now = rest.partition("\t")[0]
                if now not in began and delay_s is not None and now == stage:
                    deadline = time.monotonic() + delay_s
                began.setdefault(now, time.monotonic())


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    found = Children()
    yield found
    found.process.stdin.close()
    found.process.wait()
    found.process.stdout.close()


@dataclass(frozen=True)
class Undisturbed:
    folder: Path
    files: dict[str, bytes]
    durations_s: dict[str, float]


@pytest.fixture(scope="module")
def undisturbed(children, tmp_path_factory) -> Undisturbed:
    root = tmp_path_factory.mktemp("undisturbed")
    folder = write_collection(root / "media", range(8), range(5))
    run = children.run(root / "home", folder)
    assert run.status == 0
    times = list(run.began_s.items())
    durations = {stage: after - at for (stage, at), (_, after) in zip(times, times[1:], strict=False)}
    return Undisturbed(folder, files_of(root / "home" / "releases"), durations)


def ends_like(undisturbed: Undisturbed, children: Children, home: Path) -> None:
    assert children.run(home, undisturbed.folder).status == 0
    found = files_of(home / "releases")
    assert sorted(found) == sorted(undisturbed.files)
    assert [name for name, data in found.items() if data != undisturbed.files[name]] == []
    assert list((home / "tmp").iterdir()) == []


def test_killed_at_every_stage_and_run_again_gives_the_same_bytes(
    children, undisturbed, tmp_path, record_testsuite_property
):
    """One home is killed again and again, further on each time; then come homes that are killed once."""
    lots, fell = random.Random(2), Counter()
    for stage in STAGES:
        for number in range(AT_ONCE_PER_STAGE):
            home = tmp_path / (f"again {number}" if stage != "commit" else f"commit {number}")
            last = 2 if stage == "commit" else 3  # every other stage says three things or more
            run = children.run(home, undisturbed.folder, stage, event=lots.randrange(1, last) if number else 0)
            assert run.was_killed, (stage, run)
            fell[run.stage] += 1
    for home in sorted(tmp_path.iterdir()):
        ends_like(undisturbed, children, home)
    record_testsuite_property("kills at events", str(dict(fell)))
    assert sum(fell.values()) >= 20, fell
    assert all(fell[stage] >= 2 for stage in STAGES), fell


def test_killed_at_any_moment_and_run_again_gives_the_same_bytes(
    children, undisturbed, tmp_path, record_testsuite_property
):
    lots, fell, home = random.Random(3), Counter(), 0
    stages = [stage for stage in STAGES if stage != "commit"]
    while sum(fell.values()) < AFTER_A_DELAY:
        stage = lots.choice(stages)
        run = children.run(
            tmp_path / str(home), undisturbed.folder, stage, delay_s=lots.uniform(0, undisturbed.durations_s[stage])
        )
        if run.was_killed:
            fell[run.stage] += 1
        if not run.was_killed or lots.random() < 0.3:
            ends_like(undisturbed, children, tmp_path / str(home))
            home += 1
    for unfinished in sorted(tmp_path.iterdir()):
        ends_like(undisturbed, children, unfinished)
    record_testsuite_property("kills after a delay", str(dict(fell)))
    assert sum(fell.values()) >= AFTER_A_DELAY, fell
