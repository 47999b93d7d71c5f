"""The Hub on loopback, asked by the clients that others use: huggingface_hub and datasets as they are."""

import hashlib
from pathlib import Path

import httpx2
import pytest
from datasets import load_dataset
from huggingface_hub import CommitOperationCopy, CommitOperationDelete, HfApi, HfFileSystem, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from tests.hub.repos import Repo
from tests.hub_site import Hub
from tests.hubs import CARD, add, commit, parquet


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(token=hub.user("ida").token)


@pytest.fixture
def repo(hub: Hub, api: HfApi) -> Repo:
    repo_id = hub.new_id()
    api.create_repo(repo_id, repo_type="dataset")
    return hub.repo(repo_id)


def test_a_new_repository_holds_what_the_hub_puts_there(api: HfApi, repo: Repo) -> None:
    info = api.dataset_info(repo.id)
    assert [sibling.rfilename for sibling in info.siblings] == [".gitattributes"]
    assert info.sha == repo.head
    assert "*.parquet filter=lfs" in repo.read(".gitattributes").decode()
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo(repo.id, repo_type="dataset")
    assert api.create_repo(repo.id, repo_type="dataset", exist_ok=True).repo_id == repo.id


def test_a_commit_adds_copies_and_deletes(hub: Hub, api: HfApi, repo: Repo) -> None:
    shard = parquet(3)
    first = commit(api, repo, add("data/a.parquet", shard), add("README.md", CARD), add("old/x.txt", b"x"))
    with hub.watch(repo.id) as traffic:
        copies = [CommitOperationCopy("data/a.parquet", "data/b.parquet"), CommitOperationCopy("README.md", "COPY.md")]
        second = commit(api, repo, *copies, CommitOperationDelete("data/a.parquet"), CommitOperationDelete("old/"))
    assert not traffic.uploads
    assert repo.hashes() == {
        "COPY.md": hashlib.sha256(CARD).hexdigest(),
        "README.md": hashlib.sha256(CARD).hexdigest(),
        "data/b.parquet": hashlib.sha256(shard).hexdigest(),
    }
    assert repo.files(first)["data/a.parquet"].is_lfs
    assert [each.id for each in repo.commits()][:2] == [second, first]


def test_what_is_there_is_not_sent_again(hub: Hub, api: HfApi, repo: Repo) -> None:
    head = commit(api, repo, add("a.parquet", parquet(3)))
    with hub.watch(repo.id) as traffic:
        assert commit(api, repo, add("a.parquet", parquet(3))) == head
        commit(api, repo, add("b.parquet", parquet(3)))
    assert traffic.received["lfs"] == 0
    other = hub.create(hub.new_id())  # no content is shared between repositories
    with hub.watch(other.id) as traffic:
        commit(api, other, add("a.parquet", parquet(3)))
    assert traffic.received["lfs"] == len(parquet(3))


def test_a_stale_parent_is_refused_and_nothing_is_changed(api: HfApi, repo: Repo) -> None:
    head = repo.head
    theirs = repo.add_commit({"theirs.txt": b"1"})
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as refused:
        commit(api, repo, add("ours.txt", b"2"), parent_commit=head)
    assert refused.value.response.status_code == 412
    assert repo.head == theirs
    commit(api, repo, add("ours.txt", b"2"), parent_commit=theirs)
    assert set(repo.hashes()) == {"theirs.txt", "ours.txt"}


def test_a_commit_with_one_wrong_operation_does_nothing(api: HfApi, repo: Repo) -> None:
    head = repo.head
    with pytest.raises(EntryNotFoundError, match="A file with this name doesn't exist"):
        commit(api, repo, add("a.txt", b"1"), CommitOperationDelete("no.txt"))
    assert repo.head == head


def test_branches_and_tags_stay_where_they_are(api: HfApi, repo: Repo) -> None:
    about = {"repo_id": repo.id, "repo_type": "dataset"}
    first = commit(api, repo, add("a.txt", b"1"))
    api.create_branch(**about, branch="try/1")
    api.create_tag(**about, tag="v1", tag_message="the first")
    for again in (lambda: api.create_branch(**about, branch="try/1"), lambda: api.create_tag(**about, tag="v1")):
        with pytest.raises(HfHubHTTPError) as refused:
            again()
        assert refused.value.response.status_code == 409
    second = commit(api, repo, add("a.txt", b"2"), revision="try/1")
    refs = api.list_repo_refs(**about)
    assert {ref.name: ref.target_commit for ref in refs.branches} == {"main": first, "try/1": second}
    assert {ref.name: ref.target_commit for ref in refs.tags} == {"v1": first} == repo.tags
    assert [each.commit_id for each in api.list_repo_commits(**about, revision="try/1")][:2] == [second, first]
    api.delete_branch(**about, branch="try/1")
    api.delete_tag(**about, tag="v1")
    assert (repo.tags, repo.branches) == ({}, {"main": first})
    with pytest.raises(RevisionNotFoundError):
        api.dataset_info(repo.id, revision="v1")
    with pytest.raises(RevisionNotFoundError):
        commit(api, repo, add("a.txt", b"3"), revision="try/1")
    assert api.dataset_info(repo.id, revision=second).sha == second  # as git does: nothing is lost at once


def test_long_lists_come_in_pages(hub: Hub, api: HfApi, repo: Repo) -> None:
    paths = [f"{folder}/{number:02}.txt" for folder in ("a", "b/c") for number in range(30)]
    repo.add_commit({path: path.encode() for path in paths})
    with hub.watch(repo.id) as traffic:
        listed = list(api.list_repo_tree(repo.id, recursive=True, repo_type="dataset", expand=True))
    assert len(traffic.of("GET", "/tree/")) == 4
    assert {each.path for each in listed} == {*paths, ".gitattributes", "a", "b", "b/c"}
    assert {each.last_commit.oid for each in listed if each.path != ".gitattributes"} == {repo.head}
    files = HfFileSystem(token=api.token, skip_instance_cache=True).find(f"datasets/{repo.id}")
    assert files == [f"datasets/{repo.id}/{path}" for path in [".gitattributes", *paths]]
    below = api.list_repo_tree(repo.id, "b", repo_type="dataset")
    assert [each.path for each in below] == ["b/c"]
    found = api.get_paths_info(repo.id, ["a/00.txt", "a", "no"], repo_type="dataset")
    assert [each.path for each in found] == ["a/00.txt", "a"]


def test_a_file_is_given_in_ranges_by_a_host_that_sees_no_token(hub: Hub, api: HfApi, repo: Repo) -> None:
    content = bytes(range(256)) * 40
    repo.add_commit({"x.bin": content, "x.txt": b"0123456789"})
    files = HfFileSystem(token=api.token, skip_instance_cache=True)
    with hub.watch(repo.id) as traffic, files.open(f"datasets/{repo.id}/x.bin", block_size=100) as file:
        file.seek(5000)
        assert file.read(10) == content[5000:5010]
    assert traffic.sent["downloads"] < 1000
    assert {each.has_token for each in traffic.of("GET", "^/cdn/")} == {False}
    get = httpx2.Client(follow_redirects=True).get
    for name, whole in (("x.bin", content), ("x.txt", b"0123456789")):
        url = f"{hub.url}/datasets/{repo.id}/resolve/main/{name}"
        assert get(url, headers={"Range": "bytes=-3"}).content == whole[-3:]
        part = get(url, headers={"Range": "bytes=7-"})
        assert (part.status_code, part.content) == (206, whole[7:])
        beyond = get(url, headers={"Range": f"bytes={len(whole)}-"})
        assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(whole)}")
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download(repo.id, "no.bin", repo_type="dataset")


def test_a_very_large_file_comes_in_parts(
    hub: Hub, api: HfApi, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub.limits, "multipart_over_bytes", 1000)
    monkeypatch.setattr(hub.limits, "part_bytes", 600)
    content = bytes(range(250)) * 10
    (tmp_path / "x.bin").write_bytes(content)
    with hub.watch(repo.id) as traffic:
        commit(api, repo, add("x.bin", tmp_path / "x.bin"), add("y.bin", content[:999]))
    assert repo.read("x.bin") == content
    assert sorted(each.received_bytes for each in traffic.uploads) == [100, 600, 600, 600, 600, 999]


def test_how_a_file_is_stored_depends_on_it_and_on_the_repository(api: HfApi, repo: Repo) -> None:
    repo.add_commit({".gitignore": b"*.tmp\nbuild/\n!keep.tmp\n"})
    files = {"a.txt": "é".encode() * 400, "b.dat": b"\xff\0\xff", "c.tmp": b"1", "keep.tmp": b"1", "build/d.txt": b"1"}
    commit(api, repo, *(add(path, content) for path, content in files.items()))
    assert {path: file.is_lfs for path, file in repo.files().items() if not path.startswith(".")} == {
        "a.txt": False,
        "b.dat": True,
        "keep.tmp": False,
    }
    assert repo.read(".gitattributes").decode().endswith("b.dat filter=lfs diff=lfs merge=lfs -text\n")


@pytest.mark.parametrize(
    ("header", "told"),
    [("license: none of them", "license"), ("configs: 3", "configs"), ("a: [", "YAML"), ("pretty_name: 1", "pretty")],
)
def test_a_card_is_looked_at(api: HfApi, repo: Repo, header: str, told: str) -> None:
    with pytest.raises(ValueError, match=f"Invalid metadata in README.md.*\n.*{told}"):
        commit(api, repo, add("README.md", f"---\n{header}\n---\n".encode()))
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        commit(api, repo, add("README.md", b"# No header"))


@pytest.fixture
def model(hub: Hub, api: HfApi) -> Repo:
    repo_id = hub.new_id()
    api.create_repo(repo_id)  # a model is what the Hub makes where no kind is named
    return hub.repo(repo_id, "model")


def test_a_model_is_another_repository_than_the_data_set_of_its_name(hub: Hub, api: HfApi, model: Repo) -> None:
    api.create_repo(model.id, repo_type="dataset")
    api.create_commit(model.id, [add("model.safetensors", b"\0weights")], commit_message="a model")
    assert sorted(model.hashes()) == ["model.safetensors"]
    assert model.files()["model.safetensors"].is_lfs
    assert hub.repo(model.id).hashes() == {}
    api.delete_repo(model.id)
    assert hub.has(model.id, "dataset")
    assert not hub.has(model.id, "model")


def test_a_model_is_downloaded_as_it_was_sent(api: HfApi, model: Repo, tmp_path: Path) -> None:
    files = {"model.safetensors": b"\0weights", "config/recipe.yaml": b"epochs: 3\n"}
    api.create_commit(model.id, [add(path, content) for path, content in files.items()], commit_message="a model")
    api.create_tag(model.id, tag="v1")
    info = api.model_info(model.id, revision="v1")
    assert info.sha == model.head
    snapshot_download(model.id, revision="v1", local_dir=tmp_path, token=api.token)
    assert {path: (tmp_path / path).read_bytes() for path in files} == files


def test_a_private_model_is_for_its_owner(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    repo_id = hub.new_id()
    api.create_repo(repo_id, private=True)
    assert api.model_info(repo_id).private
    with pytest.raises(RepositoryNotFoundError):
        HfApi(token=hub.user("eve").token).model_info(repo_id)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("license: none of them", "license"),
        ("base_model: 3", "base_model"),
        ("datasets: [ida/x@v3]", "datasets"),
        ("library_name: [a]", "library_name"),
        ("base_model_relation: twin", "base_model_relation"),
        ("a: [", "YAML"),
    ],
)
def test_the_card_of_a_model_is_looked_at(api: HfApi, model: Repo, header: str, told: str) -> None:
    with pytest.raises(ValueError, match=f"Invalid metadata in README.md.*\n.*{told}"):
        api.create_commit(model.id, [add("README.md", f"---\n{header}\n---\n".encode())], commit_message="a card")
    fine = b"---\nlicense: creativeml-openrail-m\nbase_model: a/b\ndatasets: [c/d]\nbase_model_relation: adapter\n---\n"
    api.create_commit(model.id, [add("README.md", fine)], commit_message="a card")
    assert api.model_info(model.id).card_data.base_model == "a/b"


def test_datasets_loads_what_was_committed(hub: Hub, api: HfApi, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", api.token)
    shards = {f"data/{number}.parquet": parquet(25, 25 * number) for number in range(3)}
    commit(api, repo, add("README.md", CARD), *(add(path, content) for path, content in shards.items()))
    api.create_tag(repo.id, tag="v1", repo_type="dataset")
    commit(api, repo, CommitOperationDelete("data/2.parquet"))
    assert load_dataset(repo.id, split="train").num_rows == 50
    rows = load_dataset(repo.id, split="train", revision="v1")
    assert rows["id"][:] == [str(row) for row in range(75)]
    streamed = load_dataset(repo.id, split="train", revision="v1", streaming=True, columns=["label"])
    assert list(streamed) == [{"label": row % 3} for row in range(75)]
    folder = Path(snapshot_download(repo.id, repo_type="dataset", revision="v1"))
    assert {path: (folder / path).read_bytes() for path in shards} == shards
    with pytest.raises(RepositoryNotFoundError):
        api.dataset_info(hub.new_id())


def test_the_same_changes_give_the_same_commits(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        with Hub(tmp_path / name) as hub:
            repo = hub.create("ida/x")
            made.append([repo.add_commit({"x.txt": b"1", "x.bin": b"\0"}), repo.add_commit({"x.txt": None})])
    assert made[0] == made[1]
