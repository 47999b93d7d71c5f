"""Training of a run, from its last checkpoint to its end.

Whatever is drawn, ordered or scheduled follows from the recipe and the number of the step, so a checkpoint holds no
more than tensors and that number, and a run that was killed ends with the bits of one that was not.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from accelerate.utils import gather_object

from training.batch import Batch
from training.fitting import checkpoints
from training.fitting.checkpoints import Pointer
from training.fitting.devices import accelerator_for, one_thread
from training.fitting.preparing import Prepared, prepared
from training.fitting.sampling import drawn
from training.fitting.stepping import Taken
from training.fitting.validation import measured
from training.runs.run import Run

if TYPE_CHECKING:
    from training.runs.record import Record

What = Literal["started", "resumed", "step", "validation", "samples", "checkpoint"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Args:
        step: how many are done.
        epoch: from 1: the one that the step belongs to.
        losses: of the step, "total" and its parts, the mean over its items; empty before the first one.
        items_per_s: of the step, by the wall clock.
        validation_loss: the newest.
        skipped: pairs that were left out because of their media.
        detail: a sentence for a person.
    """

    what: What
    step: int
    steps: int
    epoch: int
    epochs: int
    losses: Mapping[str, float]
    learning_rate: float
    gradient_norm: float | None
    items_per_s: float | None
    validation_loss: float | None
    skipped: int
    detail: str


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run has come to.

    Args:
        best: the checkpoint of the lowest validation loss; where nothing is validated, the last.
        resumed_from: the step that this call went on from; 0: it began the run.
        skipped: pairs that this call left out because of their media.
    """

    folder: Path
    steps: int
    epochs: int
    best: Pointer | None
    last: Pointer | None
    resumed_from: int
    skipped: int


def train(run: Run, told: Callable[[Progress], None]) -> Finished:
    """Train until the last step; a run that stopped goes on from its last checkpoint.

    Every process of a run of several calls this; only the main one writes into the folder and tells anything.

    Raises:
        ConfigurationError: the loss is no number, a checkpoint cannot be written or does not belong to the run, or the
            device cannot compute in the precision asked for.
    """
    if run.is_finished:
        last = checkpoints.last(run.folder)
        done = 0 if last is None else last.step
        return Finished(run.folder, done, run.recipe.epochs, checkpoints.best(run.folder), last, done, 0)
    accelerator = accelerator_for(run.recipe)
    recording = run.recording() if accelerator.is_main_process else nullcontext()
    with one_thread(accelerator.device), recording as record:
        if record is not None:
            checkpoints.tidy(run.folder)
        finished = _Training(run, prepared(run, accelerator), record, told).run_to_end()
    accelerator.end_training()
    return finished


class _Training:
    def __init__(self, run: Run, ready: Prepared, record: "Record | None", told: Callable[[Progress], None]) -> None:
        self._run, self._ready, self._record, self._told = run, ready, record, told
        self._state = ready.state
        self._taken: Taken | None = None
        self._items_per_s: float | None = None
        self._validation_loss = self._state.validation_loss
        self._skipped = 0
        self._losses = self._losses_before()  # of the steps of this epoch

    def run_to_end(self) -> Finished:
        run, ready, resumed_from = self._run, self._ready, self._state.step
        self._begin()
        ready.model.train()
        for epoch in range(resumed_from // ready.steps_per_epoch, ready.recipe.epochs):
            self._one_epoch(epoch)
        if self._record is not None:
            self._record.finish(self._state.step)
        best, last = checkpoints.best(run.folder), checkpoints.last(run.folder)
        return Finished(run.folder, self._state.step, ready.recipe.epochs, best, last, resumed_from, self._skipped)

    def _losses_before(self) -> list[float]:
        """Return the losses of an epoch's steps that were done before the run stopped."""
        if self._record is None or self._state.step % self._ready.steps_per_epoch == 0:
            return []
        rows = (row for row in self._run.rows() if row["kind"] == "step" and row["epoch"] == self._state.epoch)
        return [row["loss"] for row in rows if row["step"] <= self._state.step]

    def _begin(self) -> None:
        ready, state = self._ready, self._state
        if self._record is not None:
            self._record.begin(
                step=state.step,
                epoch=state.step // ready.steps_per_epoch + 1,
                metrics_bytes=state.metrics_bytes,
                base_sha256=ready.model.base_sha256,
                parameters=sum(parameter.numel() for parameter in ready.model.parameters()),
                trained_parameters=sum(parameter.numel() for parameter in ready.model.trainable().values()),
            )
        count, recipe = ready.accelerator.num_processes, ready.recipe
        detail = f"{count} x {recipe.accumulation} x {recipe.batch_size} items a step (processes, batches, items), "
        detail += f"on {ready.accelerator.device}"
        if ready.validation is None:
            detail += "; there is no split validation, so the last checkpoint counts as the best"
        if ready.steps < recipe.schedule.warmup_steps:
            detail += f"; the {ready.steps} steps end before the warm-up of {recipe.schedule.warmup_steps} does"
        if state.step:
            self._tell("resumed", f"from step {state.step}, the same items in the same batches as before: {detail}")
        else:
            self._tell("started", detail)

    def _one_epoch(self, epoch: int) -> None:
        """Take the steps of an epoch, counted from 0, that are not done yet."""
        ready, before, began_s = self._ready, self._state.step, time.monotonic()
        index, count = ready.accelerator.process_index, ready.accelerator.num_processes
        first, last = epoch * ready.steps_per_epoch, (epoch + 1) * ready.steps_per_epoch
        with closing(ready.loader.batches(epoch, before - first, index, count)) as batches:
            for step in range(before + 1, last + 1):
                self._one_step(step, epoch, batches)
                if step == last:
                    self._end_epoch((step - before) * ready.items_per_step, began_s)
                if step == last or step % ready.recipe.checkpoint_every_steps == 0:
                    self._write_checkpoint()
        self._losses = []

    def _one_step(self, step: int, epoch: int, batches: Iterator[Batch]) -> None:
        ready, began_s = self._ready, time.perf_counter()
        taken = ready.stepper.take(step, epoch, list(islice(batches, ready.recipe.accumulation)))
        if ready.mean is not None:
            ready.mean.update()
        self._taken, self._items_per_s = taken, ready.items_per_step / (time.perf_counter() - began_s)
        self._losses.append(taken.losses["total"])
        batch = step - epoch * ready.steps_per_epoch
        self._state = replace(self._state, step=step, epoch=epoch + 1, batch=batch, validation_loss=None)
        if self._record is not None:
            parts = {name: value for name, value in taken.losses.items() if name != "total"}
            row = {"kind": "step", "step": step, "epoch": epoch + 1, "loss": taken.losses["total"], **parts}
            row |= {"learning_rate": taken.learning_rate, "gradient_norm": taken.gradient_norm}
            self._record.metric(row | ({"is_left_out": True} if taken.is_left_out else {}))
        self._tell("step", "left out, for its gradients overflowed float16" if taken.is_left_out else "")

    def _end_epoch(self, items: int, began_s: float) -> None:
        """Validate, draw samples, and write down what the epoch has come to.

        Args:
            items: that this session has taken of it.
            began_s: when it began with them, by the clock of this process.
        """
        ready, epoch = self._ready, self._state.epoch
        with ready.meant():
            if ready.validation is not None and self._is_due(ready.recipe.validation.every_epochs):
                self._validate()
            if ready.recipe.samples.clips and self._is_due(ready.recipe.samples.every_epochs):
                self._draw_samples()
        if self._record is not None:
            row = {"kind": "epoch", "step": self._state.step, "epoch": epoch}
            row["train_loss"] = math.fsum(self._losses) / len(self._losses)
            self._record.metric(row | {"validation_loss": self._state.validation_loss})
            self._record.epoch(epoch, items=items, wall_s=time.monotonic() - began_s)

    def _is_due(self, every_epochs: int) -> bool:
        epoch = self._state.epoch
        return epoch % every_epochs == 0 or epoch == self._ready.recipe.epochs

    def _validate(self) -> None:
        ready, best = self._ready, self._state.best
        assert ready.validation is not None
        index, count = ready.accelerator.process_index, ready.accelerator.num_processes
        batches = ready.validation.validation_batches(index, count, ready.recipe.validation.max_items)
        with closing(batches):
            value = measured(ready.accelerator, ready.model, batches)
        self._state = replace(self._state, validation_loss=value)
        is_best = best is None or best.validation_loss is None or value < best.validation_loss
        if is_best:
            self._state = replace(self._state, best=self._state.pointer)
        self._validation_loss = value
        self._tell("validation", "the best so far" if is_best else "")

    def _draw_samples(self) -> None:
        if self._record is not None:
            ready = self._ready
            # Clips that are trained on are better than none, where a revision has no others.
            samples = drawn(ready.accelerator, ready.model, ready.validation or ready.loader, self._run.label_names)
            self._tell("samples", str(self._record.samples(self._state.epoch, self._state.step, samples)))

    def _write_checkpoint(self) -> None:
        """Make this step the one that a killed run goes on from."""
        ready, scaler = self._ready, self._ready.accelerator.scaler
        own = [*ready.loader.skipped, *(ready.validation.skipped if ready.validation else ())]
        skipped = gather_object(own)  # each process reads pairs of its own
        self._skipped = len({one.pair_id for one in skipped})
        if self._record is None:
            return
        for one in skipped:
            self._record.skipped(*one)
        state = replace(
            self._state,
            metrics_bytes=self._record.metrics_bytes(),
            best=self._state.pointer if ready.validation is None else self._state.best,
            scaler=None if scaler is None else scaler.state_dict(),
        )
        ready.write(self._run.folder, state)
        self._record.checkpoint()
        self._tell("checkpoint", str(checkpoints.path(self._run.folder, state.pointer)))

    def _tell(self, what: What, detail: str) -> None:
        if self._record is None:
            return
        taken, state = self._taken, self._state
        self._told(
            Progress(
                what=what,
                step=state.step,
                steps=self._ready.steps,
                epoch=state.epoch,
                epochs=self._ready.recipe.epochs,
                losses=taken.losses if taken else {},
                learning_rate=taken.learning_rate if taken else 0.0,
                gradient_norm=taken.gradient_norm if taken else None,
                items_per_s=self._items_per_s,
                validation_loss=self._validation_loss,
                skipped=self._skipped,
                detail=detail,
            )
        )
