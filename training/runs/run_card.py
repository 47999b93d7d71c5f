"""The card in the folder of a run, of what that folder holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training import recipe as recipes
from training.recipe import Recipe
from training.runs import model_card
from training.runs.model_card import Subject
from training.runs.run_folder import CARD, LOSSES, METRICS, RECIPE, SAMPLES, described, grids, lines, replace, writing


def of_run(folder: Path, recipe: Recipe, told: Mapping[str, Any]) -> Subject:
    """Return what the card tells of; `told` is run.json."""
    drawn = grids(folder)
    pictures = {"losses": LOSSES} | ({"samples": f"{SAMPLES}/{drawn[-1].name}"} if drawn else {})
    return Subject(recipe, told, lines(folder / METRICS), None, pictures)


def tell_evaluation(folder: Path, evaluation: str) -> Path:
    """Write what evaluation found into the card of a run; what a person wrote there stays.

    Raises:
        ConfigurationError: the card or another file of the run is broken, or nothing can be written.
    """
    path = folder / CARD
    there = path.read_bytes() if path.is_file() else None
    subject = of_run(folder, recipes.load(str(folder / RECIPE)), described(folder))
    card = model_card.renewed(subject, there, str(path), evaluation)
    with writing(folder, "evaluate again"):
        replace(path, card.text)
    return path
