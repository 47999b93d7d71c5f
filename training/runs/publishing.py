"""A trained model on the Hugging Face Hub: one commit to a repository of kind model, and none where nothing is new."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi

from curation.publishing.hub_access import check_name, find
from curation.publishing.hub_branch import named
from curation.publishing.hub_errors import asking
from curation.publishing.hub_state import CARD, Revision, Stored, content_of, page, refs, tree
from curation.publishing.manifest import PublishedFile
from curation.store import file_sha256
from rules.errors import ConfigurationError
from training import recipe
from training.fitting import checkpoints
from training.recipe import Recipe
from training.runs import model_card
from training.runs.model_card import Renewed, Subject, is_hub_name
from training.runs.run import Run
from training.runs.run_folder import LOSSES, METRICS, RECIPE, RUN, described, grids, lines

KIND = "model"
PICTURE = "samples.png"
_OF_THE_HUB = (".gitattributes", ".gitignore")
# Values of a recipe that may be paths of this machine, or hold such.
_WEIGHTS = {"base", "base.weights", "encoder", "encoder.weights"}


@dataclass(frozen=True, slots=True)
class Published:
    """What was published.

    Attributes:
        where: owner/name.
        commit: that holds it.
        is_new: False if the repository held just this already.
        files: that were sent.
        hand_edited: the card there has words of a person, and they are kept.
        is_finished: the run had done all its epochs.
    """

    where: str
    url: str
    commit: str
    is_new: bool
    files: tuple[str, ...]
    sent_bytes: int
    hand_edited: bool
    is_finished: bool


@dataclass(frozen=True, slots=True)
class _There:
    """What main of a repository holds."""

    commit: str
    files: Mapping[str, Stored]
    card: bytes | None
    is_private: bool


def publish_model(folder: Path, where: str, *, private: bool) -> Published:
    """Let a repository on the Hub hold the best checkpoint of a run, its card, recipe, metrics and pictures.

    Args:
        folder: of the run.
        where: owner/name.
        private: a repository that is not there yet is for its owner only.

    Raises:
        ConfigurationError: a person has to mend something; the message says what.
        TransientError: the Hub is busy or cannot be reached.
    """
    check_name(where)
    run = Run.open(folder)
    pointer = checkpoints.best(run.folder) or checkpoints.last(run.folder)
    if pointer is None:
        raise ConfigurationError(
            f"{run.folder}: this run has no checkpoint yet: expected one; `artune train --resume {run.folder}` goes on "
            "with it"
        )
    there = _look(where) or _made(where, private=private)
    if private and not there.is_private:
        raise ConfigurationError(
            f"{where} is public: expected it to be private; change that in its settings on the Hub, or leave out "
            "--private"
        )
    with _written(run, checkpoints.path(run.folder, pointer), where, there) as (files, card):
        _refuse_foreign(where, there, files)
        commit, sent = _commit(where, there, files, f"Publish {run.recipe_name} of step {pointer.step}")
        return Published(
            where=where,
            url=f"{HfApi().endpoint}/{where}",
            commit=commit,
            is_new=bool(sent),
            files=tuple(sorted(sent)),
            sent_bytes=sum(file.size_bytes for file in sent.values()),
            hand_edited=card.hand_edited,
            is_finished=run.is_finished,
        )


def _look(where: str) -> _There | None:
    """Return what a repository holds; None if there is no such repository, and one could be made."""
    with asking(where, "read what is there") as api:
        is_private = find(api, where, KIND)
        if is_private is None:
            return None
        commit = refs(api, where, KIND)[0].get("main")
        if commit is None:
            raise ConfigurationError(f"{where} has no branch main: expected one; make it by a first commit there")
        main = Revision(commit, tree(api, where, commit, KIND))
        card = page(api, where, main, CARD, KIND) if CARD in main.files else None
        return _There(commit, main.files, card, is_private)


def _made(where: str, *, private: bool) -> _There:
    with asking(where, "make the repository") as api:
        # Not asked for, an organization's own default counts.
        api.create_repo(where, private=private or None, repo_type=KIND, exist_ok=True)
    there = _look(where)
    if there is None:
        raise ConfigurationError(f"{where} is there, and this token may not see it: expected one that may")
    return there


@contextmanager
def _written(run: Run, checkpoint: Path, where: str, there: _There) -> Iterator[tuple[dict[str, Path], Renewed]]:
    """Give the files of a publication, by their names there, and its card; they are gone after the block."""
    chosen, model = _public_recipe(run.recipe), checkpoint / checkpoints.MODEL
    told = _public(described(run.folder), chosen, file_sha256(model))
    drawn = grids(run.folder)
    here = {checkpoints.MODEL: model, METRICS: run.folder / METRICS, LOSSES: run.folder / LOSSES}
    files = {name: path for name, path in here.items() if path.is_file()} | ({PICTURE: drawn[-1]} if drawn else {})
    with tempfile.TemporaryDirectory(prefix="artune-") as scratch:
        texts = {
            RECIPE: recipe.dump(chosen),
            RUN: json.dumps(told, indent=1, ensure_ascii=False) + "\n",
        }
        pictures = {what: name for what, name in (("losses", LOSSES), ("samples", PICTURE)) if name in files}
        rows = lines(run.folder / METRICS)
        card = _card(run, Subject(chosen, told, rows, where, pictures, HfApi().endpoint), there)
        texts[CARD] = card.text
        for name, text in texts.items():
            files[name] = Path(scratch) / name
            files[name].write_text(text, encoding="utf-8", newline="\n")
        yield files, card


def _card(run: Run, subject: Subject, there: _There) -> Renewed:
    """Return the card: in the words of the one on the Hub, else of that of the run, where a person may have edited."""
    own = run.folder / CARD
    mine = own.read_bytes() if own.is_file() else None
    evaluation = model_card.evaluation_of(mine, str(own)) if mine is not None else None
    if there.card is not None:
        return model_card.renewed(subject, there.card, f"{subject.location}: {CARD}", evaluation)
    return model_card.renewed(subject, mine, str(own), evaluation)


def _refuse_foreign(where: str, there: _There, files: Mapping[str, Path]) -> None:
    """Refuse a repository of another model: files of these names that artune did not write."""
    if RUN in there.files and RECIPE in there.files:
        return
    taken = sorted(name for name in there.files if name in files and name not in (CARD, *_OF_THE_HUB))
    if taken:
        raise ConfigurationError(
            f"{where} holds {named(taken)}, which artune did not write and would have to replace: expected another "
            "repository, or these deleted or renamed there"
        )


def _commit(where: str, there: _There, files: Mapping[str, Path], message: str) -> tuple[str, dict[str, PublishedFile]]:
    """Send what the repository has not, in one commit; return the commit that holds all, and what was sent."""
    contents = {
        name: content_of(PublishedFile(file_sha256(path), path.stat().st_size), path) for name, path in files.items()
    }
    new = {name: content for name, content in contents.items() if not content.is_in(there.files.get(name))}
    if not new:
        return there.commit, {}
    with asking(where, f"take {named(sorted(new))}") as api:
        additions = [CommitOperationAdd(name, files[name]) for name in sorted(new)]
        # Refused if somebody else was faster: what was compared would no longer be what is there.
        commit = api.create_commit(
            where, additions, commit_message=message, repo_type=KIND, parent_commit=there.commit
        ).oid
        found = tree(api, where, commit, KIND)
    if dropped := sorted(name for name, content in contents.items() if not content.is_in(found.get(name))):
        raise ConfigurationError(
            f"{where}: the Hub leaves out {named(dropped)}: expected no .gitignore there that names files of artune; "
            "change or delete it, then run the same command again"
        )
    return commit, {name: content.file for name, content in new.items()}


def _public_recipe(private: Recipe) -> Recipe:
    """Return a recipe without paths of this machine: weights of a folder or file here keep its last name."""
    base = private.base.model_copy(update={"weights": _public_weights(private.base.weights)})
    encoder = private.encoder.model_copy(update={"weights": _public_weights(private.encoder.weights)})
    return private.model_copy(update={"base": base, "encoder": encoder})


def _public_weights(weights: str | None) -> str | None:
    if weights is None or (is_hub_name(weights) and not Path(weights).exists()):
        return weights
    return re.split(r"[/\\]", weights.rstrip("/\\"))[-1]


def _public(told: Mapping[str, Any], chosen: Recipe, model_sha256: str) -> dict[str, Any]:
    """Return run.json as others may read it: without paths of this machine."""
    data = dict(told["data"])
    if _is_here(data["where"]):
        data["where"] = None
        data["described"] = {key: value for key, value in data["described"].items() if key != "where"}
    changes = [change for change in told["changes"] if _place(change) not in _WEIGHTS]
    return {
        **told,
        "recipe": chosen.model_dump(mode="json"),
        "recipe_digest": chosen.digest,
        "changes": changes,
        "data": data,
        "settings": {**told["settings"], "cache": None},
        "model_sha256": model_sha256,
    }


def _place(change: str) -> str:
    """Return which value of a recipe a change sets, read as `training.recipe` reads it."""
    return ".".join(key.strip() for key in change.partition("=")[0].split("."))


def _is_here(where: str) -> bool:
    """Say whether data lie in a folder of this machine."""
    return "://" not in where and (where.startswith(("/", ".", "~")) or Path(where).exists())
