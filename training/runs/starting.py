"""From what a person or an event asks for to a run: a new one, or the one that is there and goes on."""

from collections.abc import Sequence
from pathlib import Path

from curation.publishing import places
from curation.store import digest
from training import recipe as recipes
from training.data import Revision, open_revision
from training.recipe import Recipe
from training.runs.run import Run, Settings
from training.runs.run_folder import RUN

RUNS = "runs"  # where a run lies that nobody named
DIGITS = 8  # of the digest in its name


def begin(
    name: str, data: str, changes: Sequence[str], out: Path | None, settings: Settings, runs: Path = Path(RUNS)
) -> Run:
    """Return a run of a recipe on data; where the same was begun there before, that one.

    Args:
        name: of a recipe, or a file with one.
        data: as `training.data.open_revision` takes it.
        changes: values of the recipe for this run, as KEY=VALUE.
        out: the folder of the run; one in `runs` that is named after recipe and data if None.

    Raises:
        ConfigurationError: recipe or data cannot be used, or the folder holds anything else.
        TransientError: the Hub is busy.
    """
    chosen = recipes.load(name, changes)
    revision = open_revision(data)
    named = Path(name).stem
    folder = out or runs / _named(named, chosen, revision)
    if (folder.expanduser() / RUN).is_file():
        return Run.open(folder, recipe=chosen, revision=revision, settings=settings)
    return Run.create(folder, chosen, revision, recipe_name=named, changes=changes, settings=settings)


def data_of(where: str, version: str | None) -> str:
    """Return the data of a publication as its event tells of it: a place, and a version there."""
    if version is None:
        return where
    return f"{where}@{version}" if places.is_hub(where) else f"{where.rstrip('/')}/{version}"


def pinned(where: str, commit: str | None) -> str:
    """Return what is taken to mean the same data for good: a tag on the Hub may be moved."""
    return where if commit is None else f"{where.partition('@')[0]}@{commit}"


def _named(name: str, chosen: Recipe, revision: Revision) -> str:
    """Return a name that the same recipe and the same data have always, and no others."""
    return f"{name}-{digest([chosen.digest, revision.described()])[:DIGITS]}"
