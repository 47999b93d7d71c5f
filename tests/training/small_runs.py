"""Runs of a few steps on the tiny release, and what is compared between them."""

import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from curation.releases import Release
from training import recipe
from training.data import open_revision
from training.fitting import checkpoints
from training.fitting.devices import accelerator_for
from training.fitting.loop import Finished, Progress, train
from training.fitting.preparing import Prepared, prepared
from training.runs import drawing
from training.runs.run import Run, Settings

# The tiny recipe, made smaller: 18 pairs are 3 steps of 2 x 4 items, the last filled up; all that chance decides is on.
SMALL = (
    "train.unet=frozen",
    "duration_s=0.3",
    "image_size_px=16",
    "cache_features=false",
    "pairing=label",
    "batch_size=4",
    "accumulation=2",
    "epochs=2",
    "ema_decay=0.9",
    "checkpoint_every_steps=2",
    "validation.timesteps_per_item=2",
    "validation.max_items=5",
    "samples.clips=0",
)
FILES = ("model.safetensors", "optimizer.safetensors", "state.json")


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


def run_of(release: Release, folder: Path, changes: Sequence[str] = ()) -> Run:
    """Make a run, or open the one that is there."""
    settings = Settings(threads=1)
    if (folder / "run.json").exists():
        return Run.open(folder, settings=settings)
    asked = recipe.load("tiny", [*SMALL, *changes])
    return Run.create(folder, asked, open_revision(str(release.folder)), recipe_name="tiny", settings=settings)


def be_plain(patched: pytest.MonkeyPatch) -> None:
    """Let runs draw no losses and measure no energy: both take longer than the training of a small one."""
    patched.setattr(drawing, "losses", lambda rows, out: None)
    patched.setitem(sys.modules, "codecarbon", None)  # as if it was not installed


def trained(run: Run, told: Callable[[Progress], None] = lambda progress: None) -> Finished:
    with pytest.MonkeyPatch.context() as patched:
        be_plain(patched)
        return train(run, told)


def ready(run: Run) -> Prepared:
    """Prepare the next step of a run outside the loop."""
    return prepared(run, accelerator_for(run.recipe))


def killing_at(event: int) -> Callable[[Progress], None]:
    """Return what ends a process when it is told something for the given time, counted from 0."""
    heard: list[Progress] = []

    def told(progress: Progress) -> None:
        heard.append(progress)
        if len(heard) > event:
            raise Killed(progress.what)

    return told


def result(folder: Path) -> dict[str, bytes]:
    """Return all that a run killed and resumed must have in common, bit by bit, with one that was not."""
    found = {name: (folder / name).read_bytes() for name in ("metrics.jsonl", "last.json", "best.json")}
    for pointer in (checkpoints.last(folder), checkpoints.best(folder)):
        assert pointer is not None
        for name in FILES:
            found[f"{pointer.checkpoint}/{name}"] = (checkpoints.path(folder, pointer) / name).read_bytes()
    return found


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return all tensors of a run's last checkpoint."""
    pointer = checkpoints.last(folder)
    assert pointer is not None
    checkpoint = checkpoints.path(folder, pointer)
    return {**checkpoints.model_state(checkpoint), **checkpoints.optimizer_state(checkpoint)}


@contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    """Let the system refuse to write more into a file: what a disk without room does, but for the word."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
