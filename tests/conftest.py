"""What many tests read and none changes, and the Hub that all of them may ask."""

# ruff: noqa: E402 - the Hub's clients read their environment once, when they are imported.

import atexit
import os
import socket
import tempfile

# Bound and not listening: where no test asks for the Hub, a client is refused at once.
HUB_SOCKET = socket.socket()
HUB_SOCKET.bind(("127.0.0.1", 0))
HF_HOME = tempfile.TemporaryDirectory(prefix="artune-hf-", ignore_cleanup_errors=True)
atexit.register(HF_HOME.cleanup)
for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
    del os.environ[name]
os.environ |= {
    "HF_ENDPOINT": f"http://127.0.0.1:{HUB_SOCKET.getsockname()[1]}",
    "HF_HOME": HF_HOME.name,
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",
}

from collections.abc import Iterator

import pytest
from hypothesis import settings

import rules
from curation import building, compiled, releases
from curation.batches import in_threads
from curation.releases import Release
from curation.store import Home
from tests.hub_site import Hub

settings.register_profile("artune", deadline=None)  # a machine may be as slow as it likes
settings.load_profile("artune")


def pytest_sessionstart() -> None:
    compiled.ready()  # once: tests stop processes, and one of them would keep others from compiling for a while


@pytest.fixture(scope="session")
def sample_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a home in which the sample was built once: read it, never write to it."""
    home = Home(tmp_path_factory.mktemp("sample"))
    building.build(home, ["sample"], rules.load("museart18"), in_threads(2))
    return home


@pytest.fixture(scope="session")
def sample_release(sample_home: Home) -> Release:
    return releases.get(sample_home, 1)


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Give the Hub at HF_ENDPOINT. All tests share it: name repositories by `hub.new_id()`."""
    with Hub(tmp_path_factory.mktemp("hub"), HUB_SOCKET) as hub:
        yield hub


@pytest.fixture(autouse=True)
def _no_fault_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "hub" in request.fixturenames:
        request.getfixturevalue("hub").faults.clear()
