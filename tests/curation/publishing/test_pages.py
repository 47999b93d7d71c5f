"""The card of a publication, and what a person wrote into the one that is there."""

import dataclasses
import json
import pickle
import shutil
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import ClassLabel, load_dataset

from curation.card.header import divided
from curation.card.markers import parts, without_tables
from curation.publishing import manifest
from curation.publishing.manifest import Manifest
from curation.publishing.pages import NAMES, Card, Contents, Pages, scratch, write
from curation.store import file_sha256
from tests.curation.publishing.paging import again, contents

LABELS = "<!-- artune:begin labels -->"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages") / "v1"


@pytest.fixture(scope="module")
def told(editions, folder) -> Contents:
    return contents(editions.home, editions.first, folder, revision=None)


@pytest.fixture(scope="module")
def published(told, folder) -> Pages:
    """Give a publication in a folder: others write beside it, never into it."""
    return write(told, None, folder)


@pytest.fixture(scope="module")
def card(published) -> str:
    return published.paths["README.md"].read_text(encoding="utf-8")


def rewritten(told: Contents, known: Manifest, tmp_path: Path, text: str) -> Pages:
    return write(told, Card(text.encode(), known, "owner/name: README.md"), tmp_path)


def read(pages: Pages) -> str:
    return pages.paths["README.md"].read_bytes().decode()


def header(text: str) -> dict[str, object]:
    return yaml.safe_load(text.split("\n---\n")[0])


@pytest.mark.parametrize("config", ["default", "metadata", "references"])
def test_each_config_loads_without_a_cache_with_the_rows_that_the_card_counts(
    published, folder, tmp_path, config, card
):
    data = load_dataset(str(folder), config, cache_dir=str(tmp_path))
    (info,) = [info for info in header(card)["dataset_info"] if info["config_name"] == config]
    assert {split: len(rows) for split, rows in data.items()} == {
        row["name"]: row["num_examples"] for row in info["splits"]
    }
    assert isinstance(data["train"].features["label"], ClassLabel)
    per_pair = 2 if config == "references" else 1
    assert {split: len(rows) // per_pair for split, rows in data.items()} == published.manifest.pairs[config]


def test_a_split_without_media_is_left_out_of_default_only(editions, told, tmp_path):
    """A split that the header names and no file has would break every config."""
    paths = sorted((editions.first.folder / "metadata").glob("test-*.parquet"))
    gone = pa.concat_tables([pq.read_table(path, columns=["pair_id"]) for path in paths])["pair_id"].combine_chunks()
    left = told.chosen.embedded.filter(pc.invert(pc.is_in(told.chosen.embedded, value_set=gone)))
    referenced = pa.concat_arrays([told.chosen.referenced, gone]).unique().sort()
    chosen = dataclasses.replace(told.chosen, embedded=left, referenced=referenced)
    folder = tmp_path / "v1"
    pages = write(contents(editions.home, editions.first, folder, None, chosen), None, folder)
    assert "`default` has no rows for `test`" in read(pages)
    for config, splits in (("default", {"train", "validation"}), ("metadata", {"train", "validation", "test"})):
        assert set(load_dataset(str(folder), config, cache_dir=str(tmp_path / config))) == splits


def test_some_columns_load_alone(published, folder, tmp_path):
    data = load_dataset(str(folder), columns=["pair_id", "label"], split="train", cache_dir=str(tmp_path))
    assert data.column_names == ["pair_id", "label"]


def test_the_card_tells_what_is_embedded_of_all(told, card):
    embedded, referenced = len(told.chosen.embedded), len(told.chosen.referenced)
    assert f"{embedded} of {embedded + referenced} pairs have their picture and sound" in card
    assert f"{len(told.chosen.excluded)} more pairs of the release are left out" in card
    assert "Secret" not in card
    assert "| CC-BY-4.0 | 1 |" in card
    assert "| with media and whom to name |" in card


def test_the_manifest_names_every_file_but_the_card(published, folder):
    read_back = manifest.read((folder / manifest.NAME).read_bytes(), "there")
    assert read_back == published.manifest
    assert set(published.paths) == set(NAMES)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(read_back.files) == there - {"README.md", manifest.NAME}
    assert {name: file_sha256(folder / name) for name in there & set(read_back.files)} == {
        name: file.sha256 for name, file in read_back.files.items()
    }
    assert (folder / "rule_set.json").read_bytes() == (published.paths["rule_set.json"]).read_bytes()


def test_contents_travel_to_another_process(told):
    assert pickle.loads(pickle.dumps(told)).chosen.embedded.equals(told.chosen.embedded)


def test_the_same_again_changes_nothing(told, published, card, tmp_path):
    pages = rewritten(told, published.manifest, tmp_path, card)
    assert {name: path.read_bytes() for name, path in pages.paths.items()} == {
        name: path.read_bytes() for name, path in published.paths.items()
    }
    assert not pages.hand_edited
    assert pages.tables_left_out == ()


def test_new_prose_comes_in_where_nobody_edited(told, published, card, tmp_path):
    """The card there is one of an earlier artune, whose manifest says so."""
    earlier = card.replace("Pairs of one artwork", "Couples of one artwork")
    page = parts(divided(earlier.encode(), "").body, "")
    known = dataclasses.replace(
        published.manifest, prose_sha256=sha256(without_tables(page).strip().encode()).hexdigest()
    )
    pages = rewritten(told, known, tmp_path, earlier)
    assert read(pages) == card
    assert not pages.hand_edited


def test_a_persons_words_stay_and_tables_follow_the_release(told, published, card, tmp_path):
    edited = card.replace("## Limits and ethics", "## Limits\n\nOurs: {title} & <b>more</b>").replace(
        "| Faces |", "| Fake |"
    )
    pages = rewritten(told, published.manifest, tmp_path, edited)
    assert pages.hand_edited
    assert read(pages) == card.replace("## Limits and ethics", "## Limits\n\nOurs: {title} & <b>more</b>")
    assert read(again(told, pages)) == read(pages)  # nor are they taken for artune's the next time


def test_a_table_that_a_person_deleted_stays_deleted(told, published, card, tmp_path):
    head, _, rest = card.partition(LABELS)
    pages = rewritten(told, published.manifest, tmp_path, head + rest.partition("<!-- artune:end labels -->\n")[2])
    assert pages.tables_left_out == ("labels",)
    assert LABELS not in read(again(told, pages))


def test_all_tables_may_go(told, published, card, tmp_path):
    text = card.split("\n---\n")[0] + "\n---\nAll mine.\n"
    pages = rewritten(told, published.manifest, tmp_path, text)
    assert read(pages) == text
    assert len(pages.tables_left_out) == card.count("artune:begin") - 1  # the card speaks of it once


def test_rules_go_out_as_they_are_but_for_what_was_decided_of_single_items(told, published, tmp_path):
    as_built = (told.release.folder / "rule_set.json").read_text(encoding="utf-8")
    assert published.paths["rule_set.json"].read_text(encoding="utf-8") == as_built
    folder = shutil.copytree(told.release.folder, tmp_path / "releases" / "1")
    overrides = {"rows": [{"item": "folder:secret.jpg", "reason": "its owner asked for it"}]}
    text = json.dumps(json.loads(as_built) | {"overrides": overrides}, indent=1, ensure_ascii=False) + "\n"
    (folder / "rule_set.json").write_text(text, encoding="utf-8")
    release = dataclasses.replace(told.release, folder=folder)
    pages = write(dataclasses.replace(told, release=release), None, tmp_path / "pages")
    assert pages.paths["rule_set.json"].read_text(encoding="utf-8") == as_built
    assert all(b"secret.jpg" not in path.read_bytes() for path in pages.paths.values())


def test_pages_gather_in_the_work_folder_and_leave_nothing(told):
    with scratch(told) as folder:
        write(told, None, folder)
        assert folder.parent == told.release.folder.parents[1] / "tmp"
    assert not folder.exists()
