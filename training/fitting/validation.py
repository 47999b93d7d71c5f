"""The loss on pairs that are not trained on, with the same noise and time steps of each at every pass."""

import math
from collections.abc import Iterable

from accelerate import Accelerator
from accelerate.utils import gather_object

from rules.errors import ConfigurationError
from training.batch import Batch, validation_draws
from training.models.audiotoken import AudioToken


def measured(accelerator: Accelerator, model: AudioToken, batches: Iterable[Batch]) -> float:
    """Return the mean squared error of the noise over all items of all processes.

    What is drawn depends on an item's name alone, and the sum is exact, so neither the order of the items nor how many
    processes share them changes a bit of it. Penalties and weights of the loss are not in it: it is comparable between
    recipes.

    Args:
        batches: those of this process.
    """
    recipe, losses = model.recipe, []
    for batch in batches:
        moved = batch.to(accelerator.device)
        for part in range(recipe.validation.timesteps_per_item):
            drawn = validation_draws(
                batch, recipe.seed, part, recipe.validation.timesteps_per_item, model.n_timesteps
            ).to(accelerator.device)
            with accelerator.autocast():
                losses += model.validation_loss(moved, drawn).tolist()
    losses = gather_object(losses)
    if not losses:
        raise ConfigurationError("split validation: none of its pairs can be read, skipped.jsonl says why")
    value = math.fsum(losses) / len(losses)
    if not math.isfinite(value):
        raise ConfigurationError(
            f"the validation loss is {value} though the training loss is a number: the checkpoints are as they were; "
            "begin a new run with a lower optimizer.learning_rate, or with mixed_precision: bf16 or no"
        )
    return value
