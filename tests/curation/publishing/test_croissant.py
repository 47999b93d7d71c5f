"""croissant.json as mlcroissant reads it, beside the files of a publication."""

import io
import json
import os
from itertools import islice
from pathlib import Path

import mlcroissant
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.publishing.pages import Pages, write
from curation.store import file_sha256
from tests.curation.publishing.paging import HOMEPAGE, contents


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("croissant") / "v1"


@pytest.fixture(scope="module")
def published(editions, folder) -> Pages:
    return write(contents(editions.home, editions.first, folder, revision=None), None, folder)


@pytest.fixture  # for each test: records of which one read the first only may stay so for the next
def data_set(published) -> mlcroissant.Dataset:
    return mlcroissant.Dataset(os.fspath(published.paths["croissant.json"]))


def test_it_is_valid(data_set):
    metadata = data_set.metadata
    assert metadata.issues.errors == set()
    (warning,) = metadata.issues.warnings  # a release has no date: the same inputs give the same bytes
    assert "datePublished" in warning
    assert metadata.version == "1.0.0"
    assert metadata.license == [
        "https://creativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org/publicdomain/zero/1.0/",
    ]
    assert "Pairs of one artwork and one 30-second clip" in metadata.description
    assert len(metadata.data_limitations) >= 4


def test_every_file_has_its_hash(published, folder, data_set):
    hashes = {file.content_url: file.sha256 for file in data_set.metadata.file_objects}
    assert hashes == {name: file_sha256(folder / name) for name in hashes}
    assert set(hashes) == set(published.manifest.files) - {"croissant.json"}


def rows_of(folder: Path, config: str) -> list[tuple[str, dict[str, object]]]:
    paths = sorted((folder / config).glob("*.parquet"))
    return [(path.name.split("-")[0], row) for path in paths for row in pq.ParquetFile(path).read().to_pylist()]


def plain(value: object) -> object:
    """Return what mlcroissant gives as Arrow would."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("config", ["metadata", "references"])
def test_records_are_the_rows(folder, data_set, config):
    found = list(data_set.records(config))
    rows = rows_of(folder, config)
    assert len(found) == len(rows)
    for record, (split, row) in zip(found, rows, strict=True):
        said = {key.removeprefix(f"{config}/"): plain(value) for key, value in record.items()}
        assert said == {"split": split} | row


def test_media_are_read_back(folder, data_set):
    for record, (split, row) in islice(zip(data_set.records("default"), rows_of(folder, "data"), strict=True), 3):
        picture = record["default/image"]
        assert (picture.format, picture.tobytes()) == ("JPEG", Image.open(io.BytesIO(row["image"]["bytes"])).tobytes())
        assert record["default/audio"] == row["audio"]["bytes"]
        assert (plain(record["default/split"]), record["default/label"]) == (split, row["label"])


def test_one_split_is_read_alone(folder, data_set):
    found = list(data_set.records("metadata", filters={"metadata/split": "test"}))
    assert [plain(record["metadata/pair_id"]) for record in found] == [
        row["pair_id"] for split, row in rows_of(folder, "metadata") if split == "test"
    ]


def test_labels_have_their_numbers(editions, data_set):
    names = {record["labels/number"]: plain(record["labels/name"]) for record in data_set.records("labels")}
    assert names == dict(enumerate(editions.first.manifest["labels"]))


def test_on_the_hub_files_have_addresses_of_their_revision(editions, tmp_path):
    told = contents(editions.home, editions.first, tmp_path / "files", revision="v1")
    pages = write(told, None, tmp_path / "pages")
    text = pages.paths["croissant.json"].read_text(encoding="utf-8")
    found = json.loads(text)
    urls = {file["contentUrl"] for file in found["distribution"] if file["@type"] == "cr:FileObject"}
    assert f"{HOMEPAGE}/resolve/v1/NOTICE" in urls
    assert all(url.startswith(f"{HOMEPAGE}/resolve/v1/") for url in urls)
    assert found["url"] == HOMEPAGE
    again = write(told, None, tmp_path / "again")
    assert again.paths["croissant.json"].read_text(encoding="utf-8") == text
