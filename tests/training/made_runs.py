"""Runs without a training: their folders are written as a training would."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from training import models, recipe
from training.data import Revision
from training.fitting import checkpoints
from training.fitting.checkpoints import State
from training.models.audiotoken import AudioToken
from training.recipe import Recipe
from training.runs.drawing import Sample
from training.runs.record import Record
from training.runs.run import Run

CHANGES = ("train.unet=frozen", "duration_s=1", "image_size_px=16", "epochs=2", "samples.steps=1")
LABELS = ("Dawn", "Noon $x_1$", "Dusk | *night*")
STEPS = 8  # of two epochs
BASE = {"unet": "a" * 64, "vae": "b" * 64, "text_encoder": "c" * 64, "encoder": "d" * 64}


def tiny(*changes: str) -> Recipe:
    return recipe.load("tiny", [*CHANGES, *changes])


def revision(**facts: Any) -> Revision:
    """Give a revision as `open_revision` does; there are no files behind it."""
    known = {
        "where": "ida/times@v3",
        "location": f"ida/times@{'0' * 40}",
        "version": "v3",
        "commit": "0" * 40,
        "data_set": "times",
        "digest": "e" * 64,
        "label_names": LABELS,
        "sample_rate_hz": 22_050,
        "media": "",
        "files": None,
        "names": {},
    }
    return Revision(**{**known, **facts})


def made(out: Path, chosen: Recipe | None = None, data: Revision | None = None, **how: Any) -> Run:
    """Make a run of which nothing is done."""
    return Run.create(out, chosen or tiny(), data or revision(), **{"recipe_name": "tiny", "changes": CHANGES, **how})


def begun(record: Record, step: int = 0, epoch: int = 1, metrics_bytes: int = 0, **facts: Any) -> None:
    known = {"base_sha256": BASE, "parameters": 1_000, "trained_parameters": 10}
    record.begin(step=step, epoch=epoch, metrics_bytes=metrics_bytes, **{**known, **facts})


def step_row(step: int) -> dict[str, Any]:
    parts = {"loss": 1 / step, "noise": 0.9 / step, "l1": 0.1 / step}
    return {"kind": "step", "step": step, "epoch": (step - 1) // 4 + 1, **parts, "learning_rate": 1e-3}


def epoch_row(epoch: int) -> dict[str, Any]:
    return {"kind": "epoch", "step": 4 * epoch, "epoch": epoch, "train_loss": 0.5 / epoch, "validation_loss": 1 / epoch}


def picture(number: int = 0, side_px: int = 16) -> Image.Image:
    pixels = torch.randint(0, 256, (side_px, side_px, 3), generator=torch.Generator().manual_seed(number))
    return Image.fromarray(pixels.to(torch.uint8).numpy())


def finished(out: Path, chosen: Recipe | None = None, data: Revision | None = None, epochs: int = 2, **how: Any) -> Run:
    """Write the folder of a run whose model is as it was drawn; of fewer epochs than the recipe's, it is unfinished."""
    run = made(out, chosen, data, **how)
    model = built(run)
    with run.recording() as record:
        trained = sum(parameter.numel() for parameter in model.trainable().values())
        begun(record, base_sha256=model.base_sha256, trained_parameters=trained)
        for epoch in range(1, epochs + 1):
            for step in range(4 * epoch - 3, 4 * epoch + 1):
                record.metric(step_row(step))
            record.metric(epoch_row(epoch))
            record.samples(epoch, 4 * epoch, [Sample("A song", LABELS[0], [picture(epoch)])])
            record.epoch(epoch, items=8, wall_s=2.0)
            checkpoint(run, record, model, epoch)
            record.checkpoint()
        if epochs == run.recipe.epochs:
            record.finish(4 * epochs)
    return run


def built(run: Run) -> AudioToken:
    model: AudioToken = models.get(run.recipe.model).build(run.recipe, run.label_names)
    return model


def checkpoint(run: Run, record: Record, model: AudioToken, epoch: int) -> None:
    identity = {"recipe": run.recipe.digest}
    state = State(4 * epoch, epoch, 4, record.metrics_bytes(), 1 / epoch, None, None, identity)
    checkpoints.write(run.folder, replace(state, best=state.pointer), model.trained_state(), {})
