"""The flow `publish` on a real Prefect server and a Hub on loopback: what it sends, tells, and takes up again."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from curation.publishing import records
from curation.store import Home
from flows import tasks
from flows.cli import app
from rules.errors import ConfigurationError
from tests.flows import releases
from tests.flows.conftest import MAX_READS, last_run
from tests.hub_site import Hub

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return releases.build(tmp_path_factory.mktemp("publish"))


@pytest.fixture
def home(built: Home, tmp_path: Path) -> Home:
    return releases.copy(built, tmp_path / "home")


@pytest.fixture
def token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> str:
    found = hub.user("ida").token
    monkeypatch.setenv("HF_TOKEN", found)
    return found


@pytest.fixture
def repo_id(hub: Hub, token: str) -> str:
    return hub.new_id()


def artune(home: Home, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--home", str(home.root)])


def published(home: Home, where: str | Path) -> str:
    result = artune(home, "publish", where)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


def events(where: str, count: int) -> list[dict[str, Any]]:
    """Read what was told of a place until it is at least so much, for it reaches the server in its own time."""
    from prefect.client.orchestration import get_client
    from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter

    wanted = EventFilter(
        event=EventNameFilter(name=["artune.dataset.published"]),
        any_resource=EventAnyResourceFilter(id=[f"artune.dataset.{where}"]),
    )
    with get_client(sync_client=True) as client:
        for _ in range(MAX_READS):
            found = client.read_events(wanted, limit=50).events
            if len(found) >= count:
                break
    return [event.payload for event in found]


def logs() -> str:
    """Return all that flow runs logged."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return "\n".join(log.message for log in client.read_logs())


def test_a_release_is_published_proved_and_told(home, hub, repo_id, token):
    output = published(home, repo_id)
    commit = hub.repo(repo_id).tags["v1"]
    assert f"release 1 of tiny as v1 of {repo_id} (commit {commit[:12]}): 5 pairs with their media, 1 as" in output
    assert "[red]Mine[/] | x" in output
    assert "Loaded back, and found to be what was sent." in output
    assert f'datasets.load_dataset("{repo_id}", revision="v1")' in output
    assert f"{hub.url}/datasets/{repo_id}/tree/v1" in output
    (record,) = records.read(home)
    assert (record.where, record.endpoint, record.commit, record.verified) == (repo_id, hub.url, commit, True)
    (payload,) = events(repo_id, 1)
    assert len(payload.pop("rules_digest")) == 64
    assert payload == {
        "repo": repo_id,
        "endpoint": hub.url,
        "revision": "v1",
        "commit": commit,
        "release": 1,
        "data_set": "tiny",
        "counts": {"embedded": 5, "referenced": 1, "excluded": 1},
    }
    seen = last_run()
    assert seen.name == f"publish release 1 to {repo_id}"
    assert set(seen.tasks.values()) == {"COMPLETED"}
    assert "| Pairs with media | 5 |" in str(seen.artifacts["publication"])
    assert token not in output + logs() + repr(seen)


def test_what_is_there_already_is_told_so_and_no_flow_runs(home, hub, repo_id):
    published(home, repo_id)
    before = last_run().name, hub.repo(repo_id).head
    output = published(home, repo_id)
    assert (
        f"Nothing to do: release 1 of tiny as v1 of {repo_id} (commit {before[1][:12]}) is published already." in output
    )
    assert hub.repo(repo_id).head == before[1]
    assert len(events(repo_id, 1)) == 1


def test_what_was_never_proved_is_proved_and_told_then(home, hub, repo_id):
    published(home, repo_id)
    for path in (home.root / records.FOLDER).glob("*.verified.json"):
        path.unlink()  # as if it had been killed before
    head = hub.repo(repo_id).head
    output = published(home, repo_id)
    assert "was published already" in output
    assert "Loaded back" in output
    assert hub.repo(repo_id).head == head
    assert len(events(repo_id, 2)) == 2
    assert records.read(home)[0].verified


def test_what_comes_back_otherwise_is_told_to_nobody(home, hub, repo_id):
    kept: dict[Path, bytes] = {}

    def damage(_: object) -> None:
        files = hub.repo(repo_id).files("main")
        path = next(file.path for name, file in files.items() if name.startswith("data/train"))
        kept[path] = path.read_bytes()
        path.write_bytes(kept[path][:1000] + bytes(100) + kept[path][1100:])

    hub.at("POST", f"{repo_id}/tag/", damage, done=True)
    result = artune(home, "publish", repo_id)
    for path, content in kept.items():  # other repositories have it, too
        path.write_bytes(content)
    assert isinstance(result.exception, ConfigurationError), result.output
    assert "What is there is not what was sent" in str(result.exception)
    assert [record.verified for record in records.read(home)] == [False]
    assert events(repo_id, 0) == []
    published(home, repo_id)
    assert len(events(repo_id, 1)) == 1


def test_a_commit_of_somebody_else_meanwhile_is_told_and_kept(home, hub, repo_id):
    repo = hub.create(repo_id)
    hub.at("POST", f"{repo_id}/commit/main", lambda _: repo.add_commit({"mine.txt": b"mine"}))
    result = artune(home, "publish", repo_id)
    assert isinstance(result.exception, ConfigurationError), result.output
    assert "somebody else changed it meanwhile" in str(result.exception)
    assert "mine.txt" in repo.files("main")
    hub.faults.clear()
    assert "Not artune's, so left alone: mine.txt" in published(home, repo_id)
    assert len(events(repo_id, 1)) == 1


def test_a_busy_hub_is_asked_again_and_then_left_alone(home, hub, repo_id, monkeypatch):
    monkeypatch.setattr(tasks, "RETRY_DELAYS_S", [0, 0, 0])
    fault = hub.fail("POST", f"{repo_id}/commit/main", 503, times=4)
    result = artune(home, "publish", repo_id)
    assert (result.exit_code, fault.hits) == (3, 4)
    assert "the same command goes on from there" in result.output
    published(home, repo_id)


def test_a_folder_holds_versions_too(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = published(home, "./shelf")
    assert f'datasets.load_dataset("{tmp_path}/shelf/v1")' in output
    assert (tmp_path / "shelf" / "v1").as_uri() in output
    (payload,) = events(str(tmp_path / "shelf"), 1)
    assert (payload["endpoint"], payload["commit"], payload["revision"]) == (None, None, "v1")
    assert "is published already" in published(home, "./shelf")


def test_a_dry_run_sends_nothing_and_runs_no_flow(home, hub, repo_id):
    with hub.watch(repo_id) as traffic:
        result = artune(home, "publish", repo_id, "--dry-run")
    assert result.exit_code == 0, result.output
    assert f"Would publish release 1 of tiny as v1 of {repo_id}: 5 pairs with their media" in result.output
    assert "Nothing was sent." in result.output
    assert {request.method for request in traffic.requests} <= {"GET", "HEAD"}
    assert not hub.has(repo_id, "dataset")
    assert records.read(home) == []


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("name", "expected owner/name on the Hub, a folder"),
        ("ida/my data", "did you mean ida/my-data?"),
        ("https://huggingface.co/datasets/ida/name", "did you mean ida/name?"),
        ("hf://datasets/ida/name", "did you mean ida/name?"),
        ("idda/name", "idda"),
        ("stranger/name", "stranger"),
        ("s3://key:hidden@bucket/x", "with a password or a user in it"),
    ],
)
def test_a_place_that_cannot_be_is_told(built, hub, token, where, told):
    hub.user("stranger")
    result = artune(built, "publish", where)
    assert isinstance(result.exception, ConfigurationError), result.output
    assert told in str(result.exception)
    assert "hidden" not in result.output + str(result.exception)


def test_what_cannot_be_private_is_told(built):
    assert "can be private" in str(artune(built, "publish", "./shelf", "--private").exception)


def test_a_work_folder_without_a_release_is_told(tmp_path):
    assert "has no release yet" in str(artune(Home(tmp_path / "none"), "publish", "ida/name").exception)
