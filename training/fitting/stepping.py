"""One step of training: some micro-batches forward and backward in every process, then one change of the weights."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import gather_object
from torch import Tensor

from rules.errors import ConfigurationError
from training import draws
from training.batch import Batch, training_draws
from training.fitting.schedule import learning_rate
from training.models.audiotoken import AudioToken
from training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Taken:
    """What a step has shown.

    Args:
        losses: "total" and its parts, the mean over all items of the step.
        gradient_norm: before clipping, over all that is trained; None where it is left out.
        is_left_out: the gradients overflowed float16; their scale was lowered and no weight changed.
    """

    losses: dict[str, float]
    learning_rate: float
    gradient_norm: float | None
    is_left_out: bool


def optimizer_of(model: AudioToken, recipe: Recipe) -> torch.optim.AdamW:
    settings = recipe.optimizer
    return torch.optim.AdamW(
        model.trainable().values(),
        lr=0.0,  # each step sets its own
        betas=settings.betas,
        eps=settings.epsilon,
        weight_decay=settings.weight_decay,
    )


class Stepper:
    """Takes steps.

    Args:
        model: as it was built.
        wrapped: the same, as accelerate prepared it.
        optimizer: as accelerate prepared it.
        steps: of the whole run.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        model: AudioToken,
        wrapped: torch.nn.Module,
        optimizer: AcceleratedOptimizer,
        steps: int,
    ) -> None:
        self._accelerator = accelerator
        self._model = model
        self._wrapped = wrapped
        self._optimizer = optimizer
        self._steps = steps
        self._parameters = list(model.trainable().values())

    def take(self, step: int, epoch: int, batches: Sequence[Batch]) -> Taken:
        """Change the weights once.

        Args:
            step: from 1.
            epoch: from 0.
            batches: the micro-batches of this process.

        Raises:
            ConfigurationError: the loss is not a number; the weights are as before.
        """
        recipe, accelerator = self._model.recipe, self._accelerator
        items_per_step = recipe.batch_size * len(batches) * accelerator.num_processes
        rate = learning_rate(recipe.optimizer, recipe.schedule, step, self._steps, items_per_step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        names, losses = self._backward(step, epoch, batches)
        where = f"step {step}, epoch {epoch + 1}, learning rate {rate:g}"
        self._check(losses, batches, where)
        # Without a limit the norm is still wanted, and infinity as the limit changes no gradient.
        norm = accelerator.clip_grad_norm_(self._parameters, recipe.optimizer.max_gradient_norm or math.inf).item()
        if accelerator.scaler is None and not math.isfinite(norm):
            raise _diverged("the gradients are", norm, _together(batches), where)
        self._optimizer.step()
        self._optimizer.zero_grad()
        means = dict(zip(names, losses.mean(0).tolist(), strict=True))
        is_left_out = bool(self._optimizer.step_was_skipped)
        return Taken(means, rate, None if is_left_out else norm, is_left_out)

    def _backward(self, step: int, epoch: int, batches: Sequence[Batch]) -> tuple[list[str], Tensor]:
        """Return the names of the losses, and their values in all processes: float64, shape (micro-batches, names)."""
        accelerator, model = self._accelerator, self._model
        first = accelerator.process_index * len(batches)
        rows: list[Tensor] = []
        names: list[str] = []
        for number, batch in enumerate(batches, start=first):
            drawn = training_draws(batch, model.recipe.seed, epoch, model.n_timesteps)
            with accelerator.accumulate(self._wrapped):
                torch.manual_seed(draws.number(model.recipe.seed, "dropout", step, number))
                losses = self._wrapped(batch.to(accelerator.device), drawn.to(accelerator.device))
                accelerator.backward(losses.total)
            names = ["total", *losses.parts]
            rows.append(torch.stack([losses.total.detach(), *losses.parts.values()]))
        return names, accelerator.gather(torch.stack(rows)).cpu().double()

    def _check(self, losses: Tensor, batches: Sequence[Batch], where: str) -> None:
        bad = [row for row, total in enumerate(losses[:, 0].tolist()) if not math.isfinite(total)]
        if not bad:
            return
        first = self._accelerator.process_index * len(batches)
        own = [pair_id for row in bad if 0 <= row - first < len(batches) for pair_id in batches[row - first].pair_ids]
        raise _diverged("the loss is", losses[bad[0], 0].item(), gather_object(own), where)


def _together(batches: Sequence[Batch]) -> list[str]:
    return list(gather_object([pair_id for batch in batches for pair_id in batch.pair_ids]))


def _diverged(what: str, value: float, pair_ids: Sequence[str], where: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where}: {what} {value}, of the pairs {', '.join(pair_ids)}. No weight and no checkpoint was changed by it. "
        "Begin a new run with a lower optimizer.learning_rate, more schedule.warmup_steps, a lower "
        "optimizer.max_gradient_norm or mixed_precision: bf16 or no instead of fp16; where it stops at the same pairs "
        "again, look at them"
    )
