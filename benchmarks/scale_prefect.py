"""What a task costs in Prefect: `python -m benchmarks.scale_prefect --tasks 2000`; constants of benchmarks.scale.

Empty batches run through flows.tasks.in_prefect on threads, in a process of its own, on a server of its own on
loopback, SQLite or with --postgresql Debian's PostgreSQL. Prints CPU per task of the flow's process and of the server,
how far the server is behind when the flow ends, the peak memory of the flow's process as it goes on, and the
most futures in flight.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import Any

import httpx

from tests.postgresql import postgresql
from tests.servers import environment, prefect_server, until

STEPS = 5  # at which memory is read
COMPLETED = {"task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}


class Silent:
    """Stands where bars would be drawn."""

    def begin(self, stage: str, batches: int) -> None:
        """Draw nothing."""

    def done(self, stage: str) -> None:
        """Draw nothing."""


class InFlight:
    """Counts futures that are not done."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = Lock()

    def add(self, by: int) -> None:
        """Count one more, or one less."""
        with self._lock:
            self.now += by
            self.most = max(self.most, self.now)


def flow_of(count: int, workers: int) -> dict[str, Any]:
    """Run the flow in this process."""
    from prefect import flow  # noqa: TID251 - a flow is what is measured
    from prefect.futures import PrefectFuture  # noqa: TID251

    from flows.tasks import in_prefect, of_flow, threads

    flying, peaks_mb = InFlight(), []

    def work(number: int) -> int:
        if number % (count // STEPS) == 0:
            peaks_mb.append(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3))
        return number

    def counting(stage: str, work: Any) -> Any:
        submit = of_flow(stage, work)

        def counted(name: str, batch: object) -> PrefectFuture[Any]:
            flying.add(1)
            future = submit(name, batch)
            future.add_done_callback(lambda _: flying.add(-1))
            return future

        return counted

    @flow(name="many", task_runner=threads(workers))
    def many(batches: int) -> int:
        return len(in_prefect(Silent(), engine=counting)(work, list(range(batches)), "probe"))

    many(STEPS)  # what a first flow costs once is not counted
    before = os.times()
    begin = time.perf_counter()
    many(count)
    after = os.times()
    cpu_ms = 1e3 * (after.user + after.system - before.user - before.system) / count
    return {
        "cpu_ms": cpu_ms,
        "clock_s": time.perf_counter() - begin,
        "peaks_mb": peaks_mb[-STEPS:],
        "most": flying.most,
    }


def server_cpu_s() -> float:
    """Return the CPU seconds so far of the server that this process started."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "stat").read_text().rpartition(")")[2].split()
            if int(words[1]) == os.getpid() and b"server\0start" in (path / "cmdline").read_bytes():
                return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:  # it ended just now
            continue
    raise ProcessLookupError("this process has started no server")


def main() -> None:
    """Print the costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(flow_of(arguments.tasks, arguments.workers)))
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(postgresql()).address if arguments.postgresql else None
        api = stack.enter_context(prefect_server(folder, database_url=url))
        began_s = server_cpu_s()
        words = ["--child", "--tasks", str(arguments.tasks), "--workers", str(arguments.workers)]
        env = environment(folder / "client", PREFECT_API_URL=api, PREFECT_LOGGING_LEVEL="ERROR")
        command = [sys.executable, "-m", "benchmarks.scale_prefect", *words]
        told = json.loads(subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True, text=True).stdout)
        begin = time.perf_counter()

        def all_known() -> bool | None:
            count = httpx.post(f"{api}/task_runs/count", json=COMPLETED, timeout=60).json()
            return True if count == arguments.tasks + STEPS else None

        until(all_known, "all tasks at the server")
        behind_s = time.perf_counter() - begin
        server_ms = 1e3 * (server_cpu_s() - began_s) / arguments.tasks
    database = "PostgreSQL" if arguments.postgresql else "SQLite"
    print(f"{arguments.tasks:,} tasks on {database}, {arguments.workers} threads")
    print(f"flow: {told['cpu_ms']:.1f} CPU-ms a task, {told['clock_s']:.0f} s; at most {told['most']} in flight")
    print(f"  peak memory as it goes on: {', '.join(map(str, told['peaks_mb']))} MB")
    print(f"server: {server_ms:.1f} CPU-ms a task, {behind_s:.0f} s behind")


if __name__ == "__main__":
    main()
