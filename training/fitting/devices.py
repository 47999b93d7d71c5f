"""What a process computes on, and in which precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs

from rules.errors import ConfigurationError
from training.recipe import Recipe

PATIENCE = timedelta(hours=2)  # of the other processes while the main one draws samples or writes a large checkpoint


def accelerator_for(recipe: Recipe) -> Accelerator:
    """Return accelerate's view of this process: its GPU or the CPU, and the other processes of the run.

    Raises:
        ConfigurationError: the device cannot compute in the precision of the recipe.
    """
    on_cpu = not torch.cuda.is_available()
    precision = recipe.mixed_precision
    if precision == "fp16" and on_cpu:
        raise ConfigurationError(
            "mixed_precision: fp16 needs a GPU, and none is here: expected bf16 or no on a CPU, in a new run"
        )
    if precision == "bf16" and not on_cpu and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ConfigurationError(
            f"mixed_precision: bf16 is not what {torch.cuda.get_device_name()} computes in: expected fp16 or no, in a "
            "new run"
        )
    # accelerate keeps one state a process and refuses a second precision; a process may train twice, as a worker does.
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(
        cpu=on_cpu,
        mixed_precision=precision,
        kwargs_handlers=[
            DistributedDataParallelKwargs(broadcast_buffers=False),  # no buffer of ours ever changes
            InitProcessGroupKwargs(timeout=PATIENCE),
        ],
    )


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """Let torch compute in one thread where the device is the CPU; elsewhere nothing changes.

    How many threads share a sum decides its order and so its last bits: a run would not go on with the same ones on a
    machine of other cores. Threads that wait for each other are also far slower than one where others want the cores.
    Enter it after the accelerator is made, which sets a number of its own where several processes share a CPU.
    """
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
