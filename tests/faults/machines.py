"""A machine on which processes run, are held at a stage, and die."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE, STEP_S = 12_000, 0.02  # looks, and the time between them


class Process:
    """A child of a machine's warm process."""

    def __init__(self, machine: "Machine", pid: int, says: Path, at: Path) -> None:
        self._machine, self.pid, self._says, self._at = machine, pid, says, at
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return how it ended as os.wait tells; None while it lives."""
        if self._status is None:
            self._status = self._machine.ask({"poll": self.pid})
        return self._status

    def reach(self) -> None:
        """Wait until it is held where it was told to."""
        for _ in range(PATIENCE):
            if self._at.exists():
                return
            assert self.poll() is None, f"it ended before it came there: {self.said}"
            time.sleep(STEP_S)
        raise AssertionError(f"it never came there: {self.said}")

    def go_on(self) -> None:
        self._at.unlink()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Kill it while it is held; it really dies of that."""
        assert self._at.exists()
        assert self.poll() is None
        os.kill(self.pid, number)
        if number != signal.SIGKILL:
            self._at.unlink()  # it may wait for the thread that is held
        status = self.wait()
        self._at.unlink(missing_ok=True)
        if number == signal.SIGKILL:
            assert os.WIFSIGNALED(status), status
            assert os.WTERMSIG(status) == signal.SIGKILL
        assert status != 0

    def wait(self) -> int:
        """Return how it ended as os.wait tells."""
        for _ in range(PATIENCE):
            if (status := self.poll()) is not None:
                return status
            time.sleep(STEP_S)
        raise AssertionError(f"it never ended: {self.said}")

    def end(self) -> "Ended":
        status = self.wait()
        assert os.WIFEXITED(status), (status, self.said)
        return Ended(os.WEXITSTATUS(status), self.said)

    @property
    def said(self) -> str:
        return self._says.read_text(errors="replace") if self._says.exists() else ""


@dataclass(frozen=True)
class Ended:
    """How a process ended, and all that it said."""

    code: int
    said: str


@dataclass
class Machine:
    """A warm process that forks others.

    Attributes:
        folder: for what they say.
        is_private: with mounts of its own, which end with it.
        clock_days: how far its clock is ahead.
    """

    folder: Path
    is_private: bool = False
    with_prefect: bool = False
    clock_days: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        alone = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--user", "--map-root-user"])]
        command = [sys.executable, "-m", "tests.faults.child", *(["--prefect"] if self.with_prefect else [])]
        if self.clock_days:
            command = [sys.executable, "-m", "tests.faults.clocked", str(self.clock_days)]
        self._warm = subprocess.Popen(
            [*(alone if self.is_private else []), *command],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"COLUMNS": "200", "ARTUNE_WORKERS": "2"} | self.environment,
        )
        self._started: list[Process] = []

    def ask(self, request: Mapping[str, Any]) -> Any:
        assert self._warm.stdin
        assert self._warm.stdout
        self._warm.stdin.write(json.dumps(request) + "\n")
        self._warm.stdin.flush()
        line = self._warm.stdout.readline()
        assert line, "the warm process is gone; where mounts of its own are not allowed, `unshare` says so above"
        return json.loads(line)

    def start(
        self, job: str, *, hold: str = "", environment: Mapping[str, str] | None = None, **arguments: Any
    ) -> Process:
        """Start a job of child.JOBS.

        Args:
            hold: the pattern of a path at which it stops.
        """
        name = self.folder / f"process{len(self._started)}"
        says, at = name.with_suffix(".said"), name.with_suffix(".held")
        request = {"run": job, "arguments": arguments, "hold": hold, "at": str(at), "says": str(says)}
        process = Process(self, self.ask(request | {"environment": dict(environment or {})}), says, at)
        self._started.append(process)
        return process

    def run(self, job: str, *, environment: Mapping[str, str] | None = None, **arguments: Any) -> Ended:
        return self.start(job, environment=environment, **arguments).end()

    def artune(self, *words: str | Path, **environment: str) -> Ended:
        return self.run("artune", environment=environment, arguments=list(map(str, words)))

    def sh(self, *command: str | Path) -> str:
        """Run a program where this machine's mounts are seen."""
        self.ask({"ready": True})  # before, it has no mounts of its own
        inside = ["nsenter", f"--target={self._warm.pid}", "--mount"] if self.is_private else []
        if inside and os.getuid() != 0:
            inside.append("--user")
        done = subprocess.run([*inside, *map(str, command)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
        assert self._warm.stdin
        assert self._warm.stdout
        self._warm.stdin.close()
        self._warm.wait()
        self._warm.stdout.close()


@contextmanager
def running(folder: Path, **more: Any) -> Iterator[Machine]:
    machine = Machine(folder, **more)
    try:
        yield machine
    finally:
        machine.close()
