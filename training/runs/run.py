"""The folder of a run: what was asked for, what came of it, and who may write there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from curation.store import file_sha256
from rules.errors import ConfigurationError
from training import recipe as recipes
from training.data import Revision, open_revision
from training.fitting import checkpoints
from training.recipe import Recipe
from training.runs import provenance
from training.runs.run_folder import (
    LAYOUT,
    METRICS,
    RECIPE,
    check_is_free,
    described,
    grids,
    lines,
    locked,
    replace,
    store,
    writing,
)

if TYPE_CHECKING:
    from training.runs.record import Record

MAX_DIFFERENCES = 5  # that one message names


@dataclass(frozen=True, slots=True)
class Settings:
    """Where and how a run is computed; never what.

    Attributes:
        cache: folder of latents and features; None: none are kept.
        threads: that decode media.
    """

    cache: Path | None = None
    cache_limit_bytes: int | None = None
    processes: int = 1
    threads: int = 1

    def plain(self) -> dict[str, Any]:
        """Return what JSON can hold of it."""
        return asdict(self) | {"cache": self.cache and str(self.cache)}


class Run:
    """A run as its folder tells of it; to open one locks nothing and writes nothing.

    Attributes:
        recipe_name: what the recipe was called when the run was made; a name only.
        described: the data, as `Revision.described` told of it when the run was made.
    """

    def __init__(self, folder: Path, recipe: Recipe, told: Mapping[str, Any], settings: Settings) -> None:
        self.folder, self.recipe, self.settings = folder, recipe, settings
        self.recipe_name: str = told["recipe_name"]
        self.data: str = told["data"]["where"]
        self.described: Mapping[str, Any] = told["data"]["described"]
        self.label_names: tuple[str, ...] = tuple(told["data"]["label_names"])

    @classmethod
    def create(
        cls,
        out: Path,
        recipe: Recipe,
        revision: Revision,
        *,
        recipe_name: str,
        changes: Sequence[str] = (),
        settings: Settings = Settings(),  # noqa: B008 - it is frozen
    ) -> Self:
        """Make the folder of a new run.

        Args:
            changes: values of the recipe that were set for this run, as the user gave them.

        Raises:
            ConfigurationError: the folder holds a run, or anything else.
        """
        folder = out.expanduser().absolute()
        check_is_free(folder)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with locked(folder), writing(folder):
            check_is_free(folder)  # somebody may have been faster
            replace(folder / RECIPE, recipes.dump(recipe))
            (folder / METRICS).write_bytes(b"")
            store(folder, _asked(recipe, revision, recipe_name, changes, settings))
        made = cls.open(folder)
        made.__dict__["revision"] = revision  # it is open already
        return made

    @classmethod
    def open(
        cls,
        out: Path,
        *,
        recipe: Recipe | None = None,
        revision: Revision | None = None,
        settings: Settings | None = None,
    ) -> Self:
        """Read the folder of a run.

        Args:
            recipe: that the run has to have.
            revision: the data that it has to have.
            settings: instead of those that it was made with.

        Raises:
            ConfigurationError: there is no run, its files do not go together, or it has another recipe or other data.
        """
        folder = out.expanduser().absolute()
        told = described(folder)
        found = recipes.load(str(folder / RECIPE))
        if found.digest != told["recipe_digest"]:
            raise ConfigurationError(
                f"{folder / RECIPE} is not what the run began with: {_named(told['recipe'], found)}; expected the same "
                "values, or another run with the new ones"
            )
        if recipe is not None and recipe.digest != found.digest:
            raise ConfigurationError(
                f"{folder} holds a run of another recipe: {_named(told['recipe'], recipe)}; expected the same values, "
                "or another folder"
            )
        run = cls(folder, found, told, settings or _settings(told["settings"]))
        if revision is not None:
            run._check(revision)
            run.__dict__["revision"] = revision
        return run

    @cached_property
    def revision(self) -> Revision:
        """Return the data, opened when they are first asked for.

        Raises:
            ConfigurationError: they are not what the run was made with.
        """
        revision = open_revision(self.data)
        self._check(revision)
        return revision

    def _check(self, revision: Revision) -> None:
        then = {**self.described, "label_names": list(self.label_names)}
        now = {**_plain(revision.described()), "label_names": list(revision.label_names)}
        if now != then:
            raise ConfigurationError(
                f"{self.folder}: {revision.where} holds other data than this run was made with: "
                f"{_differences(then, now)}; expected the same revision, or another folder for a new run"
            )

    @property
    def is_finished(self) -> bool:
        """Say whether all its epochs are done."""
        return described(self.folder)["finished_at"] is not None

    def rows(self) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl; one that was torn by a kill is left out."""
        return lines(self.folder / METRICS)

    def recording(self) -> AbstractContextManager["Record"]:
        """Hold the run for this process alone, to write into its folder; of several processes only the main one does.

        Raises:
            ConfigurationError: another process trains or evaluates there, or nothing can be written.
        """
        from training.runs import record

        return record.recording(self)

    def summary(self) -> dict[str, Any]:
        """Return what a person wants to know of a run, ready for JSON."""
        told = described(self.folder)
        epochs = [row for row in self.rows() if row.get("kind") == "epoch"]
        last = checkpoints.last(self.folder)
        best = checkpoints.best(self.folder) or last  # where nothing is validated
        return {
            "folder": str(self.folder),
            "recipe": self.recipe_name,
            "recipe_digest": self.recipe.digest,
            "where": self.data,
            "commit": told["data"]["commit"],
            "data": dict(self.described),
            "is_finished": told["finished_at"] is not None,
            "epochs_done": len(epochs),
            "epochs": self.recipe.epochs,
            "best": best and asdict(best),
            "last": last and asdict(last),
            "trained_parameters": (told["model"] or {}).get("trained_parameters"),
            "model_sha256": best and file_sha256(checkpoints.path(self.folder, best) / checkpoints.MODEL),
            "losses": [
                {"epoch": row["epoch"], "train": row.get("train_loss"), "validation": row.get("validation_loss")}
                for row in epochs
            ],
            "skipped": told["skipped"],
            "samples": [str(path) for path in grids(self.folder)],
            "wall_s": told["wall_s"],
            "energy_kwh": told["energy_kwh"],
        }


def _asked(
    recipe: Recipe, revision: Revision, recipe_name: str, changes: Sequence[str], settings: Settings
) -> dict[str, Any]:
    """Return run.json of a run of which nothing is done."""
    return {
        "layout": LAYOUT,
        "artune": provenance.code(),
        "recipe_name": recipe_name,
        "recipe": recipe.model_dump(mode="json"),
        "recipe_digest": recipe.digest,
        "changes": list(changes),
        "seed": recipe.seed,
        "data": {
            "where": revision.where,
            "version": revision.version,
            "commit": revision.commit,
            "digest": revision.digest,
            "described": _plain(revision.described()),
            "label_names": list(revision.label_names),
        },
        "settings": settings.plain(),
        "model": None,
        "sessions": [],
        "epochs": [],
        "skipped": 0,
        "best": None,
        "last": None,
        "started_at": None,
        "finished_at": None,
        "wall_s": 0.0,
        "energy_kwh": None,
    }


def _settings(told: Mapping[str, Any]) -> Settings:
    return Settings(**{**told, "cache": told["cache"] and Path(told["cache"])})


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping as it comes back from JSON: with lists for tuples."""
    found: dict[str, Any] = json.loads(json.dumps(value))
    return found


def _named(then: Mapping[str, Any], now: Recipe) -> str:
    return _differences(then, now.model_dump(mode="json"))


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the first few values that differ, as `epochs is 6 there, 7 now`."""
    before, after = dict(_flat(then)), dict(_flat(now))
    told = [
        f"{key} is {before.get(key, 'nothing')} there, {after.get(key, 'nothing')} now"
        for key in (*before, *(key for key in after if key not in before))
        if before.get(key, ...) != after.get(key, ...)
    ]
    more = f", and {len(told) - MAX_DIFFERENCES} more" if len(told) > MAX_DIFFERENCES else ""
    return f"{'; '.join(told[:MAX_DIFFERENCES])}{more}"


def _flat(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{above}{key}.")
        else:
            yield f"{above}{key}", inner
