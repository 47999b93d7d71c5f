"""Real Prefect servers and real `artune serve` processes on loopback, which end with the test that started them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import httpx

T = TypeVar("T")

PAUSE_S = 0.25  # between two looks
MAX_LOOKS = 1200  # five minutes: more than the slowest machine takes for one step
SOON = {  # services look often, so that a test waits for what it tests
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
    "PREFECT_RUNNER_POLL_FREQUENCY": "1",
}
QUIET = {"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(found: Callable[[], T | None], what: str) -> T:
    """Look until there is something; a bounded number of times."""
    for _ in range(MAX_LOOKS):
        if (one := found()) is not None:
            return one
        time.sleep(PAUSE_S)
    raise AssertionError(f"waited in vain: {what}")


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a process that has Prefect's files in a folder, and names no server but in `more`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return kept | SOON | QUIET | {"PREFECT_HOME": str(folder), "COLUMNS": "200"} | more


def answers(api_url: str) -> bool:
    """Say whether a Prefect server is there."""
    try:
        return httpx.get(f"{api_url}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def prefect_server(folder: Path, *, database_url: str | None = None) -> Iterator[str]:
    """Run a server with a database of its own; give the address of its API, what PREFECT_API_URL takes.

    Args:
        database_url: instead of SQLite in the folder.
    """
    port = free_port()
    more = {"PREFECT_SERVER_API_PORT": str(port)}  # not as an option, for then the UI would ask another port
    more |= {} if database_url is None else {"PREFECT_API_DATABASE_CONNECTION_URL": database_url}
    words = ["-m", "prefect", "server", "start", "--host", "127.0.0.1"]
    with _running([sys.executable, *words], environment(folder, **more), folder / "server.log") as process:
        api_url = f"http://127.0.0.1:{port}/api"

        def up() -> bool | None:
            assert process.poll() is None, (folder / "server.log").read_text(errors="replace")
            return True if answers(api_url) else None

        until(up, "a Prefect server")
        yield api_url


@contextmanager
def artune_serve(words: list[str], env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `artune serve` until the block ends; it serves when the block begins."""
    command = [sys.executable, "-c", "from flows.cli import main; main()", "serve", *words]
    with _running(command, env, log) as process:

        def serving() -> bool | None:
            text = log.read_text(errors="replace")
            assert process.poll() is None, text
            return True if "\nServing " in text else None

        until(serving, "artune serve")
        yield process


@contextmanager
def _running(command: list[str], env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=env, stdout=file, stderr=file, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
