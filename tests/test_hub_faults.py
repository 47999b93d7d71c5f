"""The Hub on loopback when it refuses, breaks off or hangs, as the clients see it; and who may do what there."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from tests.hub.repos import Repo
from tests.hub_site import Hub
from tests.hubs import add, commit, parquet

ENDPOINT = re.compile(r"HF_ENDPOINT=(\S+) .*\n.*HF_TOKEN=(\S+)")


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(token=hub.user("ida").token)


@pytest.fixture
def repo(hub: Hub) -> Repo:
    return hub.create(hub.new_id())


@pytest.mark.parametrize("status", [401, 403, 409, 412, 413, 422, 429, 500, 503])
def test_a_refusal_is_seen_once_and_nothing_is_done(hub: Hub, api: HfApi, repo: Repo, status: int) -> None:
    head = repo.head
    fault = hub.fail("POST", f"{repo.id}/commit/main", status, headers={"Retry-After": "7"})
    with pytest.raises(HfHubHTTPError) as refused:
        commit(api, repo, add("a.txt", b"1"))
    assert refused.value.response.status_code == status
    assert refused.value.response.headers["Retry-After"] == "7"
    assert (repo.head, fault.hits) == (head, 1)
    assert commit(api, repo, add("a.txt", b"1")) == repo.head != head


def test_an_answer_is_lost_though_it_was_done(hub: Hub, api: HfApi, repo: Repo) -> None:
    hub.fail("POST", f"{repo.id}/commit/main", done=True)
    with pytest.raises(httpx2.RemoteProtocolError):
        commit(api, repo, add("a.txt", b"1"))
    assert repo.read("a.txt") == b"1"
    hub.fail("POST", f"{repo.id}/tag/main", 500, done=True)
    with pytest.raises(HfHubHTTPError, match="500"):
        api.create_tag(repo.id, tag="v1", repo_type="dataset")
    assert repo.tags == {"v1": repo.head}


def test_a_connection_breaks_before_anything_is_done(hub: Hub, api: HfApi, repo: Repo) -> None:
    hub.fail("POST", f"{repo.id}/commit/main", skip=1)
    head = commit(api, repo, add("a.txt", b"1"))
    with pytest.raises(httpx2.TransportError):
        commit(api, repo, add("a.txt", b"2"))
    assert repo.head == head


def test_an_upload_and_a_download_break_off_and_go_on(hub: Hub, api: HfApi, repo: Repo, tmp_path: Path) -> None:
    content = os.urandom(12 << 20)  # a client writes down what it was sent in pieces of 10 MiB
    hub.fail("PUT", f"^/lfs/dataset/{repo.id}/", after_bytes=1 << 20)
    hub.fail("GET", "^/cdn/", after_bytes=11 << 20)
    with hub.watch(repo.id) as traffic:
        commit(api, repo, add("x.bin", content))
        path = api.hf_hub_download(repo.id, "x.bin", repo_type="dataset", local_dir=tmp_path)
    assert Path(path).read_bytes() == content == repo.read("x.bin")
    assert [(each.status, each.received_bytes) for each in traffic.of("PUT")] == [(None, 1 << 20), (200, 12 << 20)]
    assert [each.sent_bytes for each in traffic.of("GET", "^/cdn/")] == [11 << 20, 2 << 20]


def test_somebody_commits_in_between(hub: Hub, api: HfApi, repo: Repo) -> None:
    hub.at("POST", f"{repo.id}/commit/main", lambda request: repo.add_commit({"theirs.txt": b"1"}))
    with pytest.raises(HfHubHTTPError, match="A commit has happened since"):
        commit(api, repo, add("ours.txt", b"2"), parent_commit=repo.head)
    assert set(repo.hashes()) == {"theirs.txt"}


def test_a_request_hangs_until_it_is_let_go(hub: Hub, api: HfApi, repo: Repo) -> None:
    with ThreadPoolExecutor() as pool:
        with hub.hold("POST", f"{repo.id}/commit/main") as held:
            answer = pool.submit(commit, api, repo, add("a.txt", b"1"))
            held.arrived.wait()
            assert "a.txt" not in repo.hashes()
        assert answer.result() == repo.head


def test_a_content_that_is_not_the_one_announced_is_refused(hub: Hub, api: HfApi, repo: Repo) -> None:
    asked = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": "0" * 64, "size": 1}]}
    token = {"Authorization": f"Bearer {api.token}"}
    batch = httpx2.post(f"{hub.url}/datasets/{repo.id}.git/info/lfs/objects/batch", json=asked, headers=token).json()
    href = batch["objects"][0]["actions"]["upload"]["href"]
    assert httpx2.put(href, content=b"1").status_code == 400
    assert httpx2.put(href.partition("?")[0], content=b"1").status_code == 403  # not signed
    lines = [
        b'{"key": "header", "value": {"summary": "a change"}}',
        b'{"key": "lfsFile", "value": {"path": "x.bin", "algo": "sha256", "oid": "%s", "size": 1}}' % (b"0" * 64),
    ]
    url = f"{hub.url}/api/datasets/{repo.id}/commit/main"
    refused = httpx2.post(url, content=b"\n".join(lines), headers=token)
    assert (refused.status_code, "does not exist" in refused.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("role", "owner", "private", "status", "told"),
    [
        ("read", "ida", False, 403, "you must use a write token"),
        ("write", "otto", False, 403, "create_pr=1"),
        ("write", "otto", True, 404, "Repository Not Found"),
        ("fineGrained", "ida", False, 403, "create_pr=1"),
        (None, "ida", False, 401, "Repository Not Found"),
        (None, "ida", True, 401, "Repository Not Found"),
        ("unknown", "ida", False, 401, "Invalid credentials in Authorization header"),
    ],
)
def test_who_may_not_write(hub: Hub, role: str | None, owner: str, private: bool, status: int, told: str) -> None:
    repo = hub.create(hub.new_id(owner), private=private)
    token = "hf_nobody" if role == "unknown" else role and hub.user("ida", role=role, repos=("ida/other",)).token  # type: ignore[arg-type]
    with pytest.raises(HfHubHTTPError, match=told) as refused:
        commit(HfApi(token=token or False), repo, add("a.txt", b"1"))
    assert refused.value.response.status_code == status


def test_who_may(hub: Hub) -> None:
    of_org = hub.user("otto", orgs=("museum",))
    repo_id = hub.new_id("museum")
    HfApi(token=of_org.token).create_repo(repo_id, repo_type="dataset", private=True)
    one = hub.user("otto", role="fineGrained", orgs=("museum",), repos=(repo_id,))
    api = HfApi(token=one.token)
    commit(api, hub.repo(repo_id), add("a.txt", b"1"))
    with pytest.raises(HfHubHTTPError, match="You don't have the rights to create a dataset under the namespace"):
        api.create_repo(hub.new_id("museum"), repo_type="dataset")
    said = api.whoami()
    assert (said["name"], [org["name"] for org in said["orgs"]]) == ("otto", ["museum"])
    assert said["auth"]["accessToken"]["role"] == "fineGrained"
    api.delete_repo(repo_id, repo_type="dataset")
    with pytest.raises(RepositoryNotFoundError):
        api.dataset_info(repo_id)


def test_no_token_is_kept_in_the_record(hub: Hub, api: HfApi, repo: Repo) -> None:
    with hub.watch() as traffic:
        commit(api, repo, add("x.parquet", parquet(3)))
        api.hf_hub_download(repo.id, "x.parquet", repo_type="dataset")
    assert {each.user for each in traffic.requests if each.has_token} == {"ida"}
    assert {each.path.split("/")[1] for each in traffic.requests if not each.has_token} == {"lfs", "cdn"}
    assert str(api.token) not in repr(vars(traffic)) + repr(hub.user("ida"))


def test_it_runs_by_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.hub_site", "--folder", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as process:
        try:
            assert process.stdout
            found = ENDPOINT.search(process.stdout.readline() + process.stdout.readline())
            assert found
            api = HfApi(endpoint=found[1], token=found[2])
            api.create_repo("museum/x", repo_type="dataset")
            assert api.dataset_info("museum/x").author == "museum"
        finally:
            process.kill()
