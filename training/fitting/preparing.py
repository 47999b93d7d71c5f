"""All that a run needs before its next step, as its last checkpoint or nothing but its recipe tells it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from rules.errors import ConfigurationError
from training import models
from training.fitting import checkpoints
from training.fitting.checkpoints import State
from training.fitting.ema import Mean
from training.fitting.stepping import Stepper, optimizer_of
from training.models.audiotoken import AudioToken
from training.reading.cache import Cache
from training.reading.loading import Loader
from training.recipe import Recipe
from training.runs.run import Run

RAW = "raw/"  # before the names of weights that go on being trained, where their mean is what is used

# What a checkpoint and the run that goes on from it have in common, and how it is called.
_IDENTITY = {
    "recipe": "the recipe is",
    "data": "the data are",
    "label_names": "the labels are",
    "base_sha256": "the sha256 of the frozen weights is",
    "microbatches": "the batches in a step are",
    "steps_per_epoch": "the steps in an epoch are",
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that can take its next step.

    Args:
        recipe: of the run, with the accumulation that its number of processes asks for.
        mean: of the weights; None if the recipe wants none.
        validation: None if the revision has no such split.
        steps_per_epoch: the last one of an epoch is filled up from its beginning.
        state: where the run stands.
    """

    recipe: Recipe
    accelerator: Accelerator
    model: AudioToken
    optimizer: torch.optim.Optimizer
    stepper: Stepper
    mean: Mean | None
    loader: Loader
    validation: Loader | None
    steps_per_epoch: int
    state: State

    @property
    def steps(self) -> int:
        """Return how many the whole run has."""
        return self.steps_per_epoch * self.recipe.epochs

    @property
    def items_per_step(self) -> int:
        processes: int = self.accelerator.num_processes
        return self.recipe.batch_size * self.recipe.accumulation * processes

    def meant(self) -> AbstractContextManager[None]:
        """Let the model have the weights that are to be used."""
        return nullcontext() if self.mean is None else self.mean.swapped()

    def write(self, folder: Path, state: State) -> None:
        """Write a checkpoint of now."""
        trainable = self.model.trainable()
        training = {
            f"{key}/{name}": value
            for name, parameter in trainable.items()
            for key, value in self.optimizer.state.get(parameter, {}).items()
        }
        if self.mean is not None:
            training |= {RAW + name: value for name, value in self.model.trained_state().items()}
        with self.meant():
            checkpoints.write(folder, state, self.model.trained_state(), training)


def prepared(run: Run, accelerator: Accelerator) -> Prepared:
    """Build the model, open the data, and put back what the last checkpoint holds.

    Raises:
        ConfigurationError: the checkpoint is damaged, or was written by a run that this one cannot go on with.
    """
    now = checkpoints.last(run.folder)
    checkpoint = None if now is None else checkpoints.path(run.folder, now)
    state = None if checkpoint is None else checkpoints.state(checkpoint)
    count = accelerator.num_processes
    # How many processes share a step may change, what it is made of may not: each takes more or fewer of its batches.
    microbatches = state.identity.get("microbatches", 0) if state else run.recipe.accumulation * count
    recipe = run.recipe.model_copy(update={"accumulation": _share(microbatches, count)})
    accelerator.gradient_accumulation_steps = recipe.accumulation
    model: AudioToken = models.get(recipe.model).build(recipe, run.label_names)
    loader, validation = _loaders(run, recipe, model)
    identity = {
        "recipe": run.recipe.digest,
        "data": dict(run.described),
        "label_names": list(run.label_names),
        "base_sha256": dict(model.base_sha256),
        "microbatches": microbatches,
        "steps_per_epoch": loader.steps_per_epoch(count),
    }
    model.to(accelerator.device)
    if state is not None and checkpoint is not None:
        _refuse_another(checkpoint, state, identity)
        model.load_trained(checkpoints.model_state(checkpoint))
    state = state or State(0, 1, 0, 0, None, None, None, identity)
    mean = None if recipe.ema_decay is None else Mean(model.trainable(), recipe.ema_decay, state.step)
    optimizer = optimizer_of(model, recipe)
    if checkpoint is not None:
        _put_back(model, optimizer, checkpoints.optimizer_state(checkpoint))
    wrapped, accelerated = accelerator.prepare(model, optimizer)
    if accelerator.scaler is not None and state.scaler is not None:
        accelerator.scaler.load_state_dict(dict(state.scaler))
    steps_per_epoch: int = identity["steps_per_epoch"]
    stepper = Stepper(accelerator, model, wrapped, accelerated, steps_per_epoch * recipe.epochs)
    return Prepared(recipe, accelerator, model, optimizer, stepper, mean, loader, validation, steps_per_epoch, state)


def _share(microbatches: int, processes: int) -> int:
    """Return how many batches of a step each process takes."""
    if microbatches == 0 or microbatches % processes:
        fitting = [str(n) for n in range(1, microbatches + 1) if microbatches % n == 0]
        raise ConfigurationError(
            f"a step of this run is made of {microbatches} batches, which {processes} processes cannot share evenly: "
            f"expected {' or '.join(fitting)} processes"
        )
    return microbatches // processes


def _loaders(run: Run, recipe: Recipe, model: AudioToken) -> tuple[Loader, Loader | None]:
    settings = run.settings
    cache = None if settings.cache is None else Cache(settings.cache, settings.cache_limit_bytes)
    splits = [run.revision.split(name) for name in ("train", "validation")]
    loader, validation = (
        None if split is None else Loader(split, recipe, model, cache, settings.threads) for split in splits
    )
    assert loader is not None  # a revision without pairs to train on is refused where it is opened
    return loader, validation


def _refuse_another(checkpoint: Path, state: State, identity: Mapping[str, Any]) -> None:
    different = [
        f"{said} {checkpoints.short(state.identity.get(key))} there, {checkpoints.short(identity[key])} now"
        for key, said in _IDENTITY.items()
        if state.identity.get(key) != identity[key]
    ]
    if different:
        raise ConfigurationError(
            f"{checkpoint}: cannot go on from it, for it belongs to another run: {'; '.join(different)}; expected the "
            "same, or a new run in another folder"
        )


def _put_back(model: AudioToken, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give the weights and the optimizer what they had."""
    raw = {name.removeprefix(RAW): value for name, value in tensors.items() if name.startswith(RAW)}
    if raw:
        model.load_trained(raw)
    trainable = model.trainable()
    for place, value in tensors.items():
        key, _, name = place.partition("/")
        if f"{key}/" != RAW:
            # AdamW counts its steps on the CPU wherever the weights are.
            on = value if key == "step" else value.to(trainable[name].device)
            optimizer.state[trainable[name]][key] = on
