"""Where weights are found: here, on the Hub or nowhere; and what a network may be called for it."""

import shutil

import pytest

from curation.errors import TransientError
from evaluation.features import dinov2
from evaluation.features._weights import Published
from rules.errors import ConfigurationError
from tests.evaluation.features.published_networks import loaded
from tests.hub_site import Hub

NAME = "DINOv2 ViT-L/14"


def on_hub(hub: Hub, folder) -> tuple[str, str]:
    repo_id = hub.new_id()
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return repo_id, hub.create(repo_id, "model").add_commit({**files, "tf_model.h5": b"not needed"})


def test_a_model_of_the_hub_is_called_as_published_if_it_is_that(hub, saved, published, monkeypatch):
    repo_id, commit = on_hub(hub, saved("dinov2"))
    assert loaded("dinov2", repo_id).name == f"DINOv2 of {repo_id.partition('/')[2]}"
    monkeypatch.setattr(dinov2, "PUBLISHED", (Published(NAME, repo_id),))
    network = loaded("dinov2", repo_id)
    assert (network.name, network.is_stand_in) == (NAME, False)
    assert network.weights_sha256 == published("dinov2").weights_sha256
    assert loaded("dinov2", repo_id, revision=commit).name != NAME  # any commit: who knows which


def test_a_folder_here_that_has_the_published_name_is_not_that(saved, tmp_path, monkeypatch):
    shutil.copytree(saved("dinov2"), tmp_path / "facebook" / "dinov2-large")
    monkeypatch.chdir(tmp_path)
    assert loaded("dinov2", "facebook/dinov2-large").name == "DINOv2 of dinov2-large"


@pytest.mark.parametrize("weights", ["./not/here", "nowhere", "a/b/c", "~/not-here", ""])
def test_weights_that_are_nowhere_are_told(weights):
    told = "expected a folder or file that is here, owner/name on the Hub, or an https address"
    with pytest.raises(
        ConfigurationError, match=f"^weights: {weights}: {told}. Get them from https://huggingface.co/f"
    ):
        loaded("dinov2", weights)


def test_what_the_hub_refuses_is_told_with_where_to_get_weights(hub):
    repo_id = hub.new_id()
    hub.fail("*", repo_id, 404, times=99, headers={"X-Error-Code": "RepoNotFound"})
    with pytest.raises(ConfigurationError, match=f"^weights: {repo_id}: there is no such model on the Hub.* Get them"):
        loaded("dinov2", repo_id)
    hub.fail("*", repo_id, 503, times=99)
    with pytest.raises((TransientError, ConfigurationError), match=f"^weights: {repo_id}: "):
        loaded("dinov2", repo_id)


def test_a_hash_belongs_to_a_file(saved):
    with pytest.raises(ConfigurationError, match="expected a file: a sha256 is told, and this is a folder"):
        loaded("dinov2", saved("dinov2"), sha256="01234567")
    with pytest.raises(ConfigurationError, match="expected no sha256 but a revision: it is on the Hub"):
        loaded("dinov2", "owner/name", sha256="01234567")


@pytest.mark.parametrize("weights", ["owner/name", "Wav2CLIP.pt"])
def test_a_family_of_single_files_asks_no_hub(weights):
    with pytest.raises(ConfigurationError, match=f"{weights}: expected a folder or file that is here or an https"):
        loaded("wav2clip", weights)
