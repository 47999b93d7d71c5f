"""A release in a bucket published: to a folder, another bucket and the Hub, just as one in a folder is."""

import shutil
from collections.abc import Iterator

import boto3
import pytest

from curation import rehydrating, releases, verifying
from curation.batches import in_threads
from curation.publishing import folders, hub, proof, records
from curation.publishing.publication import record
from curation.rehydrating import Means
from curation.store import Home
from rules.errors import ConfigurationError
from tests.curation.ingesting import noon
from tests.curation.object_storage import copied
from tests.curation.publishing.conftest import Editions, editions
from tests.curation.publishing.to_folder import held
from tests.curation.publishing.to_hub import pickled
from tests.hub_site import Hub

__all__ = ["editions"]  # a fixture


@pytest.fixture
def remote(editions: Editions, remote_home: Home) -> Iterator[Home]:
    yield copied.sent(editions.home, remote_home)
    assert list(remote_home.scratch.iterdir()) == []  # one file at a time was here, and none stays


def publish(home: Home, number: int, where: str) -> dict[str, bytes]:
    """Publish to a folder or bucket and return what is there."""
    folders.publish(home, releases.get(home, number), where, pickled)
    return held(f"{where}/v{number}")


def test_a_folder_and_a_bucket_get_what_a_local_release_gives(editions, remote, tmp_path):
    place = tmp_path / "published"
    local = [publish(editions.home, number, str(place)) for number in (1, 2)]
    shutil.rmtree(place)
    assert [publish(remote, number, str(place)) for number in (1, 2)] == local
    boto3.client("s3").create_bucket(Bucket="elsewhere")
    sent = publish(remote, 2, "s3://elsewhere/tiny")
    data = {name for name in local[1] if name.startswith(("data/", "metadata/", "references/"))}
    assert data
    assert {name: sent[name] for name in data} == {name: local[1][name] for name in data}
    release = releases.get(remote, 2)
    outcome = folders.check(remote, release, str(place))
    assert proof.check(remote, release, outcome, pickled).shards == len(data)


def test_the_hub_gets_what_a_local_release_gives(editions, remote, hub_of_ida):
    ids = hub_of_ida.new_id(), hub_of_ida.new_id()
    for home, repo_id in zip((editions.home, remote), ids, strict=True):
        outcome = hub.publish(home, releases.get(home, 3), repo_id, pickled, private=False)
    assert records.write(remote, record(outcome))
    assert not records.write(remote, record(outcome))
    local, sent = (hub_of_ida.repo(repo_id).hashes("v3") for repo_id in ids)
    pages = {"README.md", "croissant.json", "artune.json"}  # they name the repository, or have hashes of what does
    assert {name: sent[name] for name in sent if name not in pages} == {
        name: local[name] for name in local if name not in pages
    }
    assert local.keys() == sent.keys()
    assert [(one.version, one.commit) for one in records.read(remote)] == [("v3", outcome.commit)]


@pytest.fixture
def hub_of_ida(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("HF_TOKEN", hub.user("ida").token)
    return hub


def test_the_work_folder_itself_is_no_place_to_publish_to(remote, bucket):
    release = releases.get(remote, 1)
    for where in (str(remote.root), f"{remote.root}/releases"):
        with pytest.raises(ConfigurationError, match="expected a folder of its own"):
            folders.publish(remote, release, where, pickled)
    assert folders.publish(remote, release, f"{remote.root} beside", pickled).is_new


def test_a_file_that_broke_is_not_published(remote, tmp_path):
    release = releases.get(remote, 1)
    name = next(name for name in release.manifest["files"] if name.startswith("data/"))
    copied.spoil(release.folder / name)
    with pytest.raises(ConfigurationError, match="changed on disk"):
        folders.publish(remote, release, str(tmp_path / "published"), pickled)


def test_a_publication_is_made_whole_again_in_a_bucket(editions, remote_home, tmp_path):
    place = str(tmp_path / "published")
    publish(editions.home, 1, place)
    means = Means(lambda: pytest.fail("no site is asked"), in_threads(2), noon)
    named = [f"folder:{editions.home.root.parent / 'media'}"]
    homes = Home(tmp_path / "local"), remote_home
    done = [rehydrating.rehydrate(home, place, means, named=named, may_lack=True) for home in homes]
    assert [one.kept for one in done] == [8, 8]
    local, remote = (copied.held(home, "releases", "items", "blobs") for home in homes)
    assert {name: local[name] for name in local if not name.endswith(".claim")} == {
        name: remote[name] for name in remote if not name.endswith(".claim")
    }
    assert verifying.verify(remote_home, in_threads(2)) == []
    assert [path for path in remote_home.local.rglob("*") if path.is_file()] == []
