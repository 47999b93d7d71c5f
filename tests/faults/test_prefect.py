"""The build under Prefect: killed at any stage, ended by SIGTERM, and with a server that is gone or comes back."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Undisturbed
from tests.faults.machines import Ended, Machine, Process, running
from tests.servers import answers, environment, free_port, until

STAGES = (
    "items/folder/*.parquet",
    "derived/images-*/*.parquet",
    "derived/recordings-*/*.parquet",
    "releases/1.work/*.arrow",
    "releases/1/data/*.parquet",
    "releases/1/README.md",
    "releases/1.json",
)
MEASURED = STAGES[1]


class Server:
    """A Prefect server on loopback that can be killed and started again with the same database."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                env=environment(self.folder),
                stdout=log,
                stderr=log,
                start_new_session=True,  # it has processes of its own, which die with it
            )
        until(lambda: answers(self.api_url) or None, "a Prefect server")

    def kill(self) -> None:
        assert self._process
        assert self._process.poll() is None
        os.killpg(self._process.pid, signal.SIGKILL)
        assert self._process.wait() == -signal.SIGKILL
        until(lambda: not answers(self.api_url) or None, "the end of a Prefect server")
        self._process = None

    def close(self) -> None:
        if self._process:
            self.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def flows(server: Server, tmp_path_factory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("flows")
    told = environment(folder, PREFECT_API_URL=server.api_url, PREFECT_CLIENT_MAX_RETRIES="1")
    with running(folder, with_prefect=True, environment=told) as machine:
        yield machine


def started(flows: Machine, undisturbed: Undisturbed, home: Path, stage: str = "") -> Process:
    words = ["build", "--source", f"folder:{undisturbed.folder}", "--rules", undisturbed.rules, "--home", home]
    hold = f"{home}/{stage}" if stage else ""
    process = flows.start("artune", hold=hold, arguments=list(map(str, words)))
    if stage:
        process.reach()
    return process


def ends_alike(process: Process, undisturbed: Undisturbed, home: Path) -> None:
    """Wait for a build and compare the bytes that it leaves with those of one that nothing disturbed."""
    done = process.end()
    assert done.code == 0, done.said
    assert undisturbed.is_like(home)


def test_a_flow_that_is_killed_at_every_stage_ends_with_the_same_bytes(
    flows: Machine, undisturbed: Undisturbed, tmp_path: Path
):
    home = tmp_path / "home"
    for stage in STAGES:
        process = started(flows, undisturbed, home, stage)
        before = set(home.rglob("*.parquet"))
        process.kill()
        assert not (home / "releases" / "1.json").exists()
        assert set(home.rglob("*.parquet")) == before
    ends_alike(started(flows, undisturbed, home), undisturbed, home)


def test_a_flow_that_is_told_to_end_ends_and_goes_on(flows: Machine, undisturbed: Undisturbed, tmp_path: Path):
    home = tmp_path / "home"
    process = started(flows, undisturbed, home, MEASURED)
    process.kill(signal.SIGTERM)
    assert not (home / "releases" / "1.json").exists()
    ends_alike(started(flows, undisturbed, home), undisturbed, home)


def test_a_flow_goes_on_with_a_server_that_died_and_is_back(
    server: Server, flows: Machine, undisturbed: Undisturbed, tmp_path: Path
):
    home = tmp_path / "home"
    process = started(flows, undisturbed, home, MEASURED)
    server.kill()
    server.start()
    process.go_on()
    ends_alike(process, undisturbed, home)


def is_told(done: Ended, server: Server) -> bool:
    assert done.code == 3, done.said
    assert done.said.endswith(  # another thread may have begun the line
        f"the Prefect server at http://127.0.0.1:{server.port} does not answer: start it, or set PREFECT_API_URL to "
        "another; the same command goes on from there\n"
    )
    return True


def test_a_flow_whose_server_died_ends_with_a_sentence_and_goes_on(
    server: Server, flows: Machine, undisturbed: Undisturbed, tmp_path: Path
):
    home = tmp_path / "home"
    process = started(flows, undisturbed, home, MEASURED)
    server.kill()
    process.go_on()
    assert is_told(process.end(), server)
    assert is_told(started(flows, undisturbed, home).end(), server)  # as it begins
    server.start()
    ends_alike(started(flows, undisturbed, home), undisturbed, home)
