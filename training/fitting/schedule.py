"""The learning rate as a function of nothing but the number of the step: a resumed run needs no scheduler's state."""

import math

from training.recipe import Optimizer, Schedule


def learning_rate(optimizer: Optimizer, schedule: Schedule, step: int, steps: int, items_per_step: int) -> float:
    """Return the learning rate of one step.

    It rises linearly to its peak at step `warmup_steps`; a cosine then falls by half a period to 0 at the last step.

    Args:
        step: from 1 to `steps`.
        steps: of the whole run; a run that is not longer than its warm-up ends while it still rises.
        items_per_step: over batch, accumulation and processes, for the scaling.
    """
    return peak(optimizer, items_per_step) * share(schedule, step, steps)


def share(schedule: Schedule, step: int, steps: int) -> float:
    """Return the part of its peak, in [0, 1], that the learning rate of one step has."""
    if step <= schedule.warmup_steps:
        return step / schedule.warmup_steps
    if schedule.kind == "constant":
        return 1.0
    done = (step - schedule.warmup_steps) / (steps - schedule.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * done))


def peak(optimizer: Optimizer, items_per_step: int) -> float:
    """Return the recipe's learning rate, scaled as it says.

    Linear: Goyal et al. 2017 (arXiv 1706.02677); by the square root: Krizhevsky 2014 (arXiv 1404.5997), section 5.
    """
    match optimizer.scaling:
        case "linear":
            return optimizer.learning_rate * items_per_step
        case "sqrt":
            return optimizer.learning_rate * math.sqrt(items_per_step)
        case _:
            return optimizer.learning_rate
