"""A Dask cluster of real processes on loopback, which may be stopped and killed."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import distributed

from tests.waiting import until

REPOSITORY = Path(__file__).parent.parent
START_S = 120
LOST_S = 3_600  # without a heartbeat; long, for a busy machine keeps silent, too


@dataclass
class Cluster:
    """A scheduler and workers of one thread each, without nannies: a killed worker stays dead."""

    folder: Path
    scheduler: subprocess.Popen[bytes]
    client: distributed.Client
    address: str
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def add(self, name: str, *, folder: Path = REPOSITORY, env: Mapping[str, str] | None = None) -> None:
        """Start a worker and wait until it has joined.

        Args:
            folder: where it stands.
            env: beside this process's environment.
        """
        options = ("--host", "127.0.0.1", "--no-nanny", "--nthreads", "1", "--name", name)
        scratch = ("--local-directory", self.folder / "scratch")
        log = self.folder / name
        self.workers[name] = _start("worker", self.address, *options, *scratch, log=log, folder=folder, env=env)
        until(lambda: name in self.client.run_on_scheduler(_given))

    def pause(self, name: str) -> None:
        """Cut a worker off: it lives and says nothing."""
        self.workers[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self.workers[name].send_signal(signal.SIGCONT)

    def kill(self, name: str) -> None:
        """End a worker at once; it was still alive."""
        killed = self.workers.pop(name)
        killed.kill()
        assert killed.wait() == -signal.SIGKILL

    def pause_at_work(self, name: str) -> None:
        """Pause a worker in the middle of a batch."""

        def is_at_work() -> bool:
            self.pause(name)
            if self.given(name):
                return True
            self.resume(name)
            return False

        until(is_at_work)

    def given(self, name: str) -> list[str]:
        """Return the keys of the tasks that a worker has been given and has not done; none if it is given up."""
        return self.client.run_on_scheduler(_given).get(name, [])

    def lost(self) -> set[str]:
        """Return the keys of the tasks that were lost with workers: at work there, or done and not fetched yet."""
        return set(self.client.run_on_scheduler(_lost))

    def moves(self) -> list["Move"]:
        """Return all that happened to tasks, in order."""
        return [Move(*move) for move in self.client.run_on_scheduler(_moves)]

    def tasks(self) -> int:
        """Return how many tasks the scheduler holds."""
        return int(self.client.run_on_scheduler(_tasks))

    def times_given(self) -> Counter[str]:
        """Return how often each task was given to a worker."""
        return Counter(move.key for move in self.moves() if move.finish == "processing")

    def give_up(self, name: str) -> None:
        """Let the time go by after which the scheduler takes a worker that says nothing for lost."""
        self.client.run_on_scheduler(_let_time_go_by, name=name)
        assert name not in self.client.run_on_scheduler(_given)

    def ended(self, name: str) -> None:
        """Wait until a worker that was given up has seen it and ended by itself."""
        until(lambda: self.workers[name].poll() is not None)

    def stop(self) -> None:
        for process in (*self.workers.values(), self.scheduler):
            process.kill()
            process.wait()
        self.client.close(timeout=1)


@dataclass(frozen=True)
class Move:
    """A task's way from one state to another, as the scheduler saw it."""

    key: str
    start: str
    finish: str


@contextmanager
def started(folder: Path, *, allowed_failures: int = 3) -> Iterator[Cluster]:
    """Give a cluster without workers.

    Args:
        allowed_failures: so many workers may end while they work on a batch; it goes to the next one.
    """
    file = folder / "scheduler.json"
    env = {
        "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": f"{LOST_S}s",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures),
    }
    options = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", file)
    scheduler = _start("scheduler", *options, log=folder / "log", env=env)
    cluster: Cluster | None = None
    try:
        until(lambda: file.exists() and file.stat().st_size)
        client = distributed.Client(scheduler_file=str(file), set_as_default=False, timeout=START_S)
        cluster = Cluster(folder, scheduler, client, client.scheduler.address)
        yield cluster
    finally:
        if cluster is not None:
            cluster.stop()
        scheduler.kill()
        scheduler.wait()


def _start(
    what: str, *options: object, log: Path, folder: Path = REPOSITORY, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dask", what, *map(str, options), "--no-dashboard"]
    whole = os.environ | {"PYTHONPATH": str(REPOSITORY)} | (env or {})
    with log.open("wb") as out:
        return subprocess.Popen(command, cwd=folder, env=whole, stdout=out, stderr=subprocess.STDOUT)


def _given(dask_scheduler: Any) -> dict[str, list[str]]:  # noqa: ANN401 - distributed is not typed
    return {worker.name: [task.key for task in worker.processing] for worker in dask_scheduler.workers.values()}


def _lost(dask_scheduler: Any) -> list[str]:  # noqa: ANN401
    removals = [event for _, event in dask_scheduler.get_events("all") if event["action"] == "remove-worker"]
    return [key for one in removals for key in (*one["processing-tasks"], *one["lost-computed-tasks"])]


def _tasks(dask_scheduler: Any) -> int:  # noqa: ANN401
    return len(dask_scheduler.tasks)


async def _let_time_go_by(dask_scheduler: Any, name: str) -> None:  # noqa: ANN401
    worker = dask_scheduler.workers[dask_scheduler.aliases[name]]
    worker.last_seen -= 2 * LOST_S
    await dask_scheduler.check_worker_ttl()


def _moves(dask_scheduler: Any) -> list[tuple[str, str, str]]:  # noqa: ANN401
    return [(move.key, move.start, move.finish) for move in dask_scheduler.transition_log]
