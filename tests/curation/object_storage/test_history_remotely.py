"""What is past in a bucket: gc takes what nobody needs, verify finds what broke."""

import pyarrow.parquet as pq
import pytest

from curation import history, object_storage, releases, stored, verifying
from curation.batches import in_threads
from curation.store import Home
from rules.errors import ConfigurationError
from tests.curation.collection import files_of, write_collection
from tests.curation.object_storage.copied import held, make_old, names_below, sent, spoil
from tests.curation.test_removal import Place

GARBAGE = b"what no item asks for"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Give two releases; only the first knows a picture, whose item is gone from the tables."""
    place = Place(tmp_path_factory.mktemp("history"))
    for pictures in (range(8), range(1, 9)):
        write_collection(place.folder, pictures, range(5))
        if pictures.start:
            (place.folder / "picture0.bmp").unlink()
        place.build()
    return place


def put_garbage(home: Home) -> None:
    home.put_blob([GARBAGE], len(GARBAGE))


def test_gc_takes_what_it_takes_from_a_folder(made, remote_home, tmp_path):
    local, remote = made.copy(tmp_path / "place").home, sent(made.home, remote_home)
    for home in (local, remote):
        put_garbage(home)
    make_old(remote, history.CUT_OFF)
    for home in (local, remote):
        with history.alone(home):
            found = history.garbage(home, keep=1)
            assert (found.releases, len(found.blobs)) == ([1], 2)
            history.remove(home, found)
    assert releases.numbers(remote) == [2]
    kept = ("releases", "items", "derived", "blobs")
    assert held(remote, *kept) == held(local, *kept)
    assert verifying.verify(remote, in_threads(2)) == []


def test_gc_leaves_what_was_just_sent_with_its_measurements(made, remote_home):
    remote = sent(made.home, remote_home)
    put_garbage(remote)
    found = history.garbage(remote, keep=1)
    assert (found.releases, found.blobs, found.tables) == ([1], [], [])
    assert found.amounts(remote)["releases"] == (1, sum(map(len, held(remote, "releases/1").values())))


def test_gc_waits_for_whoever_adds(made, remote_home):
    remote = sent(made.home, remote_home)
    with (
        Home(remote.root).in_use(),
        pytest.raises(ConfigurationError, match="a build is running"),
        history.alone(remote),
    ):
        pass
    with history.alone(remote), pytest.raises(ConfigurationError, match="removing files"), Home(remote.root).in_use():
        pass


def test_many_objects_go_by_few_requests(remote_home, monkeypatch):
    asked, ask = [], object_storage._Client.call_s3

    def watched(client: object_storage._Client, method: str, **more: object) -> object:
        asked.append(method)
        return ask(client, method, **more)

    monkeypatch.setattr(object_storage._Client, "call_s3", watched)
    monkeypatch.setattr("curation.object_storage.DELETED_AT_ONCE", 10)
    paths = [remote_home.blob(f"{number:064x}") for number in range(25)]
    for path in paths:
        path.write_bytes(b"")
    stored.remove(remote_home, [*paths, remote_home.blob("f" * 64)])
    assert asked == ["delete_objects"] * 3
    assert names_below(remote_home.root) == []


def test_verify_finds_what_broke(made, remote_home):
    remote = sent(made.home, remote_home)
    assert verifying.verify(remote, in_threads(2)) == []
    local = files_of(made.home.root)
    blobs = sorted(name for name in local if name.startswith("blobs/"))
    tables = [name for name in local if name.startswith("items/")]
    # Their names change with the folder; the one that asks for the missing blob has to stay readable.
    missing = blobs[1].rpartition("/")[2]
    items = next(name for name in tables if missing not in pq.read_table(made.home.root / name)["sha256"].to_pylist())
    spoil(remote.root / blobs[0])
    (remote.root / blobs[1]).unlink()
    spoil(remote.root / "releases/1/assignment.parquet")
    (remote.root / "releases/2/rejections.parquet").unlink()
    (remote.root / "releases/2/left.txt").write_bytes(b"surplus")
    (remote.root / items).write_bytes(b"no table")
    faults = {fault.path: fault.what for fault in verifying.verify(remote, in_threads(2))}
    assert faults == {
        blobs[0]: "changed",
        blobs[1]: "missing",
        "releases/1/assignment.parquet": "changed",
        "releases/2/rejections.parquet": "missing",
        "releases/2/left.txt": "surplus",
        items: "unreadable",
    }
