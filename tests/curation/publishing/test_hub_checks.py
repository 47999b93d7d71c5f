"""What is refused before anything is sent, in words that help."""

import dataclasses
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from hypothesis import example, given
from hypothesis import strategies as st

from curation import purging, releases
from curation.publishing import hub as hubs
from curation.publishing import manifest, records
from curation.publishing.hub_access import check_name
from curation.publishing.records import Record
from curation.store import Home
from rules.errors import ConfigurationError
from tests.curation.collection import copy_linked
from tests.curation.publishing.conftest import REPO_ID, Editions
from tests.curation.publishing.to_hub import dry_run, publish
from tests.hub.people import User
from tests.hub.repos import Repo
from tests.hub_site import Hub

CARD = b"---\nlicense: mit\n---\n"


def refused(editions: Editions, repo_id: str, words: str) -> None:
    """See the same refusal of all three ways to ask."""
    for ask in (hubs.check, dry_run, publish):
        with pytest.raises(ConfigurationError, match=words):
            ask(editions.home, editions.opened, repo_id)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("datasets/ida/tiny", "ida/tiny"),
        ("ida/tiny set", "ida/tiny-set"),
        ("ida/tiny.git", "ida/tiny"),
        ("ida/-tiny--set-", "ida/tiny-set"),
        ("ida/caf\u00e9", "ida/caf"),
    ],
)
def test_what_a_wrong_name_was_meant_to_be_is_told(name: str, meant: str) -> None:
    with pytest.raises(ConfigurationError, match=f"expected owner/name.*; did you mean {meant}\\?$"):
        check_name(name)


@given(st.text(st.sampled_from("ab-._/ \u00e9"), max_size=12))
@example("a" * 97 + "/b")
@example("a/b.git.git")
def test_a_name_is_refused_just_where_huggingface_hub_would_and_no_wrong_one_is_proposed(name: str) -> None:
    try:
        validate_repo_id(name)
        is_fine = name.count("/") == 1
    except HFValidationError:
        is_fine = False
    if is_fine:
        check_name(name)
        return
    with pytest.raises(ConfigurationError) as told:
        check_name(name)
    _, asks, meant = str(told.value).partition("did you mean ")
    if asks:
        check_name(meant.removesuffix("?"))


def test_without_a_token_it_is_told_how_to_get_one(editions: Editions, hub: Hub) -> None:
    refused(editions, hub.new_id(), "there is no token for the Hub: .* `hf auth login`, or set .* HF_TOKEN")


def test_a_token_that_may_only_read_is_refused(
    editions: Editions, hub: Hub, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.user("ida", role="read").token)
    refused(editions, REPO_ID, "the token of ida may only read: expected one that may write")


def test_a_token_for_other_repositories_is_refused(
    editions: Editions, hub: Hub, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.user("ida", role="fineGrained", repos=("ida/other",)).token)
    with pytest.raises(ConfigurationError, match=f"{REPO_ID}: (there is nothing|the Hub does not let this token)"):
        publish(editions.home, editions.opened, REPO_ID)


def test_an_owner_that_the_token_is_not_of_is_refused(
    editions: Editions, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.user("ida", orgs=("museum",), token="hf_of_two").token)
    refused(editions, "musem/tiny", "token is of ida, who .* for musem: .* ida or museum; did you mean museum/tiny\\?")
    repo_id = hub.new_id("museum")
    assert publish(editions.home, editions.first, repo_id).is_new


@pytest.mark.parametrize("kind", ["model", "space"])
def test_a_repository_of_another_kind_is_refused_unless_there_is_a_data_set_too(
    kind: str, editions: Editions, hub: Hub, ida: User
) -> None:
    repo_id = hub.new_id()
    hub.create(repo_id, kind=kind)
    refused(editions, repo_id, f"is a {kind} on the Hub: .*`hf repos create {repo_id} --repo-type dataset`")
    hub.create(repo_id)
    assert publish(editions.home, editions.first, repo_id).is_new


def test_a_new_name_for_a_data_set_that_was_published_before_is_refused(
    editions: Editions, hub: Hub, ida: User, tmp_path: Path
) -> None:
    copy_linked(editions.home.root, tmp_path / "home")
    home, repo_id = Home(tmp_path / "home"), hub.new_id()
    records.write(home, Record("ida/tinny", hub.url, "tiny", 1, "v1", "0" * 40))
    records.write(home, Record("ida/other", "https://elsewhere", "tiny", 1, "v1", "0" * 40))
    with pytest.raises(ConfigurationError, match=r"published as ida/tinny before; did you mean ida/tinny\?.*create"):
        publish(home, releases.get(home, 1), repo_id)
    hub.create(repo_id)
    assert publish(home, releases.get(home, 1), repo_id).is_new


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data_set": "museart18"}, "holds the data set museart18, not tiny"),
        ({"inputs": "0" * 64}, "holds a v1 of tiny that is not release 1 of "),
        ({"release": 9}, "holds v9 already: expected a later release than 2"),
        ({"code": 99}, "a newer artune wrote it"),
        ({"release": "1"}, r"artune\.json: expected a manifest of artune: release: "),
        ({"pairs": []}, r"artune\.json: expected a manifest of artune: pairs: "),
    ],
)
def test_what_the_release_does_not_follow_is_refused(
    changes: dict[str, object], words: str, editions: Editions, repo: Repo
) -> None:
    there = manifest.read(repo.read("artune.json"), "there")
    head = repo.add_commit({"artune.json": manifest.written(dataclasses.replace(there, **changes))})
    refused(editions, REPO_ID, words)
    assert repo.head == head


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"artune.json": b"[]"}, r"artune\.json: expected a manifest of artune"),
        ({"data/train-more.parquet": b"0"}, "data/train-more.parquet, which .* `datasets` would read as rows"),
        ({".huggingface.yaml": b"configs: []"}, r"holds \.huggingface\.yaml, which `datasets` believes rather than"),
        ({"artune.json": None}, r"holds NOTICE, croissant\.json, data/.* and artune would have to replace"),
    ],
)
def test_files_in_the_way_are_named(files: dict[str, bytes], words: str, editions: Editions, repo: Repo) -> None:
    head = repo.add_commit(files)
    refused(editions, REPO_ID, words)
    assert (repo.head, repo.branches) == (head, {"main": head})


def test_a_card_of_somebody_else_is_refused_if_it_has_text_and_filled_if_not(
    editions: Editions, hub: Hub, ida: User
) -> None:
    repo = hub.create(hub.new_id())
    repo.add_commit({"README.md": CARD + b"# Mine\n"})
    refused(editions, repo.id, "README.md: expected a card of artune, or none")
    repo.add_commit({"README.md": CARD})
    publish(editions.home, editions.first, repo.id)
    assert b"license: mit\n" in repo.read("README.md", "v1")


def test_a_release_that_changed_on_disk_is_refused_and_main_stays(
    editions: Editions, repo: Repo, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    copy_linked(editions.home.root, home.root)
    path = home.root / "releases/3/data/train-00001-of-00004.parquet"
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"changed")
    with pytest.raises(ConfigurationError, match=r"train-00001-of-00004\.parquet changed on disk .*artune verify"):
        publish(home, releases.get(home, 3), REPO_ID)
    assert repo.branches == {"main": repo.tags["v1"]}


def test_a_version_of_another_work_folder_is_told_as_such(editions: Editions, repo: Repo) -> None:
    mine = editions.first.manifest["inputs"].encode()
    repo.tree.tags.pop("v1")
    repo.add_commit({"artune.json": repo.read("artune.json").replace(mine, b"0" * 64)})
    repo.tag("v1", "main")
    with pytest.raises(ConfigurationError, match=r"holds a v1 of tiny that is not release 1 of .*: expected the work"):
        publish(editions.home, editions.first, REPO_ID)


def test_a_release_that_lost_an_item_since_is_not_what_was_published(
    editions: Editions, repo: Repo, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    copy_linked(editions.home.root, home.root)
    rows = pq.read_table(home.root / "releases/1/metadata", columns=["image_source_id", "image_sha256"]).to_pylist()
    (sha256,) = [row["image_sha256"] for row in rows if row["image_source_id"] == "picture6.bmp"]
    purging.purge(home, ("folder:media", "picture6.bmp"), [sha256])
    with pytest.raises(ConfigurationError, match="has a tag v1 that holds something else than release 1 does now"):
        publish(home, releases.get(home, 1), REPO_ID)


def test_a_disk_without_room_for_a_file_is_refused(
    editions: Editions, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(ConfigurationError, match=r"bytes needed to write data/train-0000\d-of-00004.parquet .*1 free"):
        publish(editions.home, editions.opened, REPO_ID)
    assert list(repo.tags) == ["v1"]
