"""`artune publish` as a user types it: what it refuses before any work, and that no token is ever seen."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from curation.publishing import records
from curation.store import Home
from tests.flows import releases
from tests.flows.stopping import stopped
from tests.hub_site import Hub

LOADED = """
import atexit, sys
atexit.register(lambda: sys.stderr.write("loaded: " + " ".join(n for n in ("prefect", "torch") if n in sys.modules)))
from flows.cli import main
main()
"""


@dataclass(frozen=True)
class Curator:
    """Somebody with a work folder and a token."""

    home: Home
    token: str
    environment: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        # Without it, artune itself has to see that this Hub has no Xet, or nothing could be sent.
        inherited = {name: text for name, text in os.environ.items() if name != "HF_HUB_DISABLE_XET"}
        return subprocess.Popen(
            [sys.executable, "-c", LOADED, *arguments, "--home", str(self.home.root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=inherited | {"COLUMNS": "200"} | self.environment,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Return the exit code and all that is shown of a command, in which there is no token."""
        process = self.start(*arguments)
        shown = "".join(process.communicate())
        assert self.token not in shown
        assert "Traceback" not in shown
        return process.returncode, shown


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return releases.build(tmp_path_factory.mktemp("cli"))


@pytest.fixture
def curator(built: Home, hub: Hub, tmp_path: Path) -> Curator:
    token = hub.user("ida").token
    home = releases.copy(built, tmp_path / "home")
    return Curator(home, token, {"HF_TOKEN": token})


@pytest.fixture
def reader(curator: Curator, hub: Hub) -> Curator:
    token = hub.user("ida", role="read").token
    return Curator(curator.home, token, curator.environment | {"HF_TOKEN": token})


@pytest.fixture
def nobody(curator: Curator) -> Curator:
    return Curator(curator.home, curator.token, {})


def refusal(somebody: Curator, *arguments: str) -> str:
    """Return what is said of something that is refused before any work."""
    code, shown = somebody.run("publish", *arguments)
    assert code == 2, shown
    assert "loaded: prefect" not in shown
    assert records.read(somebody.home) == []
    return shown


def test_without_a_token_it_says_where_one_comes_from(nobody: Curator, hub: Hub) -> None:
    told = refusal(nobody, hub.new_id())
    assert "hf auth login" in told
    assert "HF_TOKEN" in told


def test_a_token_that_may_only_read_is_told(reader: Curator, hub: Hub) -> None:
    assert "may only read" in refusal(reader, hub.new_id())


def test_a_token_that_nobody_knows_is_told_and_not_shown(curator: Curator, hub: Hub) -> None:
    stranger = Curator(curator.home, "hf_nobodyknowsme", curator.environment | {"HF_TOKEN": "hf_nobodyknowsme"})
    assert "does not know the token" in refusal(stranger, hub.new_id())


def test_a_repository_of_another_kind_is_told(curator: Curator, hub: Hub) -> None:
    repo_id = hub.new_id()
    hub.create(repo_id, kind="model")
    assert "model" in refusal(curator, repo_id)


def test_a_server_that_cannot_be_is_told(curator: Curator) -> None:
    lost = Curator(curator.home, curator.token, curator.environment | {"HF_ENDPOINT": "hub.example"})
    assert "HF_ENDPOINT: expected the http(s) address" in refusal(lost, "ida/name")


def test_a_dry_run_never_starts_prefect(curator: Curator, hub: Hub) -> None:
    code, shown = curator.run("publish", hub.new_id(), "--dry-run")
    assert code == 0, shown
    assert "Would publish release 1" in shown
    assert "loaded: \n" in f"{shown}\n"


def test_a_stopped_publication_goes_on_and_leaves_no_token_anywhere(
    curator: Curator, hub: Hub, prefect_server: None
) -> None:
    from prefect.settings import get_current_settings

    server = get_current_settings()
    curator.environment["PREFECT_API_URL"] = str(server.api.url)
    repo_id = hub.new_id()
    with hub.hold("PUT", "^/lfs/") as held:
        process = curator.start("publish", repo_id)
        assert held.arrived.wait(300)
        shown = "".join(stopped(process))
        held.let_go()
    assert process.returncode == 130, shown
    assert "Stopped. What was sent stays; the same command goes on from here." in shown
    assert curator.token not in shown
    assert "Traceback" not in shown
    code, shown = curator.run("publish", repo_id)
    assert code == 0, shown
    code, shown = curator.run("publish", repo_id)
    assert (code, "Nothing to do" in shown, "loaded: prefect" in shown) == (0, True, False)
    database = Path(str(server.server.database.connection_url.get_secret_value()).partition("///")[2])
    written = [*database.parent.glob(f"{database.name}*"), *curator.home.root.rglob("*.*")]
    written += [file.path for file in hub.repo(repo_id).files("v1").values()]
    assert any(repo_id.encode() in path.read_bytes() for path in written if path.name.startswith(database.name))
    assert [path for path in written if path.is_file() and curator.token.encode() in path.read_bytes()] == []
