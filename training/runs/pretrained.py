"""A trained model, read from a run, from one of its checkpoints, or from where it was published."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import HfApi
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

from curation.errors import TransientError
from curation.publishing.hub_access import check_name
from curation.publishing.hub_errors import asking
from curation.store import file_sha256
from rules.errors import ConfigurationError
from training import models, recipe
from training.fitting import checkpoints
from training.fitting.checkpoints import Pointer
from training.models.audiotoken import AudioToken
from training.recipe import Recipe
from training.runs.run_folder import RECIPE, RUN, described

NEEDED = (RECIPE, RUN, checkpoints.MODEL)  # of a published model
_EXPECTED = (
    "expected the folder of a run, one of its checkpoints, or a published model: its folder, or owner/name or "
    "owner/name@revision on the Hub"
)


@dataclass(frozen=True, slots=True)
class Found:
    """Where the parts of a model are.

    Attributes:
        home: folder of recipe.yaml and run.json.
        model: folder of the weights.
        told: run.json.
        sha256: of these, where they were published.
    """

    home: Path
    model: Path
    told: Mapping[str, Any]
    sha256: str | None = None

    def pointer(self) -> Pointer | None:
        """Return which checkpoint of its run it is; None where a published one does not tell."""
        if (self.model / checkpoints.STATE).is_file():
            return checkpoints.state(self.model).pointer
        published = self.told["best"] or self.told["last"]
        return Pointer(**published) if published else None


def load(
    where: str | Path, revision: str | None = None, *, base: str | None = None, encoder: str | None = None
) -> AudioToken:
    """Read a trained model: in evaluation, on the CPU.

    Args:
        where: the folder of a run, of which its best checkpoint is taken; the folder of a checkpoint; a published
            model: its folder, or owner/name or owner/name@revision on the Hub. A folder that exists wins.
        revision: on the Hub: a commit, a tag or a branch.
        base: where the weights of the base model are, if they are not where the recipe says.
        encoder: likewise those of the encoder.

    Raises:
        ConfigurationError: it is not there, damaged, or made with other weights than those that are read.
        TransientError: the Hub is busy or cannot be reached.
    """
    found = find(str(where), revision)
    chosen = recipe.load(str(found.home / RECIPE))
    _check_recipe(found, chosen)
    _check_content(found)
    label_names = found.told["data"]["label_names"]
    model: AudioToken = models.get(chosen.model).build(_with_weights(chosen, base, encoder), label_names)
    _check_weights(found, model)
    model.load_trained(checkpoints.model_state(found.model))
    model.eval()
    return model


def find(where: str, revision: str | None = None) -> Found:
    """Return where a model is; one on the Hub is fetched. Raises as `load`."""
    folder = Path(where).expanduser()
    if not folder.is_dir():
        folder = _fetched(where, revision)
    elif revision is not None:
        raise ConfigurationError(f"{where} is a folder, which has no revision {revision}: expected it without one")
    if all((folder / name).is_file() for name in NEEDED):
        told = described(folder)
        return Found(folder, folder, told, told.get("model_sha256"))
    if (folder / RUN).is_file():
        pointer = checkpoints.best(folder) or checkpoints.last(folder)
        if pointer is None:
            raise ConfigurationError(
                f"{folder}: this run has no checkpoint yet: expected one; `artune train --resume {folder}` goes "
                "on with it"
            )
        return Found(folder, checkpoints.path(folder, pointer), described(folder))
    home = folder.absolute().parents[1] if folder.absolute().parent.name == checkpoints.FOLDER else folder
    if not (home / RUN).is_file():
        raise ConfigurationError(f"{folder}: there is no model in it: {_EXPECTED}")
    return Found(home, folder, described(home))


def _fetched(where: str, revision: str | None) -> Path:
    """Fetch a published model into the Hub's own cache; only safetensors are read of it, which hold no code."""
    repo_id, at, named = where.partition("@")
    if at and revision is not None:
        raise ConfigurationError(f"{where}: expected one revision: {named} or {revision}")
    revision = revision or named or None
    if repo_id.count("/") != 1 or where.startswith((".", "/", "~")):
        raise ConfigurationError(f"{where}: no such folder: {_EXPECTED}")
    if Path(where).parent.is_dir():  # runs/tinny
        raise ConfigurationError(f"{where}: there is no such folder in {Path(where).parent}: {_EXPECTED}")
    check_name(repo_id)
    with asking(repo_id, "read the model"):
        try:
            return Path(huggingface_hub.snapshot_download(repo_id, revision=revision, allow_patterns=list(NEEDED)))
        except RevisionNotFoundError:
            tags = sorted(tag.name for tag in HfApi().list_repo_refs(repo_id).tags)
            there = f"; its tags are {', '.join(tags)}" if tags else ""
            raise ConfigurationError(f"{repo_id} has no commit, tag or branch {revision} on the Hub{there}") from None
        except RepositoryNotFoundError:
            raise ConfigurationError(
                f"the Hub shows no model {repo_id}, and there is no such folder: {_EXPECTED}; if it is private, a "
                "token that may read it, by `hf auth login` or in HF_TOKEN"
            ) from None
        except LocalEntryNotFoundError:
            raise TransientError(
                f"{repo_id}: the Hub cannot be reached, or HF_HUB_OFFLINE is set, and its cache here does not hold it"
            ) from None


def _check_recipe(found: Found, chosen: Recipe) -> None:
    """Refuse a recipe that was edited, and a checkpoint that somebody put into the folder of another run."""
    expected = found.told["recipe_digest"]
    if chosen.digest != expected:
        raise ConfigurationError(f"{found.home / RECIPE}: expected it as {RUN} beside it tells, it was edited")
    if (found.model / checkpoints.STATE).is_file():
        trained = checkpoints.state(found.model).identity.get("recipe")
        if trained != expected:
            raise ConfigurationError(
                f"{found.model}: expected a checkpoint of the run {found.home}, it was trained by another recipe"
            )


def _check_content(found: Found) -> None:
    path = found.model / checkpoints.MODEL
    if not path.is_file():
        raise ConfigurationError(f"{found.model}: there is no {checkpoints.MODEL}: {_EXPECTED}")
    if found.sha256 is not None and file_sha256(path) != found.sha256:
        raise ConfigurationError(
            f"{path} is damaged: it has another SHA-256 than {RUN} beside it tells; delete it and fetch it again"
        )


def _with_weights(chosen: Recipe, base: str | None, encoder: str | None) -> Recipe:
    """Return a recipe that reads its weights elsewhere; a random part stays as it is drawn."""
    changed: dict[str, Any] = {}
    for name, part, weights in (("base", chosen.base, base), ("encoder", chosen.encoder, encoder)):
        if weights is None:
            continue
        if part.weights is None:
            raise ConfigurationError(f"{name}: {weights}: the recipe draws this part at random: expected none")
        changed[name] = part.model_copy(update={"weights": weights} | ({"revision": None} if name == "base" else {}))
    return chosen.model_copy(update=changed)


def _check_weights(found: Found, model: AudioToken) -> None:
    """Refuse other weights of the frozen parts than those that a model was trained with."""
    before = (found.told["model"] or {}).get("base_sha256", {})
    changed = [name for name, sha256 in model.base_sha256.items() if before.get(name, sha256) != sha256]
    if changed:
        raise ConfigurationError(
            f"{found.home}: the weights of {', '.join(changed)} are not those that this model was trained with, "
            f"{json.dumps({name: before[name][:12] for name in changed})}: expected the same revision of the same files"
        )
