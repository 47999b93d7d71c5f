"""A model on the Hub: one commit, nothing of this machine in it, and it is read back as it was."""

import getpass
import json
import logging
import re
import shutil
import socket
from pathlib import Path

import pytest
import torch

from curation.errors import TransientError
from curation.publishing.hub_access import check_name, find
from curation.publishing.hub_errors import asking
from rules.errors import ConfigurationError
from tests.hub.people import User
from tests.hub.repos import Repo
from tests.hub_site import Hub
from tests.training.made_runs import built, checkpoint, epoch_row, finished, made, revision, tiny
from training import recipe
from training.runs import publishing
from training.runs.pretrained import load
from training.runs.publishing import publish_model
from training.runs.run import Run, Settings

FILES = [
    *["README.md", "losses.png", "metrics.jsonl", "model.safetensors", "recipe.yaml", "run.json", "samples.png"],
]


@pytest.fixture(autouse=True)
def _no_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.runs.energy._started", lambda _: None)


@pytest.fixture(autouse=True)
def ida(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> User:
    """Let the client be somebody who may write to ida/..."""
    user = hub.user("ida", orgs=("museum",))
    monkeypatch.setenv("HF_TOKEN", user.token)
    return user


@pytest.fixture(scope="module")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("training.runs.energy._started", lambda _: None)
        return finished(tmp_path_factory.mktemp("publishing") / "r")


@pytest.fixture
def run(_finished: Run, tmp_path: Path) -> Run:
    """Give a run that is finished; a copy of its own."""
    shutil.copytree(_finished.folder, tmp_path / "r")
    return Run.open(tmp_path / "r")


@pytest.fixture(scope="module")
def repo(hub: Hub, _finished: Run) -> Repo:
    """Give a repository that holds the run: read it, never write to it."""
    repo_id = hub.new_id()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HF_TOKEN", hub.user("ida", orgs=("museum",)).token)
        publish_model(_finished.folder, repo_id, private=False)
    return hub.repo(repo_id, "model")


def go(run: Run, repo_id: str, *, private: bool = False) -> publishing.Published:
    return publish_model(run.folder, repo_id, private=private)


def refused(run: Run, repo_id: str, words: str, *, private: bool = False) -> None:
    with pytest.raises(ConfigurationError, match=words):
        go(run, repo_id, private=private)


def test_a_new_repository_gets_the_model_in_one_commit(hub: Hub, run: Run) -> None:
    repo_id = hub.new_id()
    done = go(run, repo_id)
    repo = hub.repo(repo_id, "model")
    assert not hub.has(repo_id, "dataset")
    assert not repo.private
    assert sorted(repo.hashes()) == FILES
    assert [commit.title for commit in repo.commits()] == ["Publish tiny of step 8", "initial commit"]
    assert (done.where, done.commit, done.is_new, done.is_finished) == (repo_id, repo.head, True, True)
    assert done.url == f"{hub.url}/{repo_id}"
    assert list(done.files) == FILES
    assert done.sent_bytes == sum(repo.files()[name].size_bytes for name in FILES)
    assert not done.hand_edited
    assert repo.files()["model.safetensors"].is_lfs


def test_the_same_once_more_sends_nothing(hub: Hub, run: Run) -> None:
    repo_id = hub.new_id()
    first = go(run, repo_id)
    with hub.watch(repo_id) as traffic:
        again = go(run, repo_id)
    assert (again.is_new, again.commit, again.files, again.sent_bytes) == (False, first.commit, (), 0)
    assert not traffic.uploads
    assert {request.method for request in traffic.requests} == {"GET"}


def test_a_run_that_went_on_sends_what_is_new_only(hub: Hub, run: Run) -> None:
    repo_id = hub.new_id()
    go(run, repo_id)
    with run.recording() as record:
        model = built(run)
        record.begin(
            step=8,
            epoch=3,
            metrics_bytes=(run.folder / "metrics.jsonl").stat().st_size,
            base_sha256=model.base_sha256,
            parameters=1_000,
            trained_parameters=1,
        )
        record.metric(epoch_row(3))
        for parameter in model.trainable().values():
            torch.nn.init.zeros_(parameter)
        checkpoint(run, record, model, 3)
    done = go(run, repo_id)
    assert list(done.files) == ["README.md", "metrics.jsonl", "model.safetensors", "run.json"]
    assert len(hub.repo(repo_id, "model").commits()) == 3


def test_what_is_published_is_read_back(repo: Repo, run: Run) -> None:
    wave = torch.sin(torch.arange(16_000) / 20)
    expected = load(run.folder).embed([wave])
    for where, revision_ in ((repo.id, None), (f"{repo.id}@{repo.head}", None), (repo.id, repo.head)):
        assert torch.equal(load(where, revision_).embed([wave]), expected)


def test_a_folder_with_the_published_files_is_read_too(repo: Repo, tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes(repo.read(name))
    assert load(tmp_path).recipe == tiny()
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\x01\x02\x03\x04")
    with pytest.raises(ConfigurationError, match="model.safetensors is damaged: it has another SHA-256 than run.json"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("{id}@v9", "has no commit, tag or branch v9 on the Hub"),
        ("ida/none", "the Hub shows no model ida/none, and there is no such folder: expected the folder of a run"),
        ("ida/--", "expected owner/name, each of at most 96 letters"),
    ],
    ids=["revision", "repository", "name"],
)
def test_a_model_that_is_not_there_is_told(repo: Repo, name: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load(name.format(id=repo.id))


def test_one_revision_is_enough(repo: Repo) -> None:
    with pytest.raises(ConfigurationError, match="expected one revision: v1 or v2"):
        load(f"{repo.id}@v1", "v2")


def test_a_repository_without_a_model_is_told(hub: Hub) -> None:
    empty = hub.create(hub.new_id(), "model")
    empty.add_commit({"notes.txt": b"1"})
    with pytest.raises(ConfigurationError, match="there is no model in it"):
        load(empty.id)


def test_a_private_model_is_for_who_may_read_it(hub: Hub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    repo_id = hub.new_id()
    go(run, repo_id, private=True)
    assert hub.repo(repo_id, "model").private
    with monkeypatch.context() as patched:
        patched.setenv("HF_TOKEN", hub.user("eve").token)
        with pytest.raises(ConfigurationError, match="the Hub shows no model .* if it is private, a token that may"):
            load(repo_id)
    assert load(repo_id).recipe == run.recipe


def test_nothing_of_this_machine_is_published(hub: Hub, tmp_path: Path) -> None:
    data = revision(where=f"{tmp_path}/home/releases/3", commit=None, digest=None)
    changes = [
        "seed=3",
        f"encoder.weights={tmp_path}/x",
        f"base . weights={tmp_path}/y",
        f"base={{weights: {tmp_path}}}",
    ]
    run = finished(tmp_path / "r", tiny("seed=3"), data, changes=changes, settings=Settings(cache=tmp_path / "cache"))
    repo_id = hub.new_id()
    go(run, repo_id)
    repo = hub.repo(repo_id, "model")
    told = json.loads(repo.read("run.json"))
    assert told["changes"] == ["seed=3"]
    secrets = [str(tmp_path), str(Path.cwd()), str(Path.home()), socket.gethostname(), f"/{getpass.getuser()}/"]
    for name in FILES:
        content = repo.read(name)
        assert [secret for secret in secrets if len(secret) > 3 and secret.encode() in content] == []
    assert load(repo_id).recipe.seed == 3


def test_weights_of_a_folder_here_keep_their_last_name(tmp_path: Path) -> None:
    (tmp_path / "sd").mkdir()
    chosen = recipe.load("model-1", [f"base.weights={tmp_path}/sd/", f"encoder.weights={tmp_path}/BEATs.pt"])
    public = publishing._public_recipe(chosen)
    assert (public.base.weights, public.encoder.weights) == ("sd", "BEATs.pt")
    kept = publishing._public_recipe(recipe.load("model-1"))
    assert kept.base.weights == "CompVis/stable-diffusion-v1-4"
    assert kept.encoder.weights == "BEATs_iter3_plus_AS2M.pt"


def test_words_of_a_person_on_the_hub_stay(hub: Hub, run: Run) -> None:
    repo_id = hub.new_id()
    go(run, repo_id)
    repo = hub.repo(repo_id, "model")
    card = repo.read("README.md").replace(b"## Limits", b"## Limits\n\nMine.")
    repo.add_commit({"README.md": card.replace(b"| 2 | 0.25 |", b"| 2 | 0.99 |")})
    done = go(run, repo_id)
    assert list(done.files) == ["README.md"]
    assert done.hand_edited
    assert repo.read("README.md") == card


def test_words_of_a_person_in_the_card_of_the_run_are_published(hub: Hub, run: Run) -> None:
    path = run.folder / "README.md"
    path.write_text(path.read_text().replace("Not evaluated yet.", "FID 12").replace("## Limits", "## Limits\n\nMine."))
    repo_id = hub.new_id()
    assert go(run, repo_id).hand_edited
    card = hub.repo(repo_id, "model").read("README.md").decode()
    assert "Mine." in card
    assert "FID 12" in card
    assert f'load("{repo_id}")' in card
    assert not go(run, repo_id).is_new


def test_an_unfinished_run_goes_and_says_so(hub: Hub, tmp_path: Path) -> None:
    run = finished(tmp_path / "r", epochs=1)
    repo_id = hub.new_id()
    assert not go(run, repo_id).is_finished
    assert b"**Unfinished.** 1 of 2 epochs were done" in hub.repo(repo_id, "model").read("README.md")


def test_a_run_without_a_checkpoint_is_refused(hub: Hub, tmp_path: Path) -> None:
    repo_id = hub.new_id()
    refused(made(tmp_path / "r"), repo_id, r"has no checkpoint yet: expected one; `artune train --resume")
    assert not hub.has(repo_id, "model")


def test_a_folder_that_is_no_run_is_refused(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected the folder of a run"):
        publish_model(tmp_path, hub.new_id(), private=False)


def test_a_wrong_name_is_refused_with_what_it_was_meant_to_be(run: Run) -> None:
    refused(run, "ida/my model", r"did you mean ida/my-model\?")
    check_name("ida/my-model")


def test_who_may_not_write_is_refused_before_anything_is_sent(
    hub: Hub, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(run, "ide/model", r"expected as the owner ida or museum; did you mean ida/model\?")
    monkeypatch.setenv("HF_TOKEN", hub.user("ida", role="read").token)
    with hub.watch() as traffic:
        refused(run, hub.new_id(), "the token of ida may only read")
    assert not traffic.uploads
    monkeypatch.delenv("HF_TOKEN")
    refused(run, hub.new_id(), "there is no token for the Hub")


@pytest.mark.parametrize(("kind", "word"), [("dataset", "data set"), ("space", "space")], ids=["dataset", "space"])
def test_the_name_of_something_else_is_refused(hub: Hub, run: Run, kind: str, word: str) -> None:
    other = hub.create(hub.new_id(), kind)  # type: ignore[arg-type]
    refused(run, other.id, f"is a {word} on the Hub: expected another name; or, to have a model of that name")
    assert not hub.has(other.id, "model")


def test_a_data_set_is_still_refused_under_the_name_of_a_model(hub: Hub) -> None:
    other = hub.create(hub.new_id(), "model")
    with pytest.raises(ConfigurationError, match=r"is a model on the Hub: .* to have a data set of that name"):
        _find(other.id)


def _find(repo_id: str) -> bool | None:
    with asking(repo_id, "look") as api:
        return find(api, repo_id)


def test_files_that_artune_did_not_write_are_not_replaced(hub: Hub, run: Run) -> None:
    other = hub.create(hub.new_id(), "model")
    other.add_commit({"model.safetensors": b"\0theirs"})
    refused(run, other.id, "holds model.safetensors, which artune did not write")
    assert other.read("model.safetensors") == b"\0theirs"


def test_files_of_other_names_stay(hub: Hub, run: Run) -> None:
    other = hub.create(hub.new_id(), "model")
    other.add_commit({"README.md": b"---\nlicense: mit\n---\n", "notes.txt": b"mine"})
    assert go(run, other.id).hand_edited
    assert other.read("notes.txt") == b"mine"
    assert b"license: mit" in other.read("README.md")


def test_a_card_that_artune_did_not_write_is_not_replaced(hub: Hub, run: Run) -> None:
    other = hub.create(hub.new_id(), "model")
    other.add_commit({"README.md": b"# Mine\n"})
    refused(run, other.id, "README.md: expected a card of artune, or none")


def test_a_public_repository_does_not_become_private(hub: Hub, run: Run) -> None:
    other = hub.create(hub.new_id(), "model")
    refused(run, other.id, "is public: expected it to be private", private=True)


def test_a_gitignore_that_names_a_file_is_told(hub: Hub, run: Run) -> None:
    other = hub.create(hub.new_id(), "model")
    other.add_commit({".gitignore": b"*.jsonl\n"})
    refused(run, other.id, "the Hub leaves out metrics.jsonl: expected no .gitignore there")


def test_who_was_slower_overwrites_nothing(hub: Hub, run: Run) -> None:
    other = hub.create(hub.new_id(), "model")
    hub.at("POST", f"/api/models/{other.id}/commit/", lambda _: other.add_commit({"notes.txt": b"theirs"}) and None)
    refused(run, other.id, "somebody else changed it meanwhile")
    assert sorted(other.hashes()) == ["notes.txt"]
    assert go(run, other.id).is_new


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/lfs/model/{id}/"), ("POST", "/api/models/{id}/preupload/"), ("POST", "/api/models/{id}/commit/")],
    ids=["upload", "preupload", "commit"],
)
def test_a_busy_hub_leaves_what_was_there_and_the_same_again_goes_through(
    hub: Hub, run: Run, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the tries of huggingface_hub
    other = hub.create(hub.new_id(), "model")
    hub.fail(method, re.escape(path.format(id=other.id)), 503, times=20)
    with pytest.raises(TransientError, match="the same command goes on from there"):
        go(run, other.id)
    hub.faults.clear()
    assert other.hashes() == {}
    assert go(run, other.id).is_new
    assert sorted(other.hashes()) == FILES


def test_no_token_is_in_any_message(
    hub: Hub, run: Run, ida: User, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    repo_id = hub.new_id()
    hub.fail("POST", f"/api/models/{repo_id}/commit/", 403, headers={"X-Error-Message": f"no {ida.token}"})
    with pytest.raises(ConfigurationError) as told:
        go(run, repo_id)
    done = go(run, repo_id)
    said = "".join(capfd.readouterr())
    assert all(ida.token not in text for text in (str(told.value), repr(done), said))
    assert all(ida.token not in hub.repo(repo_id, "model").read(name).decode("latin-1") for name in FILES)


def test_the_files_of_a_run_stay_as_they_were(hub: Hub, run: Run) -> None:
    before = {path: path.read_bytes() for path in sorted(run.folder.rglob("*")) if path.is_file()}
    go(run, hub.new_id())
    assert {path: path.read_bytes() for path in sorted(run.folder.rglob("*")) if path.is_file()} == before
