"""Removal requests for what lies in a bucket: what goes from a folder goes from there, and nothing else."""

import pytest

from curation import releases, removal, verifying
from curation.batches import in_threads
from curation.history import unfinished
from curation.store import Home
from rules.errors import ConfigurationError
from tests.curation.collection import write_collection
from tests.curation.object_storage.copied import held, sent
from tests.curation.test_purging import media_of
from tests.curation.test_removal import Place

WRITTEN = ("releases", "items", "derived", "blobs", "tombstones")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Give two releases that share files."""
    place = Place(tmp_path_factory.mktemp("removing"))
    for pictures in (8, 9):
        write_collection(place.folder, range(pictures), range(5))
        place.build()
    return place


def remove(home: Home, item: str, **more: bool) -> removal.Removal:
    return removal.remove(home, item, "asked for by the painter", **more)


@pytest.mark.parametrize("side", ["image", "music"])
def test_a_purge_leaves_what_it_leaves_in_a_folder(made, remote_home, tmp_path, side):
    item, media = media_of(made, side)
    local, remote = made.copy(tmp_path / "place").home, sent(made.home, remote_home)
    told = [remove(home, item, purge=True) for home in (local, remote)]
    assert told[0] == told[1]
    assert told[1].purged is not None
    assert (told[1].purged.blobs, told[1].purged.releases) == (1, [1, 2])
    files = held(remote, *WRITTEN)
    assert [name for name, content in files.items() if any(part in content for part in media)] == []
    before = held(local, *WRITTEN)
    stones = {name for name in before if name.startswith("tombstones/")}  # they tell when somebody asked
    assert {name: files[name] for name in files if name not in stones} == {
        name: before[name] for name in before if name not in stones
    }
    assert stones <= files.keys()
    assert verifying.verify(remote, in_threads(2)) == []
    assert list(remote.scratch.iterdir()) == []
    assert remove(remote, item, purge=True).purged == removal.Purged(0, 0, 0, 0, 0, 0, [], [])


def test_without_a_purge_the_item_is_refused_and_its_media_stay(made, remote_home):
    remote = sent(made.home, remote_home)
    item, _ = media_of(made, "image")
    before = held(remote, "releases", "blobs")
    told = remove(remote, item)
    assert [one.release for one in told.held_by] == [1, 2]
    assert remote.is_removed(told.sha256s[0])
    assert held(remote, "releases", "blobs") == before


def test_nothing_is_purged_while_somebody_uses_the_folder(made, remote_home):
    remote = sent(made.home, remote_home)
    item, _ = media_of(made, "image")
    before = held(remote, "releases", "blobs")
    with Home(remote.root).in_use(), pytest.raises(ConfigurationError, match="is refused from now on all the same"):
        remove(remote, item, purge=True)
    assert held(remote, "releases", "blobs") == before
    assert remove(remote, item, purge=True).purged.blobs == 1


def test_a_purge_gives_up_what_a_build_had_begun(made, remote_home):
    remote = sent(made.home, remote_home)
    (remote.root / "releases" / "3.claim").write_text("0" * 64)
    (remote.root / "releases" / "3" / "data" / "train-00000-of-00001.parquet").write_bytes(b"half")
    item, _ = media_of(made, "image")
    assert remove(remote, item, purge=True).purged.unfinished == [3]
    assert unfinished(remote) == []
    assert releases.numbers(remote) == [1, 2]
    assert not held(remote, "releases/3")
