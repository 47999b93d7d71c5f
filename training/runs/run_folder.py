"""The files of a run's folder: read, replaced at once, and written by one process only."""

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rules.errors import ConfigurationError

RUN, RECIPE, METRICS, SKIPPED, LOCK = "run.json", "recipe.yaml", "metrics.jsonl", "skipped.jsonl", ".lock"
LOSSES, SAMPLES, CARD, BOARD = "losses.png", "samples", "README.md", "tensorboard"
LAYOUT = 1  # of run.json
MAX_NAMED = 5  # in one message

M = TypeVar("M", bound=BaseModel)

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class _Data(BaseModel):
    where: str | None
    version: str | None
    commit: str | None
    digest: str | None
    described: dict[str, Any]
    label_names: list[str]


class _Model(BaseModel):
    base_sha256: dict[str, str]
    parameters: int
    trained_parameters: int


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cache: str | None
    cache_limit_bytes: int | None
    processes: int
    threads: int


class _Told(BaseModel):
    """What must be in a run.json, for it may be a stranger's."""

    recipe_name: str
    recipe: dict[str, Any]
    recipe_digest: str
    changes: list[str]
    data: _Data
    settings: _Settings
    model: _Model | None
    sessions: list[dict[str, Any]]
    epochs: list[dict[str, Any]]
    skipped: int
    finished_at: str | None
    wall_s: float
    energy_kwh: float | None


def described(folder: Path) -> dict[str, Any]:
    """Return run.json.

    Raises:
        ConfigurationError: there is none, or it is not one.
    """
    missing = (
        f"{folder}: expected the folder of a run: there is no {RUN} in it; `artune train RECIPE --data WHERE --out "
        "DIR` makes one"
    )
    return written(folder / RUN, LAYOUT, _Told, missing)[0]


def written(path: Path, layout: int, model: type[M], missing: str) -> tuple[dict[str, Any], M]:
    """Read JSON that artune wrote, or a stranger.

    Returns:
        what stands there, and the model of it.

    Raises:
        ConfigurationError: with the message `missing` if there is none; or it is not of this layout.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigurationError(missing) from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: expected JSON as artune wrote it: {error}") from None
    if not isinstance(told, dict) or told.get("layout") != layout:
        raise ConfigurationError(f'{path}: expected "layout": {layout}, as this version of artune writes it')
    try:
        return told, model.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{path}: {place}: expected it as artune wrote it: {first['msg']}") from None


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file of JSON lines, without a last one that was torn by a kill.

    Raises:
        ConfigurationError: a line is not one.
    """
    found = []
    for number, line in enumerate(_content(path).split(b"\n")[:-1], 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigurationError(f"{path}, line {number}: expected JSON as artune wrote it: {error}") from None
        if not isinstance(row, dict):
            raise ConfigurationError(f"{path}, line {number}: expected an object of JSON, as artune wrote it")
        found.append(row)
    return found


def whole_bytes(path: Path) -> int:
    """Return the length of a file of lines up to the end of its last whole one."""
    return _content(path).rfind(b"\n") + 1


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def replace(path: Path, text: str) -> None:
    """Write a file so that whoever reads it sees the old or the new one, whenever this process ends."""
    temporary = path.with_name(f".{path.name}.writing")
    with temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run for this process alone; the lock ends with the process, however that ends.

    Raises:
        ConfigurationError: another process trains or evaluates there.
    """
    with writing(folder):
        file = (folder / LOCK).open("ab")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"{folder}: another process trains or evaluates there now: expected to wait until it has ended, or "
                "another folder"
            ) from None
        yield


@contextmanager
def writing(folder: Path, then: str | None = None) -> Iterator[None]:
    """Tell in words a person can act on that nothing more can be written to a run.

    Args:
        then: what to do when there is room again, if that is not to resume a training.

    Raises:
        ConfigurationError: the disk is full, or the folder may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            then = then or f"`artune train --resume {folder}` goes on from the last checkpoint"
            raise ConfigurationError(f"{folder}: no room is left on its disk: free some, then {then}") from error
        if isinstance(error, PermissionError | FileExistsError | NotADirectoryError) or error.errno == errno.EROFS:
            raise ConfigurationError(f"{folder}: expected a folder that may be written: {error.strerror}") from error
        raise


def grids(folder: Path) -> list[Path]:
    """Return the pictures of samples, the oldest first."""
    return sorted((folder / SAMPLES).glob("epoch-*.png"), key=lambda path: (len(path.name), path.name))


def store(folder: Path, told: Mapping[str, Any]) -> None:
    """Write run.json."""
    with writing(folder):
        replace(folder / RUN, json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def check_is_free(folder: Path) -> None:
    """Refuse a folder with anything in it but the beginning of a run that was killed while it was made."""
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file: expected a folder that is empty or not there yet")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if RUN in names:
        raise ConfigurationError(
            f"{folder} holds a run already: `artune train --resume {folder}` goes on with it; expected another folder "
            "for a new one"
        )
    begun = {LOCK, RECIPE, METRICS, f".{RECIPE}.writing", f".{RUN}.writing"} if LOCK in names else set()
    if foreign := sorted(names - begun):
        more = f" and {len(foreign) - MAX_NAMED} more" if len(foreign) > MAX_NAMED else ""
        raise ConfigurationError(
            f"{folder} holds {', '.join(foreign[:MAX_NAMED])}{more}: expected a folder that is empty or not there yet, "
            "so that nothing of yours is mixed with a run"
        )
