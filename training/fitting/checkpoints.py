"""Checkpoints of a run: folders that are whole or not there, and two pointers that say which is the last and the best.

A run killed at any moment, or out of disk space, stands where `last.json` points.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rules.errors import ConfigurationError

# Of what is in a checkpoint. Raise it with every change that makes older ones unreadable or their numbers others.
LAYOUT = 1

FOLDER = "checkpoints"
MODEL, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"
_WRITING = ".writing"


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which checkpoint is meant. Epochs are counted from 1."""

    checkpoint: str
    step: int
    epoch: int
    validation_loss: float | None


@dataclass(frozen=True, slots=True)
class State:
    """Where a run stands beside its tensors.

    Args:
        step: how many are done.
        batch: how many of them in this epoch.
        metrics_bytes: length of metrics.jsonl when the step was done.
        best: so far; None before the first validation.
        scaler: of float16's gradients.
        identity: what a run that goes on must have in common with the one that wrote this.
    """

    step: int
    epoch: int
    batch: int
    metrics_bytes: int
    validation_loss: float | None
    best: Pointer | None
    scaler: Mapping[str, Any] | None
    identity: Mapping[str, Any]

    @property
    def pointer(self) -> Pointer:
        return Pointer(f"step-{self.step:08d}", self.step, self.epoch, self.validation_loss)


def last(folder: Path) -> Pointer | None:
    """Return where the run of a folder stands."""
    return _pointer(folder / "last.json")


def best(folder: Path) -> Pointer | None:
    """Return its checkpoint of the lowest validation loss; where nothing is validated, the last."""
    return _pointer(folder / "best.json")


def path(folder: Path, pointer: Pointer) -> Path:
    return folder / FOLDER / pointer.checkpoint


def model_state(checkpoint: Path) -> dict[str, Tensor]:
    """Return the weights that are to be used, as `AudioToken.load_trained` takes them, on the CPU."""
    return _tensors(checkpoint / MODEL)


def optimizer_state(checkpoint: Path) -> dict[str, Tensor]:
    """Return what only training needs, on the CPU."""
    return _tensors(checkpoint / OPTIMIZER)


def state(checkpoint: Path) -> State:
    file = checkpoint / STATE
    try:
        written = json.loads(file.read_bytes())
        layout = written.pop("layout")
        if layout == LAYOUT:
            best_one = written.pop("best")
            return State(**written, best=None if best_one is None else Pointer(**best_one))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(file, error) from error
    raise ConfigurationError(
        f"{file}: written by another version of artune (layout {layout}, this one reads {LAYOUT}): go on with the "
        "version that run.json names, or begin a new run in another folder"
    )


def write(folder: Path, state: State, model: Mapping[str, Tensor], optimizer: Mapping[str, Tensor]) -> None:
    """Make a checkpoint the last one of a run, and remove those that are neither last nor best.

    At no moment is a checkpoint gone that a pointer names: the new one is whole on disk before the first pointer moves.

    Raises:
        ConfigurationError: it cannot be written, as where the disk is full; the earlier ones are as they were.
    """
    made = folder / FOLDER / _WRITING
    try:
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        save_file(_stored(model), made / MODEL)
        save_file(_stored(optimizer), made / OPTIMIZER)
        (made / STATE).write_text(json.dumps({"layout": LAYOUT, **asdict(state)}, indent=1) + "\n", encoding="utf-8")
        for file in (made / MODEL, made / OPTIMIZER, made / STATE, made):
            _sync(file)
        made.rename(path(folder, state.pointer))
        _sync(folder / FOLDER)
        _point(folder, state)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(made, ignore_errors=True)
        raise ConfigurationError(_not_written(folder, state.step, error)) from error
    tidy(folder)


def tidy(folder: Path) -> None:
    """Put best.json right, and remove what neither pointer names: a kill may have come between any two files."""
    now = last(folder)
    kept = set()
    if now is not None:
        best_one = state(path(folder, now)).best
        if best_one is None:
            (folder / "best.json").unlink(missing_ok=True)
        elif best_one != best(folder):
            _replace(folder / "best.json", best_one)
        kept = {pointer.checkpoint for pointer in (now, best_one) if pointer is not None}
    for entry in sorted((folder / FOLDER).glob("*")):
        if entry.name not in kept:
            shutil.rmtree(entry, ignore_errors=True)


def _point(folder: Path, state: State) -> None:
    _replace(folder / "last.json", state.pointer)
    if state.best is not None and state.best != best(folder):
        _replace(folder / "best.json", state.best)


def _pointer(file: Path) -> Pointer | None:
    try:
        return Pointer(**json.loads(file.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise _damaged(file, error) from error


def _replace(file: Path, pointer: Pointer) -> None:
    temporary = file.with_name(f".{file.name}")
    temporary.write_text(json.dumps(asdict(pointer)) + "\n", encoding="utf-8")
    _sync(temporary)
    temporary.replace(file)
    _sync(file.parent)


def _sync(file: Path) -> None:
    """Have a file or folder on disk before anything that relies on it is written."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stored(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in sorted(tensors.items())}


def _tensors(file: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(file))
    except (OSError, SafetensorError) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"{file}: cannot be read ({error}). To go on from the best checkpoint copy best.json of the run over its "
        "last.json; without one, begin a new run in another folder"
    )


def _not_written(folder: Path, step: int, error: Exception) -> str:
    now = last(folder)
    stands = f"that of step {now.step} is whole" if now else "there is none earlier"
    used = _size_mb((path(folder, now) if now else folder).glob("*"))
    return (
        f"{folder / FOLDER}: the checkpoint of step {step} cannot be written ({error}); {stands}. "
        f"A run holds up to three for a moment{f', {used:,.0f} MB each' if now else ''}: make room, then "
        f"`artune train --resume {folder}` goes on"
    )


def _size_mb(files: Iterable[Path]) -> float:
    return sum(file.stat().st_size for file in files) / 1e6


def short(value: Any) -> str:  # noqa: ANN401 - any value of JSON
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}..."
