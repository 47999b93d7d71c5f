"""What is evaluated: images of a run, drawn here, or those of another system; and where the evaluation is written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from curation.store import file_sha256
from evaluation.result import Subject, shareable
from evaluation.subjects import drawing, given, items
from evaluation.subjects.drawing import Drawing
from evaluation.subjects.items import Pictured, Told
from rules.errors import ConfigurationError
from training.data import Revision, Split
from training.fitting import checkpoints
from training.runs import pretrained
from training.runs.pretrained import Found

EVALUATIONS = "evaluations"  # where an evaluation lies whose subject has no folder here
IMAGES = "evaluation/images"


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a subject is evaluated.

    Attributes:
        n: clips; None: all of the split.
        seed: of their choice and of the images.
    """

    split: Split
    n: int | None
    seed: int
    out: Path
    told: Told


def folder_of(run: str | None, images: Path | None, revision: Revision) -> Path:
    """Return where an evaluation is written that nobody gave a folder: that of its subject, if there is one here."""
    if images is not None:
        return images.expanduser().absolute()
    if run is None:
        return Path(
            EVALUATIONS, _plain(f"{revision.data_set or Path(revision.location).name}-{revision.version}")
        ).absolute()
    if not Path(run).expanduser().is_dir():
        return Path(EVALUATIONS, _plain(run)).absolute()
    return pretrained.find(run).home.absolute()


def of_run(run: str, base: str | None, encoder: str | None, asked: Asked) -> tuple[Subject, Pictured]:
    """Draw an image to each clip with a trained model.

    Args:
        run: the folder of a run or of a checkpoint, or owner/name on the Hub.
        base: where weights of the base model lie, if not where the recipe says; likewise encoder.

    Raises:
        ConfigurationError: there is no such model, or it cannot be read or used; see `items.choose`, too.
        TransientError: the Hub is busy.
    """
    found = pretrained.find(run)
    model = pretrained.load(run, base=base, encoder=encoder)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    samples = model.recipe.samples
    how = Drawing(asked.seed, samples.steps, samples.guidance)
    chosen = items.choose(asked.split, asked.n, asked.seed)
    pictured = drawing.draw(model, asked.split, chosen, asked.out / IMAGES, how, asked.told)
    return _subject(run, found, how), pictured


def of_images(folder: Path, asked: Asked) -> tuple[Subject, Pictured]:
    """Take images that another system made. Raises as `given.given`."""
    place = folder.expanduser()
    pictured = given.given(place, asked.split, asked.n, asked.seed)
    return Subject(kind="images", name=place.absolute().name), pictured


def of_data(revision: Revision) -> Subject:
    """Return a data set as what is evaluated."""
    name = revision.data_set or shareable(revision.where)
    return Subject(kind="data", name=" ".join(filter(None, (name, revision.version))))


def _subject(run: str, found: Found, how: Drawing) -> Subject:
    told, pointer, folder = found.told, found.pointer(), Path(run).expanduser()
    recipe, data = told["recipe"], told["data"]["described"]
    return Subject(
        kind="run",
        name=folder.resolve().name if folder.is_dir() else run,
        run=None if folder.is_dir() else run,
        recipe=told["recipe_name"],
        recipe_digest=told["recipe_digest"],
        checkpoint=pointer.checkpoint if pointer else None,
        step=pointer.step if pointer else None,
        epoch=pointer.epoch if pointer else None,
        model_sha256=file_sha256(found.model / checkpoints.MODEL),
        is_random=recipe["base"]["weights"] is None or recipe["encoder"]["weights"] is None,
        trained_on=data.get("data_set") or shareable(data["where"]),
        steps=how.steps,
        guidance=how.guidance,
    )


def splits_of(revision: Revision) -> dict[str, Split]:
    """Read the indexes of all splits that have pairs, by their names. Raises as `Revision.split`."""
    return {name: split for name in sorted(revision.names) if (split := revision.split(name))}


def split_of(splits: Mapping[str, Split], name: str, revision: Revision) -> Split:
    """Return a split.

    Raises:
        ConfigurationError: it has no pairs, or is not there.
    """
    if name not in splits:
        raise ConfigurationError(
            f"{revision.location}: the split {name} has no pairs: expected one of {', '.join(splits)}"
        )
    return splits[name]


def _plain(name: str) -> str:
    """Return a name as a folder may have it; it comes from outside."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:80] or "data"
