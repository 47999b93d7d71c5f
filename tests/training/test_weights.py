"""Weights in folders and on the Hub, their digests and the seeds of random ones."""

from pathlib import Path

import pytest
import torch
from torch import nn

from curation.errors import TransientError
from rules.errors import ConfigurationError
from tests.hub_site import Hub
from training.weights import folder_of, seeded, weights_sha256


def folder(weights: str, revision: str | None = None) -> Path:
    return folder_of(weights, revision, files=("unet/*.bin",), setting="base.weights")


def test_a_folder_that_is_here_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert folder("owner/name") == Path("owner/name")
    assert folder(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("weights", ["./not/here", "nowhere", "a/b/c", "/not/here", "~/not-here"])
def test_a_folder_that_is_not_here_is_refused(weights: str) -> None:
    with pytest.raises(ConfigurationError, match=f"base.weights: {weights}: expected a folder that is here"):
        folder(weights)


def test_a_model_of_the_hub_is_fetched_once_and_only_what_is_needed(hub: Hub) -> None:
    repo_id = hub.new_id()
    hub.create(repo_id, "model").add_commit({"unet/a.bin": b"needed", "unet/b.txt": b"not needed"})
    found = folder(repo_id)
    assert [path.name for path in (found / "unet").iterdir()] == ["a.bin"]
    with hub.watch(repo_id) as traffic:
        assert folder(repo_id) == found
    assert not [request for request in traffic.requests if "/resolve/" in request.path]


def test_a_pinned_commit_stays_what_it_was(hub: Hub) -> None:
    repo_id = hub.new_id()
    first = hub.create(repo_id, "model").add_commit({"unet/a.bin": b"first"})
    hub.repo(repo_id, "model").add_commit({"unet/a.bin": b"second"})
    assert (folder(repo_id, first) / "unet" / "a.bin").read_bytes() == b"first"
    assert (folder(repo_id) / "unet" / "a.bin").read_bytes() == b"second"


def test_a_model_that_was_removed_is_read_as_long_as_it_is_here(hub: Hub) -> None:
    repo_id = hub.new_id()
    hub.create(repo_id, "model").add_commit({"unet/a.bin": b"needed"})
    found = folder(repo_id)
    hub.fail("*", repo_id, 404, times=99, headers={"X-Error-Code": "RepoNotFound"})
    assert folder(repo_id) == found


@pytest.mark.parametrize(
    ("status", "code", "told", "kind"),
    [
        (401, "RepoNotFound", "no such model on the Hub: it was removed or renamed", ConfigurationError),
        (403, "GatedRepo", "accept conditions: log in at https://huggingface.co/ida/", ConfigurationError),
        (404, "RevisionNotFound", "it has no commit, tag or branch 'v9'", ConfigurationError),
        (503, "", "the Hub .*cannot be reached", TransientError),
        (None, "", "the Hub .*cannot be reached", TransientError),
    ],
)
def test_what_the_hub_refuses_is_told_with_what_to_do(
    hub: Hub, status: int | None, code: str, told: str, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.user("ida").token)
    repo_id = hub.new_id()
    hub.fail("*", repo_id, status, times=99, headers={"X-Error-Code": code} if code else {})
    with pytest.raises(
        kind, match=f"base.weights: {repo_id}: .*{told}.*: --set base.weights=FOLDER, .*--base FOLDER"
    ) as error:
        folder(repo_id, "v9")
    assert hub.user("ida").token not in str(error.value)


def test_a_seed_decides_what_is_drawn_and_leaves_no_trace() -> None:
    drawn = []
    for before in (1, 2):
        torch.manual_seed(before)
        state = torch.get_rng_state()
        with seeded(7, "part"):
            drawn.append(nn.Linear(3, 2).weight)
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(*drawn)
    with seeded(7, "other part"):
        assert not torch.equal(nn.Linear(3, 2).weight, drawn[0])


def test_a_failure_restores_the_generator_too() -> None:
    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), seeded(7):
        torch.randn(int(1 / 0))
    assert torch.equal(torch.get_rng_state(), state)


class Network(nn.Module):
    def __init__(self, weight: torch.Tensor, buffer: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.register_buffer("scalar", torch.tensor(buffer))


SAME = Network(torch.tensor([[1.0, 2.0]]))


@pytest.mark.parametrize(
    "other",
    [
        Network(torch.tensor([[1.0, 2.5]])),
        Network(torch.tensor([[1.0], [2.0]])),
        Network(torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16)),
        Network(torch.tensor([[1.0, 2.0]]), buffer=1.0),
        nn.Sequential(SAME),
    ],
    ids=["value", "shape", "dtype", "buffer", "name"],
)
def test_the_digest_tells_networks_apart(other: nn.Module) -> None:
    assert weights_sha256(SAME) == weights_sha256(Network(torch.tensor([[1.0, 2.0]])))
    assert weights_sha256(SAME) != weights_sha256(other)


def test_the_digest_does_not_depend_on_how_weights_lie_in_memory() -> None:
    transposed = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).T
    assert weights_sha256(Network(transposed)) == weights_sha256(Network(transposed.contiguous()))
