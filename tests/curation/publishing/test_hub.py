"""A release on the Hub: whole, small to update, and nothing of others lost."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from datasets import Audio, Image, load_dataset

from curation.publishing import hub as hubs
from curation.publishing import lawful, manifest
from curation.releases import Release
from rules.errors import ConfigurationError
from tests.curation.publishing.conftest import Editions
from tests.curation.publishing.to_hub import dry_run, pickled, publish
from tests.hub.people import User
from tests.hub.repos import Repo
from tests.hub_site import Hub

PAGES = {"README.md", "NOTICE", "croissant.json", "rule_set.json", "artune.json"}
OPENED = "data/train-00001-of-00004.parquet"  # the file that the second release has and the first has not


def rows_of(release: Release, config: str) -> pa.Table:
    paths = sorted((release.folder / config).glob("*.parquet"))
    return pa.concat_tables([pq.read_table(path) for path in paths]).sort_by("pair_id").replace_schema_metadata()


def test_a_first_publication_is_loaded_by_its_version(editions: Editions, hub: Hub, ida: User, tmp_path: Path) -> None:
    repo_id = hub.new_id()
    outcome = publish(editions.home, editions.first, repo_id)
    release, chosen = editions.first, lawful.choose(editions.home, editions.first)
    assert (outcome.version, outcome.is_new, outcome.deleted, outcome.left_alone) == ("v1", True, [], [])
    assert (outcome.embedded, outcome.referenced, outcome.excluded) == (6, 2, 1)
    assert hub.repo(repo_id).tags == {"v1": outcome.commit}
    assert hub.repo(repo_id).branches == {"main": outcome.commit}

    kept = {"default": chosen.embedded, "metadata": pa.concat_arrays([chosen.embedded, chosen.referenced])}
    for config, folder in (("default", "data"), ("metadata", "metadata"), ("references", "references")):
        loaded = load_dataset(repo_id, config, revision="v1", cache_dir=str(tmp_path))
        if config == "default":
            loaded = loaded.cast_column("image", Image(decode=False)).cast_column("audio", Audio(decode=False))
        got = pa.concat_tables([loaded[split].data.table for split in loaded]).replace_schema_metadata()
        local = rows_of(release, folder)
        wanted = local.filter(pc.is_in(local["pair_id"], value_set=kept.get(config, kept["metadata"])))
        keys = [("pair_id", "ascending"), *([("side", "ascending")] if config == "references" else [])]
        assert got.sort_by(keys).to_pylist() == wanted.sort_by(keys).to_pylist()
        assert len(got) > 0


def test_an_update_sends_what_changed_and_no_more(editions: Editions, hub: Hub, repo: Repo) -> None:
    before = repo.hashes("v1")
    with hub.watch(repo.id) as traffic:
        outcome = publish(editions.home, editions.opened, repo.id)
    assert set(outcome.sent_files) <= PAGES | {OPENED}
    assert [request.path.rpartition("/")[2] for request in traffic.uploads] == [repo.hashes("v2")[OPENED]]
    assert outcome.sent_bytes == sum(repo.files()[name].size_bytes for name in outcome.sent_files)
    assert {name for name, sha256 in repo.hashes().items() if before.get(name) != sha256} == set(outcome.sent_files)
    assert repo.hashes("v1") == before


def test_files_of_an_earlier_version_go_and_stay_in_that(editions: Editions, repo: Repo) -> None:
    outcome = publish(editions.home, editions.dropped, repo.id)
    of_test = [f"{folder}/test-00000-of-00001.parquet" for folder in ("data", "metadata", "references")]
    assert outcome.deleted == of_test
    assert set(repo.hashes("v1")) - set(repo.hashes("main")) == set(of_test)
    assert "test" not in load_dataset(repo.id, revision="v3")


def test_main_gets_a_version_in_one_commit(editions: Editions, repo: Repo) -> None:
    before = repo.head
    publish(editions.home, editions.dropped, repo.id)
    after = repo.commits("main")[0]
    assert after.parent.id == before
    assert after.title == "Publish v3 of tiny"
    assert repo.branches == {"main": after.id}


@pytest.mark.parametrize(("limit", "most", "parts"), [("MAX_COMMIT_FILES", 4, 3), ("MAX_COMMIT_BYTES", 1, 11)])
def test_many_files_are_committed_to_the_branch_in_several_parts(
    editions: Editions, hub: Hub, ida: User, repo: Repo, monkeypatch: pytest.MonkeyPatch, limit, most, parts
) -> None:
    monkeypatch.setattr(hubs, limit, most)
    stages = []

    def each(work, batches, stage):
        stages.append(stage)
        return pickled(work, batches, stage)

    repo_id = hub.new_id()
    with hub.watch(repo_id) as traffic:
        hubs.publish(editions.home, editions.first, repo_id, each, private=False)
    sent = [f"send {part} of {parts}" for part in range(1, parts + 1)]
    assert stages == ["look", "make the repository", "look", *sent, "publish"]
    assert len(traffic.of("POST", "/commit/artune-v1-")) == parts + 1
    pages = {"README.md", "artune.json", "croissant.json"}  # they name the repository
    same = {name: sha256 for name, sha256 in repo.hashes("v1").items() if name not in pages}
    assert {name: sha256 for name, sha256 in hub.repo(repo_id).hashes("v1").items() if name not in pages} == same


def test_the_same_release_again_is_not_published_and_not_even_read(
    editions: Editions, hub: Hub, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "send", None)
    monkeypatch.setattr(hubs, "finish", None)
    with hub.watch(repo.id) as traffic:
        outcome = publish(editions.home, editions.first, repo.id)
    assert (outcome.is_new, outcome.sent_files, outcome.sent_bytes) == (False, (), 0)
    assert outcome.commit == repo.tags["v1"]
    assert outcome.manifest == manifest.read(repo.read("artune.json", "v1"), "here")
    assert {request.method for request in traffic.requests} == {"GET"}
    assert hubs.check(editions.home, editions.first, repo.id) == outcome


def test_a_dry_run_tells_what_publishing_then_does(editions: Editions, hub: Hub, repo: Repo) -> None:
    with hub.watch() as traffic:
        told = dry_run(editions.home, editions.dropped, repo.id)
    assert {request.method for request in traffic.requests} == {"GET"}
    done = publish(editions.home, editions.dropped, repo.id)
    assert told == replace(done, commit=None)


def test_a_dry_run_needs_no_repository_and_makes_none(editions: Editions, hub: Hub, ida: User) -> None:
    repo_id = hub.new_id()
    told = dry_run(editions.home, editions.first, repo_id)
    assert not hub.has(repo_id)
    assert sorted(told.sent_files) == sorted(set(told.manifest.files) | {"README.md", "artune.json"})


def test_a_tag_that_holds_something_else_is_never_moved(editions: Editions, repo: Repo) -> None:
    repo.tag("v2", "main")
    with pytest.raises(
        ConfigurationError, match=r"has a tag v2 .* `hf repos tag delete ida/tiny v2 --repo-type dataset`"
    ):
        publish(editions.home, editions.opened, repo.id)
    with pytest.raises(ConfigurationError, match="has a tag v2"):
        dry_run(editions.home, editions.opened, repo.id)
    assert repo.tags["v2"] == repo.tags["v1"] == repo.head


def test_a_version_whose_files_somebody_replaced_is_refused(editions: Editions, repo: Repo) -> None:
    repo.tree.tags.pop("v1")
    repo.add_commit({"rule_set.json": repo.read("rule_set.json")[::-1]})
    repo.tag("v1", "main")
    with pytest.raises(ConfigurationError, match="a version never changes"):
        publish(editions.home, editions.first, repo.id)


def test_what_somebody_changed_on_main_is_mended_by_the_next_version(editions: Editions, repo: Repo) -> None:
    gone, changed = "data/train-00003-of-00004.parquet", "metadata/train-00000-of-00001.parquet"
    repo.add_commit({gone: None, changed: b"not Parquet", "NOTICE": b"mine"})
    outcome = publish(editions.home, editions.opened, repo.id)
    assert outcome.replaced == ["NOTICE", changed]
    assert {gone, changed, OPENED} <= set(outcome.sent_files)
    assert repo.hashes()[changed] == hashlib.sha256(repo.read(changed, "v1")).hexdigest()
    assert hubs.check(editions.home, editions.opened, repo.id) is not None


def test_a_card_that_somebody_edited_keeps_the_edit(editions: Editions, repo: Repo) -> None:
    card = repo.read("README.md").decode()
    card = card.replace("<!-- artune:begin contact -->", "").replace("<!-- artune:end contact -->", "")
    repo.add_commit({"README.md": f"{card}\n## From a reader\n\nHear pair 7.\n".encode()})
    outcome = publish(editions.home, editions.opened, repo.id)
    assert outcome.hand_edited
    assert list(outcome.tables_left_out) == ["contact"]
    assert "Hear pair 7." in repo.read("README.md", "v2").decode()
    assert repo.read("README.md", "v2") != repo.read("README.md", "v1")


def test_files_of_others_stay_and_are_told(editions: Editions, repo: Repo) -> None:
    repo.add_commit({"notebooks/a.ipynb": b"{}", "data/README.txt": b"hello", ".gitignore": b"*.tmp\n"})
    outcome = publish(editions.home, editions.dropped, repo.id)
    assert outcome.left_alone == [".gitignore", "data/README.txt", "notebooks/a.ipynb"]
    assert repo.read("data/README.txt", "v3") == b"hello"


def test_private_holds_for_a_new_repository_and_is_refused_for_a_public_one(
    editions: Editions, hub: Hub, repo: Repo
) -> None:
    repo_id = hub.new_id()
    publish(editions.home, editions.first, repo_id, private=True)
    assert hub.repo(repo_id).private
    with pytest.raises(ConfigurationError, match=r"ida/tiny is public"):
        publish(editions.home, editions.opened, repo.id, private=True)
    assert list(repo.tags) == ["v1"]
