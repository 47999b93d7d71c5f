"""What cannot be rehydrated is refused before anything is written, in words that help."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from curation import building, rehydrating, releases, removal, verifying
from curation.batches import in_threads
from curation.publishing import manifest as manifests
from curation.rehydrating import Rehydrated
from curation.store import Home
from rules.errors import ConfigurationError
from tests.curation.publications import Made, edit, means, pair_ids, replace, rules_for_spans, yields


def rehydrated(where: Path, root: Path, *named: str, **more: object) -> Rehydrated:
    return rehydrating.rehydrate(Home(root), str(where), means(), named=named, **more)


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    """Give a publication that a test may spoil."""
    return shutil.copytree(made.published, tmp_path / "copy")


@pytest.mark.parametrize(
    ("where", "revision", "message"),
    [
        ("nowhere", None, "nowhere holds no data set: expected what `artune publish` wrote to"),
        ("published", "v2", "published has no version v2; its versions are v1"),
        ("media", None, "media holds no data set: expected what `artune publish` wrote to"),
    ],
)
def test_a_wrong_name_or_version_is_refused(made, tmp_path, where, revision, message):
    with pytest.raises(ConfigurationError, match=message):
        rehydrated(made.published.parent / where, tmp_path / "home", revision=revision)
    assert not (tmp_path / "home").exists()


def test_the_folder_of_a_version_will_do(made, tmp_path):
    assert rehydrated(made.published / "v1", tmp_path, f"folder:{made.media}").kept == 6


def test_a_publication_of_a_newer_artune_is_refused(copy, tmp_path):
    edit(copy / "v1", code=manifests.VERSION + 1, something="new")
    with pytest.raises(ConfigurationError, match="a newer artune wrote it"):
        rehydrated(copy, tmp_path / "home")


@pytest.mark.parametrize("name", ["data", "metadata", "references"])
def test_a_file_that_is_not_the_published_one_is_refused_and_not_kept(copy, tmp_path, name):
    path = sorted((copy / "v1" / name).glob("*.parquet"))[0]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ConfigurationError, match=rf"{name}/{path.name}: sha256 is \w+, not \w+ as artune.json says"):
        rehydrated(copy, tmp_path / "home")
    assert not list((tmp_path / "home").rglob(f"{name}/{path.name}"))
    assert releases.numbers(Home(tmp_path / "home")) == []


def test_names_and_hashes_that_would_lead_out_of_the_folder_are_refused(copy, tmp_path):
    name = next(path.relative_to(copy / "v1").as_posix() for path in (copy / "v1" / "metadata").iterdir())
    rows = pq.read_table(copy / "v1" / name)
    at = rows.schema.get_field_index("image_sha256")
    replace(copy / "v1" / name, rows.set_column(at, "image_sha256", pa.array(["../../../../x"] * len(rows))))
    with pytest.raises(ConfigurationError, match="image_sha256: expected 64 digits"):
        rehydrated(copy, tmp_path / "home")


def test_a_label_that_the_rules_do_not_have_is_refused(copy, tmp_path):
    name = next(path.relative_to(copy / "v1").as_posix() for path in (copy / "v1" / "metadata").iterdir())
    rows = pq.read_table(copy / "v1" / name)
    at = rows.schema.get_field_index("label")
    replace(copy / "v1" / name, rows.set_column(at, rows.schema.field(at), pc.add(rows["label"], 99)))
    with pytest.raises(ConfigurationError, match="has a label that its rule_set.json does not name"):
        rehydrated(copy, tmp_path / "home")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"release": "../1"}, "artune.json: expected a manifest of artune: release: Input should be a valid integer"),
        ({"buckets": {"train": 3}}, "expected what `artune publish` writes of a release"),
        ({"files": {}}, "expected what `artune publish` writes of a release"),
    ],
    ids=["release", "buckets", "files"],
)
def test_a_manifest_that_is_none_of_a_release_is_refused(copy, tmp_path, changes, message):
    edit(copy / "v1", **changes)
    with pytest.raises(ConfigurationError, match=message):
        rehydrated(copy, tmp_path / "home")


def test_a_disk_that_is_too_small_is_refused(made, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(ConfigurationError, match="bytes needed for what is published, 1 free"):
        rehydrated(made.published, tmp_path / "home")


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("folder:/nowhere", "/nowhere.*expected a folder of pictures and recordings"),
        ("fodler:/tmp", "no source is called 'fodler'"),
    ],
)
def test_a_place_that_is_none_is_refused_before_anything_is_downloaded(made, tmp_path, named, message):
    with pytest.raises(ConfigurationError, match=message):
        rehydrated(made.published, tmp_path / "home", named)
    assert not (tmp_path / "home").exists()


def test_a_folder_that_builds_the_data_set_or_has_another_release_is_refused(made, copy, tmp_path):
    home = tmp_path / "home"
    rehydrated(made.published, home)
    edit(copy / "v1", seed=2)
    with pytest.raises(ConfigurationError, match=r"has another release 1, rehydrated from .*published/v1"):
        rehydrated(copy, home)
    edit(copy / "v1", release=2)
    with pytest.raises(ConfigurationError, match=r"tiny is built here \(release 1\)"):
        rehydrated(copy / "v1", made.home.root)


def test_a_number_that_a_build_has_claimed_is_left_to_it(made, tmp_path):
    claim = tmp_path / "releases" / "1.claim"
    claim.parent.mkdir()
    claim.write_text("0" * 64)
    with pytest.raises(ConfigurationError, match=f"release 1 is claimed by something else.*remove {claim}"):
        rehydrated(made.published, tmp_path)
    assert claim.exists()


def test_what_was_downloaded_of_another_publication_is_not_taken_for_this_one(made, copy, tmp_path):
    path = sorted((copy / "v1" / "metadata").glob("*.parquet"))[0]
    rows = pq.read_table(path)
    at = rows.schema.get_field_index("image_title")
    replace(path, rows.set_column(at, "image_title", pa.array(["another"] * len(rows))))
    last = sorted((copy / "v1" / "references").glob("*.parquet"))[-1]
    last.write_bytes(b"damaged")
    with pytest.raises(ConfigurationError, match="sha256"):
        rehydrated(copy, tmp_path)
    (tmp_path / "releases" / "1.claim").unlink()
    done = rehydrated(made.published, tmp_path)
    assert done.release is not None
    assert "another" not in pq.read_table(done.release.folder / "metadata")["image_title"].to_pylist()


def test_what_somebody_asked_to_be_removed_here_is_neither_fetched_nor_copied(made, tmp_path):
    rows = pq.read_table(made.release.folder / "metadata").to_pylist()
    embedded = next(row for row in rows if row["pair_id"] in made.embedded)
    fetched = next(row for row in rows if row["pair_id"] not in made.embedded)
    removal.remove(Home(tmp_path), f"folder:{embedded['image_source_id']}", "asked for")
    removal.remove(Home(tmp_path), f"folder:{fetched['music_source_id']}", "asked for")
    done = rehydrated(made.published, tmp_path, f"folder:{made.media}")
    assert done.release is not None
    assert done.kept == 4
    kept = pair_ids(done.release)
    assert {embedded["pair_id"], fetched["pair_id"]}.isdisjoint(kept)
    reasons = {(row["source_id"], row["outcome"]) for row in yields(done.release) if row["reason"] == "removed"}
    assert reasons == {(embedded["image_source_id"], "embedded"), (fetched["music_source_id"], "not_fetched")}
    assert not Home(tmp_path).blob(fetched["music_sha256"]).exists()
    files = [path.read_bytes() for path in tmp_path.rglob("*.parquet")]
    assert not any(embedded["image_sha256"].encode() in content for content in files if b"JFIF" in content)


def test_an_item_may_be_purged_from_it(made, tmp_path):
    rows = pq.read_table(made.release.folder / "metadata").to_pylist()
    row = next(row for row in rows if row["pair_id"] in made.embedded)
    rehydrated(made.published, tmp_path)
    found = removal.remove(Home(tmp_path), f"folder:{row['image_source_id']}", "asked for", purge=True)
    assert [(held.pairs, held.purged) for held in found.held_by] == [(1, True)]
    assert row["pair_id"] not in pair_ids(releases.get(Home(tmp_path), 1))
    assert verifying.verify(Home(tmp_path), in_threads(2)) == []


def test_a_build_of_another_data_set_may_follow(made, tmp_path):
    rehydrated(made.published, tmp_path)
    rule_set = rules_for_spans().model_copy(update={"name": "other"})
    release = building.build(Home(tmp_path), [f"folder:{made.media}"], rule_set, in_threads(2))
    assert release is not None
    assert (release.number, release.manifest["parent"]) == (2, None)
