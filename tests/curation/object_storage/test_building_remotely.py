"""A build in a bucket: the release of a folder, byte for byte."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import boto3
import pytest

from curation import building, object_storage, planning, releases
from curation.batches import in_threads
from curation.collect import list_sources
from curation.releases import Release
from curation.store import Home, files_below
from rules.errors import ConfigurationError
from rules.schema import RuleSet
from tests.curation.collection import write_collection
from tests.curation.object_storage.requests import Watched
from tests.curation.tables import ROOMY, tiny_rules

ROOT = Path(__file__).parents[3]
RULES = tiny_rules(ROOMY)


def build(home: Home, folder: Path, rules: RuleSet = RULES) -> Release | None:
    return building.build(home, [f"folder:{folder}"], rules, in_threads(2))


def released(home: Home) -> dict[str, bytes]:
    """Return the content of every file that makes up the releases of a home."""
    folder = home.root / "releases"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path, _ in files_below(folder)}


@dataclass
class Built:
    """The same collection in a folder and in a bucket, built."""

    collection: Path
    local: Home
    remote: Home


def built_in(folder: Path, remote: Home) -> Built:
    made = Built(write_collection(folder / "collection", range(12), range(5)), Home(folder / "local"), remote)
    build(made.local, made.collection)
    build(made.remote, made.collection)
    return made


@pytest.fixture(scope="module")
def built(new_home: Callable[[], Home], tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Give what no test adds a release to."""
    return built_in(tmp_path_factory.mktemp("built"), new_home())


@pytest.fixture
def child(remote_home: Home, built: Built) -> Iterator[subprocess.Popen[str]]:
    """Give a process that builds in `remote_home`."""
    command = [sys.executable, "-m", "tests.curation.object_storage.build_child"]
    arguments = [str(remote_home.root), str(built.collection)]
    process = subprocess.Popen(
        [*command, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def uploads(home: Home) -> list[str]:
    """Return the files that are being sent in parts."""
    bucket = home.root.parts[0].rstrip("/")
    found = boto3.client("s3").list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return [upload["Key"] for upload in found]


def test_the_release_is_that_of_a_local_folder(built):
    assert releases.get(built.remote, 1).manifest == releases.get(built.local, 1).manifest
    assert released(built.remote) == released(built.local)
    assert [path for path in built.remote.local.rglob("*") if path.is_file()] == []


def test_nothing_new_is_nothing_to_do(built, requests):
    assert build(built.remote, built.collection) is None
    assert releases.numbers(built.remote) == [1]
    assert not requests.of("put_object", "releases/")


def test_a_plan_asks_for_small_files_once_and_writes_nothing(built, requests):
    found = planning.plan(built.remote, list_sources(built.remote, [f"folder:{built.collection}"]), RULES)
    assert not found.changes_something
    assert {request.method for request in requests} <= {"get_object", "head_object", "list_objects_v2"}
    asked = [request.key for request in requests.of("get_object", "derived/")]
    assert len(asked) == len(set(asked))


def test_others_are_told_of_a_build_and_after_its_death_it_is_ended(child, remote_home, built, monkeypatch):
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    # Of moto, every upload was begun in 2010.
    monkeypatch.setattr(object_storage, "NOBODY_SENDS_FOR", timedelta(days=100 * 365))
    assert child.stdout.readline().startswith("sending work folder/releases/1/data/")
    with pytest.raises(ConfigurationError, match="another process is building release 1 right now"):
        build(remote_home, built.collection)
    with pytest.raises(ConfigurationError, match="release 1 is claimed by a build of other inputs"):
        build(remote_home, built.collection, tiny_rules(ROOMY, seed=2))
    assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    (sent,) = set(uploads(remote_home))
    assert not any(str(path).endswith(sent) for path, _ in files_below(remote_home.root))
    assert releases.numbers(remote_home) == []
    build(remote_home, built.collection)
    assert released(remote_home) == {name: data for name, data in released(built.local).items() if name.startswith("1")}
    assert uploads(remote_home) == []


def test_what_an_edit_leaves_is_copied_by_the_server(remote_home, requests, tmp_path):
    built = built_in(tmp_path, remote_home)
    edited = write_collection(tmp_path / "edited", range(16), range(9))
    of_the_first = len(requests)
    first, second = (build(home, edited) for home in (built.local, built.remote))
    asked = Watched(requests[of_the_first:])
    assert first.manifest == second.manifest
    assert released(built.remote) == released(built.local)
    before = releases.get(built.remote, 1).manifest["files"]
    data = {name: row for name, row in second.manifest["files"].items() if name.startswith("data/")}
    same = [name for name, row in data.items() if before.get(name) == row]
    assert same
    assert len(same) < len(data)
    for name in same:
        assert len(asked.of("copy_object", f"releases/2/{name}")) == 1
        assert not asked.of("put_object", f"releases/2/{name}")
        assert None not in [request.span for request in asked.of("get_object", f"releases/1/{name}")]
