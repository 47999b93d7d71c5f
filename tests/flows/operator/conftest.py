"""One Prefect server on loopback with a UI, a webhook beside it, and a day of an operator on both."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import yaml

from tests import servers
from tests.curation.collection import write_collection
from tests.curation.ingesting import FACES, VIEWS
from tests.curation.tables import write_rules
from tests.flows.operator import child

ROOT = Path(__file__).parents[3]
# What no operator may find anywhere: each is found by its mark.
SECRETS = {
    "HF_TOKEN": "hf_MARKEDhub",
    "AWS_ACCESS_KEY_ID": "MARKEDkeyid",
    "AWS_SECRET_ACCESS_KEY": "MARKEDaws",
    "KAGGLE_USERNAME": "MARKEDkaggler",
    "KAGGLE_KEY": "MARKEDkaggle",
    "PREFECT_API_DATABASE_CONNECTION_URL": "postgresql+asyncpg://artune:MARKEDdatabase@127.0.0.1:1/none",
}
HOOK_PATH = "/services/MARKEDhook"


@dataclass
class Hook:
    """What a webhook of a chat received: its path, the type of its content, its JSON."""

    address: str
    posts: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def told(self, what: str) -> list[dict[str, Any]]:
        return [body for _, _, body in self.posts if body["what"] == what]


@pytest.fixture(scope="session")
def hook() -> Iterator[Hook]:
    class Received(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.posts.append((self.path, self.headers["Content-Type"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Received) as server:
        found = Hook(f"http://127.0.0.1:{server.server_port}{HOOK_PATH}")
        Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


@dataclass(frozen=True)
class Server:
    """A server, and where it keeps all it knows."""

    address: str
    folder: Path

    def post(self, path: str, **body: object) -> Any:
        return httpx.post(f"{self.address}/api{path}", json=body).raise_for_status().json()

    def events(self, prefix: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.post(
            "/events/filter", filter={"event": {"prefix": [prefix]}, "order": "ASC"}, limit=50
        )["events"]
        return found

    def runs(self, name: str) -> list[dict[str, Any]]:
        """Return the runs of a flow, the first one first."""
        found: list[dict[str, Any]] = self.post("/flow_runs/filter", flows={"name": {"any_": [name]}})
        return sorted(found, key=lambda run: str(run["created"]))

    def artifacts(self, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
        found = self.post("/artifacts/filter", flow_runs={"id": {"any_": [run["id"]]}})
        return {artifact["key"]: artifact for artifact in found}

    def logs(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.post("/logs/filter", logs={"flow_run_id": {"any_": [run["id"]]}}, limit=200)
        return found


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with servers.prefect_server(folder) as api_url:
        yield Server(api_url.removesuffix("/api"), folder)


@dataclass(frozen=True)
class Day:
    """What became of an operator's day.

    Attributes:
        said: what each flow gave, in the order in which they ran.
        output: everything that stood on the terminal.
        home: the work folder.
    """

    said: list[tuple[str, Any]]
    output: str
    home: Path

    def of(self, name: str) -> list[Any]:
        return [what for told, what in self.said if told == name]


@pytest.fixture(scope="session")
def day(server: Server, hook: Hook, tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Run the flows of a day in a process with secrets in its environment."""
    folder = tmp_path_factory.mktemp("day")
    media, rules = write_collection(folder / "media", range(6), range(6)), write_rules(folder / "tiny")
    (media / "page.jpg").write_text("<html>not a picture</html>")
    licenses = {"licenses": {"embed": ["CC0-1.0"]}}
    (rules / "licenses.yaml").write_text(yaml.safe_dump(licenses), encoding="utf-8")
    toys = write_rules(folder / "toys")
    lists = [{"tags": tags, "lists": [{"search": text}]} for tags, text in ((FACES, "faces"), (VIEWS, "views"))]
    (toys / "collect.yaml").write_text(yaml.safe_dump({"collect": {"toy": lists}}), encoding="utf-8")
    asked = {
        "home": str(folder / "home"),
        "source": f"folder:{media}",
        "rules": str(rules),
        "toys": str(toys),
        "shelf": str(folder / "shelf"),
    }
    settings = {
        "ARTUNE_CONTACT": "tester@example.org",
        "ARTUNE_WEBHOOK": hook.address,
        "PYTHONPATH": str(ROOT),
    }
    clean = servers.environment(folder / "prefect", PREFECT_API_URL=f"{server.address}/api")
    done = subprocess.run(
        [sys.executable, "-m", child.__name__],
        cwd=folder,
        env=clean | SECRETS | settings,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = [tuple(json.loads(line)) for line in done.stdout.splitlines() if line.startswith('["')]
    return Day(said, done.stdout + done.stderr, folder / "home")
