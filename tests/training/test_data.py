"""A revision is found wherever it lies, pinned, indexed without its media; whatever is wrong with it is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tenacity

from curation.errors import TransientError
from curation.publishing import folders
from curation.releases import Release
from curation.store import Home
from rules.errors import ConfigurationError
from tests.curation.publishing import to_hub
from tests.hub_site import Hub
from tests.training.releases import LABELS, RATE_HZ
from training.data import INDEXED, Split, open_revision
from training.reading import files

COUNTS = {"train": 18, "validation": 9, "test": 9}
FOOTER_BYTES = 65_536  # what Arrow reads of the end of a file to find out what is in it
OTHER_TYPE = "column music_start_s is string: expected double"


@pytest.fixture(scope="module")
def shelf(tiny_home: Home, tiny_release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder to which the release was published."""
    folder = tmp_path_factory.mktemp("shelf")
    folders.publish(tiny_home, tiny_release, str(folder), to_hub.pickled)
    return folder


@pytest.fixture
def copy(tiny_release: Release, tmp_path: Path) -> Path:
    """Give a copy of the data files alone, as somebody might hand them on."""
    shutil.copytree(tiny_release.folder / "data", tmp_path / "data")
    return tmp_path


def some(folder: Path, split: str = "train") -> Path:
    return sorted((folder / "data").glob(f"{split}-*.parquet"))[0]


def split_of(where: str | Path, name: str = "train") -> Split:
    found = open_revision(str(where)).split(name)
    assert found is not None
    return found


def test_a_release_folder_is_indexed_as_its_files_are(tiny_release: Release) -> None:
    revision = open_revision(str(tiny_release.folder))
    assert (revision.version, revision.commit, revision.data_set) == ("v1", None, "tiny-training")
    assert (revision.label_names, revision.sample_rate_hz) == (LABELS, RATE_HZ)
    for name, count in COUNTS.items():
        split = revision.split(name)
        assert split is not None
        paths = sorted((tiny_release.folder / "data").glob(f"{name}-*.parquet"))
        whole = pa.concat_tables([pq.ParquetFile(path).read(list(INDEXED)) for path in paths])
        assert len(split) == count
        assert split.pairs.to_pylist() == whole.to_pylist()
        assert len(split.group_sizes) > 1
        assert split.group_sizes.sum() == count


def test_media_of_some_rows_are_read_by_their_columns(tiny_release: Release) -> None:
    split = split_of(tiny_release.folder)
    rows = [
        row
        for path in sorted((tiny_release.folder / "data").glob("train-*"))
        for row in pq.read_table(path).to_pylist()
    ]
    first = int(split.group_sizes[0])
    found = {
        (column, row): bytes(content)
        for column, row, content in split.media(1, {"image": {first}, "audio": {first + 1}})
    }
    assert found == {
        ("image", first): rows[first]["image"]["bytes"],
        ("audio", first + 1): rows[first + 1]["audio"]["bytes"],
    }
    assert [split.group_of(row) for row in range(len(split))] == np.repeat(
        np.arange(len(split.group_sizes)), split.group_sizes
    ).tolist()


def test_what_is_published_is_the_same_from_everywhere(tiny_release: Release, shelf: Path) -> None:
    local, version, newest = (open_revision(str(where)) for where in (tiny_release.folder, shelf / "v1", shelf))
    assert version.where == newest.where == str(shelf / "v1")
    assert version.described() == newest.described()
    assert version.described()["version"] == "v1"
    assert split_of(version.where).pairs.equals(split_of(local.where).pairs)
    assert version.media == local.media


def test_an_address_is_read_as_a_folder_is(shelf: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(str(shelf), "/bucket/shelf", recursive=True)
    revision = open_revision("memory://bucket/shelf")
    assert (revision.where, revision.version) == ("memory://bucket/shelf/v1", "v1")
    assert revision.described() == open_revision(str(shelf)).described()
    split = split_of("memory://bucket/shelf/v1")
    assert split.pairs.equals(split_of(shelf).pairs)
    (image,) = [content for _, _, content in split.media(0, {"image": {0}})]
    assert image == next(content for _, _, content in split_of(shelf).media(0, {"image": {0}}))


def test_a_work_folder_is_answered_with_its_releases(tiny_home: Home) -> None:
    with pytest.raises(ConfigurationError, match="is a work folder: expected one of its releases: .*/releases/1"):
        open_revision(str(tiny_home.root))


def test_a_release_that_is_not_finished_is_refused(tiny_release: Release, tmp_path: Path) -> None:
    shutil.copytree(tiny_release.folder / "data", tmp_path / "releases" / "2" / "data")
    with pytest.raises(ConfigurationError, match="releases/2 is not finished"):
        open_revision(str(tmp_path / "releases" / "2"))


def test_a_publication_that_is_not_finished_is_refused(shelf: Path, tmp_path: Path) -> None:
    shutil.copytree(shelf / "v1", tmp_path / "v1")
    (tmp_path / "v1" / "artune.unfinished").mkdir()
    assert open_revision(str(tmp_path / "v1")).version == "v1"  # whole, only not tidied up
    (tmp_path / "v1" / "artune.json").unlink()
    with pytest.raises(ConfigurationError, match="v1 is not finished: `artune publish` goes on with it"):
        open_revision(str(tmp_path / "v1"))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("/nowhere/at/all", "/nowhere/at/all: no such folder: expected owner/name@v3"),
        ("a/b/c", "a/b/c: no such folder, and no name of a data set"),
        ("sunflowers", "'sunflowers': expected owner/name"),
        ("https://huggingface.co/datasets/ida/x", "did you mean ida/x"),
    ],
)
def test_what_is_no_place_is_told(where: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        open_revision(where)


def test_a_folder_that_exists_wins_over_the_hub(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(copy / "data", tmp_path / "ida" / "tiny" / "data")
    monkeypatch.chdir(tmp_path)
    assert open_revision("ida/tiny").location == str(tmp_path / "ida" / "tiny")


def test_data_without_a_manifest_can_be_trained_on(copy: Path) -> None:
    revision = open_revision(str(copy))
    assert (revision.version, revision.digest) == (None, None)
    assert revision.described() == {"where": str(copy), "commit": None}
    assert len(split_of(copy)) == COUNTS["train"]


def without(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.drop_columns([column])


def with_text(table: pa.Table) -> pa.Table:
    at = table.column_names.index("music_start_s")
    return table.set_column(at, "music_start_s", table["music_start_s"].cast(pa.string()))


def with_null(table: pa.Table) -> pa.Table:
    at = table.column_names.index("music_group")
    column = pa.array([None, *table["music_group"].to_pylist()[1:]], pa.string())
    return table.set_column(at, "music_group", column)


def with_label(table: pa.Table) -> pa.Table:
    at = table.column_names.index("label")
    return table.set_column(at, table.schema.field("label"), pa.array([3, *table["label"].to_pylist()[1:]]))


def without_features(table: pa.Table) -> pa.Table:
    return table.replace_schema_metadata({})


def with_other_names(table: pa.Table) -> pa.Table:
    values = json.loads(table.schema.metadata[b"huggingface"])
    values["info"]["features"]["label"]["names"] = ["Dawn", "Dusk", "Noon"]
    return table.replace_schema_metadata({"huggingface": json.dumps(values)})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (without("label"), "has no column label: expected one of int64"),
        (without("audio"), "has no column audio: expected one of struct"),
        (with_text, OTHER_TYPE),
        (with_null, "column music_group has nulls"),
        (with_label, "column label has 0 to 3: expected 0 to 2"),
        (without_features, "does not name the labels and the rate of the clips"),
        (with_other_names, "has other labels or another rate than the other files"),
    ],
    ids=["label", "audio", "type", "null", "range", "features", "names"],
)
def test_a_file_of_another_schema_is_named_with_what_was_expected(
    copy: Path, change: Callable[[pa.Table], pa.Table], expected: str
) -> None:
    path = sorted((copy / "data").glob("train-*.parquet"))[1]
    pq.write_table(change(pq.read_table(path)), path)
    with pytest.raises(ConfigurationError, match=expected) as caught:
        split_of(copy)
    assert path.name in str(caught.value)


@pytest.mark.parametrize("kept_bytes", [0, 3, 4_000, -1])
def test_a_truncated_file_is_named(copy: Path, kept_bytes: int) -> None:
    path = some(copy)
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(ConfigurationError, match=rf"{path.name} is damaged .*: expected the Parquet file"):
        split_of(copy)


def test_a_file_that_vanishes_while_it_is_used_is_named(copy: Path) -> None:
    split = split_of(copy)
    some(copy).unlink()
    with pytest.raises(ConfigurationError, match=rf"{copy}: data/train-.* is gone"):
        list(split.media(0, {"image": {0}}))


def test_a_file_that_is_replaced_while_it_is_used_is_named(copy: Path) -> None:
    split = split_of(copy)
    path = some(copy)
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(ConfigurationError, match=rf"{path.name} is not the file that it was"):
        list(split.media(0, {"image": {0}}))


def test_a_file_that_the_manifest_lists_and_is_not_there_is_named(shelf: Path, tmp_path: Path) -> None:
    shutil.copytree(shelf / "v1", tmp_path / "v1")
    path = some(tmp_path / "v1")
    size_bytes = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(
        ConfigurationError, match=rf"{path.name} has .*: expected {size_bytes:,} bytes, as its manifest"
    ):
        open_revision(str(tmp_path / "v1"))
    path.unlink()
    with pytest.raises(ConfigurationError, match=rf"{path.name} is not there: expected {size_bytes:,} bytes"):
        open_revision(str(tmp_path / "v1"))


def test_no_pairs_to_train_on_are_refused_and_no_others_are_told(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    some(copy, "validation").unlink()
    assert open_revision(str(copy)).split("validation") is None
    assert "the split validation has no pairs" in caplog.text
    for path in (copy / "data").glob("train-*.parquet"):
        pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(ConfigurationError, match="the split train has no pairs"):
        open_revision(str(copy)).split("train")
    for path in (copy / "data").glob("train-*.parquet"):
        path.unlink()
    with pytest.raises(ConfigurationError, match=r"has no data/train-\*.parquet: expected owner/name@v3"):
        open_revision(str(copy))


@pytest.fixture(scope="module")
def repo_id(hub: Hub, tiny_home: Home, tiny_release: Release) -> str:
    """Give a repository with v1, v2, which is the same, and a commit more on main."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HF_TOKEN", hub.user("ida").token)
        made = hub.new_id()
        to_hub.publish(tiny_home, tiny_release, made)
    repo = hub.repo(made)
    repo.add_commit({"notes.txt": b"more"})
    repo.tag("v2", "main")
    repo.add_commit({"notes.txt": b"still more"})
    return made


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WAIT", tenacity.wait_none())
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)


def test_a_version_on_the_hub_is_pinned_to_its_commit(hub: Hub, repo_id: str) -> None:
    tags = hub.repo(repo_id).tags
    first, newest = open_revision(f"{repo_id}@v1"), open_revision(repo_id)
    assert (first.where, first.commit, first.version) == (f"{repo_id}@v1", tags["v1"], "v1")
    assert (newest.where, newest.commit) == (f"{repo_id}@v2", tags["v2"])
    assert first.location == f"{repo_id}@{tags['v1']}"
    main = open_revision(f"{repo_id}@main")
    assert main.where == f"{repo_id}@{hub.repo(repo_id).head}"
    assert first.described() == main.described()


def test_an_unknown_revision_is_told_with_those_that_exist(hub: Hub, repo_id: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{repo_id} has no revision v7; its versions are v1, v2"):
        open_revision(f"{repo_id}@v7")
    with pytest.raises(ConfigurationError, match="the Hub shows no data set ida/never-made"):
        open_revision("ida/never-made@v1")


def test_the_hub_sends_no_more_than_what_is_needed(hub: Hub, repo_id: str, tiny_release: Release) -> None:
    """The index takes footers and small columns; a row, its columns up to it."""
    total = sum(path.stat().st_size for path in (tiny_release.folder / "data").glob("*.parquet"))
    with hub.watch() as traffic:
        split = split_of(f"{repo_id}@v1")
    of_index = traffic.sent["downloads"]
    assert split.pairs.equals(split_of(tiny_release.folder).pairs)
    row = int(split.group_sizes[0])
    with hub.watch() as traffic:
        ((_, _, content),) = split.media(1, {"image": {row}})
    assert bytes(content) == next(bytes(c) for _, _, c in split_of(tiny_release.folder).media(1, {"image": {row}}))

    files_of_train = len(list((tiny_release.folder / "data").glob("train-*")))
    assert of_index < total / 3 + (files_of_train + 1) * FOOTER_BYTES
    assert traffic.sent["downloads"] < 20_000 + FOOTER_BYTES


def test_what_lies_behind_the_last_row_is_not_sent(hub: Hub, repo_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FAR_READ_BYTES", 20_000)
    split = split_of(f"{repo_id}@v1")
    with hub.watch() as traffic:
        ((_, _, content),) = split.media(0, {"audio": {0}})
    assert content is not None
    assert len(content) > 80_000
    assert split.group_sizes[0] == 4
    assert traffic.sent["downloads"] < FOOTER_BYTES + 1.5 * len(content)


@pytest.mark.usefixtures("_no_waiting")
def test_a_busy_hub_is_asked_again(hub: Hub, repo_id: str) -> None:
    split = split_of(f"{repo_id}@v1")
    hub.fail("GET", "/cdn/", 503, times=3)
    assert len(list(split.media(0, {"image": {0}}))) == 1
    hub.fail("GET", "/cdn/|/resolve/", 503, times=10_000)
    with pytest.raises(TransientError, match=f"{repo_id}.*fails .503."):
        files.patiently(lambda: list(split.media(0, {"image": {0}})))


def test_a_private_data_set_needs_a_token_that_may_read_it(
    hub: Hub, tiny_home: Home, tiny_release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = hub.new_id()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HF_TOKEN", hub.user("ida").token)
        to_hub.publish(tiny_home, tiny_release, made, private=True)
        assert len(split_of(f"{made}@v1", "test")) == COUNTS["test"]
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(ConfigurationError, match=f"the Hub shows no data set {made}"):
        open_revision(f"{made}@v1")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"rule_set": null, "release": 1, "files": {}}',
        '{"rule_set": {"name": "x"}, "release": 1, "files": []}',
        '{"rule_set": {"name": "x"}, "release": 1, "files": {"data/train-00000-of-00001.parquet": {}}}',
    ],
    ids=["cut", "list", "no rules", "no files", "no size"],
)
def test_a_damaged_manifest_of_a_release_is_told(tiny_release: Release, tmp_path: Path, content: str) -> None:
    folder = tmp_path / "releases" / "1"
    folder.parent.mkdir()
    folder.symlink_to(tiny_release.folder)
    folder.with_name("1.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"releases/1\.json: expected the manifest of a release"):
        open_revision(str(folder))
