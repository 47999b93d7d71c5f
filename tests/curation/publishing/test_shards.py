"""The published files hold the rows that may be published, as the release has them, and nothing else."""

import errno
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import building
from curation import shards as files
from curation.batches import in_threads
from curation.card import CONFIGS
from curation.features import features_schema
from curation.publishing.lawful import Chosen
from curation.publishing.manifest import PublishedFile
from curation.publishing.shards import Shard, check_row_groups, described, rendered, shards
from curation.releases import Release, rule_set_of
from curation.store import Home, file_sha256
from rules.errors import ConfigurationError
from tests.curation.collection import write_collection
from tests.curation.tables import ROOMY, tiny_rules

FOLDERS = {folder: config for config, folder in CONFIGS.items()}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("shards") / "home")


@pytest.fixture(scope="module")
def release(home: Home) -> Iterator[Release]:
    """Give a release of many small files with row groups of two rows."""
    folder = write_collection(home.root.parent / "media", range(12), range(8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "TARGET_FILE_BYTES", 3_000_000)
        patch.setattr(files, "MAX_ROW_GROUP_BYTES", 50_000)
        patch.setattr(files, "ROWS_PER_METADATA_FILE", 4)
        yield building.build(home, [f"folder:{folder}"], tiny_rules(ROOMY), in_threads(2))


@pytest.fixture(scope="module")
def pair_ids(release: Release) -> list[str]:
    return sorted(row["pair_id"] for path in (release.folder / "data").glob("*.parquet") for row in rows_of(path))


def rows_of(path: Path) -> list[dict[str, object]]:
    return list(pq.read_table(path, partitioning=None).to_pylist())


def chosen(pair_ids: list[str], fates: list[int]) -> Chosen:
    """Return a choice in which each pair has one of the fates 0 (embedded), 1 (referenced) and 2 (excluded)."""
    parts = ([name for name, fate in zip(pair_ids, fates, strict=True) if fate == one] for one in range(3))
    return Chosen(*(pa.array(part, pa.string()) for part in parts), licenses=[])


def some(pair_ids: list[str]) -> Chosen:
    return chosen(pair_ids, [number % 3 for number in range(len(pair_ids))])


def as_built(release: Release, source: Path, config: str, gone: set[object]) -> bytes:
    """Return the bytes of a file that a build would write of a file's rows but some."""
    schema = features_schema(rule_set_of(release), config)
    target = release.folder.parent / "built.parquet"
    with pq.ParquetFile(source) as file, files.open_writer(target, schema) as writer:
        for group in range(file.num_row_groups):
            rows = [row for row in file.read_row_group(group).to_pylist() if row["pair_id"] not in gone]
            if rows:
                whole = pa.Table.from_pylist(rows, schema)
                singles = pa.concat_tables([whole.slice(row, 1) for row in range(len(rows))])
                columns = [(singles if name in files.MEDIA_COLUMNS else whole)[name] for name in schema.names]
                writer.write_table(pa.table(columns, schema=schema), row_group_size=len(rows))
    content = target.read_bytes()
    target.unlink()
    return content


@pytest.fixture(scope="module")
def laid_out(release: Release) -> dict[str, list[Path]]:
    found = {config: sorted((release.folder / folder).glob("*.parquet")) for config, folder in CONFIGS.items()}
    assert len(found["default"]) > 2
    assert len(found["metadata"]) > 2
    assert max(pq.read_metadata(path).num_row_groups for path in found["default"]) > 1
    return found


@settings(max_examples=25)
@given(data=st.data())
def test_what_is_published_is_the_release_without_what_may_not_be(home, release, pair_ids, laid_out, data):
    fates = data.draw(st.lists(st.integers(0, 2), min_size=len(pair_ids), max_size=len(pair_ids)))
    found = {shard.name: shard for shard in shards(home, release, chosen(pair_ids, fates))}
    assert list(found) == sorted(found)
    fate_of = dict(zip(pair_ids, fates, strict=True))
    for config, paths in laid_out.items():
        gone = {name for name, fate in fate_of.items() if fate == 2 or (fate == 1 and config == "default")}
        for path in paths:
            name = f"{CONFIGS[config]}/{path.name}"
            before = rows_of(path)
            left = [row for row in before if row["pair_id"] not in gone]
            assert (name in found) == bool(left)
            if left:
                is_as_it_should_be(release, found[name], before, left, gone)


def is_as_it_should_be(
    release: Release, shard: Shard, before: list[dict[str, object]], left: list[dict[str, object]], gone: set[object]
) -> None:
    assert sorted(shard.left_out.to_pylist()) == sorted({row["pair_id"] for row in before} & gone)
    assert shard.rows == len(left)
    assert shard.config == FOLDERS[shard.name.split("/")[0]]
    assert shard.name.split("/")[1].startswith(f"{shard.split}-")
    with rendered(shard) as path:
        assert rows_of(path) == left
        assert path.read_bytes() == as_built(release, shard.path, shard.config, gone)
        assert pq.read_schema(path).equals(pq.read_schema(shard.path), check_metadata=True)
        assert described(shard, path) == PublishedFile(file_sha256(path), path.stat().st_size, len(left))
        assert (path == shard.path) == (len(left) == len(before))
        assert shard.known == (described(shard, path) if path == shard.path else None)
        assert shard.max_bytes == (0 if path == shard.path else shard.path.stat().st_size)
    assert path.exists() == (path == shard.path)


def test_media_stay_uncompressed_and_the_file_keeps_features_and_a_page_index(home, release, pair_ids):
    shard = next(shard for shard in shards(home, release, some(pair_ids)) if shard.path.parent.name == "data")
    with rendered(shard) as path, pq.ParquetFile(path) as file:
        assert b"ClassLabel" in file.schema_arrow.metadata[b"huggingface"]
        group = file.metadata.row_group(0)
    columns = [group.column(at) for at in range(group.num_columns)]
    plain = {column.path_in_schema for column in columns if column.compression == "UNCOMPRESSED"}
    assert plain == {"image.bytes", "audio.bytes"}
    assert all(column.has_offset_index for column in columns)


def test_the_same_bytes_each_time(home, release, pair_ids):
    found = [shard for shard in shards(home, release, some(pair_ids)) if len(shard.left_out)]
    for shard in found:
        with rendered(shard) as first, rendered(shard) as second:
            assert first != second
            assert first.read_bytes() == second.read_bytes()


def test_nothing_is_left_behind_when_the_use_of_a_file_fails(home, release, pair_ids):
    shard = next(shard for shard in shards(home, release, some(pair_ids)) if len(shard.left_out))
    with pytest.raises(KeyError), rendered(shard) as path:
        raise KeyError("cut connection")
    assert not path.exists()


@pytest.fixture
def broken(release: Release, tmp_path: Path) -> Release:
    """Give a copy of the release to break."""
    folder = tmp_path / "1"
    shutil.copytree(release.folder, folder)
    return replace(release, folder=folder)


@pytest.mark.parametrize("fates", [[0], [0, 1]])
def test_a_file_that_changed_on_disk_is_refused(home, broken, pair_ids, fates):
    choice = chosen(pair_ids, [fates[number % len(fates)] for number in range(len(pair_ids))])
    shard = shards(home, broken, choice)[0]
    content = bytearray(shard.path.read_bytes())
    content[100] ^= 1
    shard.path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"changed on disk .*artune verify"), rendered(shard):
        pytest.fail("it was rendered")


def test_a_file_that_vanished_is_refused(home, broken, pair_ids):
    choice = some(pair_ids)
    shard = shards(home, broken, choice)[0]
    shard.path.unlink()
    with pytest.raises(ConfigurationError, match=rf"{shard.path}.*No such file.*artune verify"), rendered(shard):
        pytest.fail("it was rendered")
    with pytest.raises(ConfigurationError, match=rf"{shard.path}.*artune verify"):
        shards(home, broken, choice)


def test_a_file_that_is_cut_off_is_refused(home, broken, pair_ids):
    path = sorted((broken.folder / "metadata").glob("*.parquet"))[0]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ConfigurationError, match=rf"{path} changed on disk.*artune verify"):
        shards(home, broken, some(pair_ids))


class Full(Home):
    """A work folder on a full disk."""

    def temporary(self) -> Path:
        path = super().temporary()
        path.symlink_to("/dev/full")
        return path


def test_a_full_disk_is_told(home, release, pair_ids):
    shard = next(shard for shard in shards(home, release, some(pair_ids)) if len(shard.left_out))
    shard = replace(shard, home=Full(home.root))
    with pytest.raises(ConfigurationError, match=r"the disk is full.*bytes of data/") as refusal, rendered(shard):
        pytest.fail("it was rendered")
    assert isinstance(refusal.value.__cause__, OSError)
    assert refusal.value.__cause__.errno == errno.ENOSPC


def test_a_row_group_that_the_viewer_would_not_show_is_refused(release, monkeypatch):
    path = sorted((release.folder / "data").glob("*.parquet"))[0]
    check_row_groups(path, pq.read_metadata(path))
    monkeypatch.setattr(files, "VIEWER_ROW_GROUP_BYTES", 9_000)
    with pytest.raises(ConfigurationError, match=rf"{path}: row group \d+ has [\d,]+ bytes: expected at most 9,000"):
        check_row_groups(path, pq.read_metadata(path))
