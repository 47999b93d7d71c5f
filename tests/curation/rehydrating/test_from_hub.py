"""A publication on the Hub, read by the real client from a Hub on loopback."""

import logging
from pathlib import Path

import pytest

from curation import rehydrating
from curation.errors import TransientError
from curation.rehydrating import Rehydrated
from curation.store import Home, file_sha256
from rules.errors import ConfigurationError
from tests.curation.collection import files_of
from tests.curation.publications import Made, edit, means, yields
from tests.hub.people import User
from tests.hub_site import Hub


@pytest.fixture(scope="module")
def ida(hub: Hub) -> User:
    return hub.user("ida")


@pytest.fixture
def repo_id(hub: Hub, made: Made, ida: User) -> str:
    return published(hub, made, private=False)


def published(hub: Hub, made: Made, *, private: bool) -> str:
    repo_id = hub.new_id()
    repo = hub.create(repo_id, private=private)
    repo.add_commit({path: content for path, content in files_of(made.published / "v1").items()}, branch="main")
    repo.tag("v1", "main")
    return repo_id


def rehydrated(where: str, made: Made, root: Path, **more: object) -> Rehydrated:
    named = [f"folder:{made.media}"]
    return rehydrating.rehydrate(Home(root), where, means(), named=named, **more)


def test_a_public_one_needs_no_token_and_is_pinned_to_its_commit(hub, made, repo_id, tmp_path):
    head = hub.repo(repo_id).head
    with hub.watch(repo_id) as traffic:
        done = rehydrated(repo_id, made, tmp_path)
    assert done.release is not None
    assert (done.publication.name, done.kept) == (f"{repo_id}@{head}", 6)
    assert done.release.manifest["rehydrated"]["name"] == f"{repo_id}@{head}"
    assert not any(request.has_token for request in traffic.requests)
    files = made.release.manifest["files"]
    assert {n: f for n, f in done.release.manifest["files"].items() if "-of-" in n} == {
        n: f for n, f in files.items() if "-of-" in n
    }
    with hub.watch(repo_id) as traffic:
        assert not rehydrated(repo_id, made, tmp_path, revision="v1").is_new
    assert not traffic.of("GET", ".parquet")


def test_a_version_is_found_though_main_has_moved_on(hub, made, repo_id, tmp_path):
    version = tmp_path / "later"
    version.mkdir()
    (version / "artune.json").write_bytes((made.published / "v1" / "artune.json").read_bytes())
    edit(version, release=2)
    tagged = hub.repo(repo_id).head
    hub.repo(repo_id).add_commit({"artune.json": (version / "artune.json").read_bytes()}, branch="main")
    assert rehydrating.check(Home(tmp_path), repo_id) is None
    done = rehydrated(repo_id, made, tmp_path, revision="v1")
    assert done.release is not None
    assert (done.release.number, done.publication.place) == (1, tagged)


def test_a_private_one_needs_a_token_which_is_written_nowhere(hub, made, ida, tmp_path, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    repo_id = published(hub, made, private=True)
    with pytest.raises(ConfigurationError, match=f"the Hub shows no data set {repo_id}: expected .*HF_TOKEN"):
        rehydrated(repo_id, made, tmp_path)
    assert not (tmp_path / "releases").exists()
    monkeypatch.setenv("HF_TOKEN", ida.token)
    assert rehydrated(repo_id, made, tmp_path).kept == 6
    secret = ida.token.encode()
    assert not any(secret in content for content in files_of(tmp_path).values())
    assert ida.token not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("ida/nowhere", None, "the Hub shows no data set ida/nowhere"),
        (None, "v9", r"has no revision v9; its versions are v1"),
        ("ida/no way", None, "expected owner/name"),
    ],
)
def test_a_wrong_name_or_version_is_refused(made, repo_id, tmp_path, name, revision, message):
    with pytest.raises(ConfigurationError, match=message):
        rehydrated(name or repo_id, made, tmp_path, revision=revision)


def test_a_data_set_that_artune_did_not_publish_is_refused(hub, made, ida, tmp_path):
    repo_id = hub.new_id()
    hub.create(repo_id).add_commit({"README.md": b"# Mine\n"}, branch="main")
    with pytest.raises(ConfigurationError, match=f"{repo_id} has no artune.json: expected what `artune publish` made"):
        rehydrated(repo_id, made, tmp_path)


@pytest.mark.parametrize(("path", "status"), [("$", 429), (".*artune.json$", 503)])
def test_a_busy_hub_is_told_as_such(hub, made, repo_id, tmp_path, path, status):
    hub.fail("*", f"{repo_id}{path}", status, times=9, headers={"Retry-After": "0"})
    with pytest.raises(TransientError, match=repo_id):
        rehydrated(repo_id, made, tmp_path)


def test_a_cut_download_is_made_whole_and_the_key_of_its_address_is_not_told(hub, made, repo_id, tmp_path, caplog):
    largest = max((made.published / "v1" / "data").glob("*.parquet"), key=lambda path: path.stat().st_size)
    content = f"^/cdn/{file_sha256(largest)}"
    fault = hub.fail("GET", content, after_bytes=largest.stat().st_size // 2)
    done = rehydrated(repo_id, made, tmp_path)
    assert done.release is not None
    assert len(yields(done.release)) == 12
    assert fault.hits == 1
    assert "X-Signature" not in caplog.text
