"""Memory and arithmetic of each recipe at its full size, on paper: `python -m benchmarks.training_memory`.

One step of the real model runs on torch's meta device: all shapes and no numbers, so it needs no GPU and no weights.
Every tensor that the step makes is counted from its birth to its end, and so is every multiplication. Attention is
counted as CUDA's memory-efficient kernel computes it. Not counted: what CUDA itself takes (about 0.5 GB), the workspace
of its kernels, and memory lost to fragmentation, for which SPARE leaves room.
"""

import argparse
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

import rules
from tests.training.published import SETTINGS
from training import models, recipe
from training.batch import Batch, Draws
from training.models.audiotoken import AudioToken
from training.recipe import Recipe

GPUS_GB = (12, 24, 80)
SPARE = 0.1  # of a GPU's memory, beside CUDA's own
CUDA_GB = 0.5
GB = 1e9
# NVIDIA A100 Tensor Core GPU data sheet, dense: TF32 where a recipe has full precision, else BF16; and the share of it
# that diffusion models reach in practice, which is a guess: divide by your own.
PEAK_FLOPS = {"no": 156e12, "bf16": 312e12, "fp16": 312e12}
UTILIZATION = 0.4


@dataclass(frozen=True)
class Needs:
    """What a step takes.

    Attributes:
        weights, optimizer: bytes that stay: all weights; gradients, both of AdamW's moments, and the mean's copies.
        activations: bytes at the step's peak beside these.
        operations: floating point operations of a step with all its batches, latents and features being cached.
        cached: those that the caches spare in each step after the first epoch.
    """

    trained: int
    weights: int
    optimizer: int
    activations: int
    operations: int
    cached: int

    @property
    def gb(self) -> float:
        """All of it, in 10^9 bytes."""
        return (self.weights + self.optimizer + self.activations) / GB


class Peak(TorchDispatchMode):
    """Counts the bytes of all tensors that are made while it is on, and how many there were at once."""

    def __init__(self, known: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.now = self.most = 0
        self._seen: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet(one.untyped_storage() for one in known)

    def __torch_dispatch__(self, operator: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = operator(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage() not in self._seen:
                storage = leaf.untyped_storage()
                self._seen.add(storage)
                self.now += storage.nbytes()
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self._drop, storage.nbytes())
        return made

    def _drop(self, size_bytes: int) -> None:
        self.now -= size_bytes


@contextmanager
def efficient_attention() -> Iterator[None]:
    """Let attention be computed as on a GPU: on the meta device torch would write out the whole matrix."""
    plain = torch.nn.functional.scaled_dot_product_attention

    def efficient(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
    ) -> torch.Tensor:
        kernel = torch.ops.aten._scaled_dot_product_efficient_attention
        if attn_mask is not None:
            attn_mask = attn_mask.to(query.dtype).expand(*query.shape[:-1], key.shape[-2])
        out: torch.Tensor = kernel(query, key, value, attn_mask, True, dropout_p, is_causal, scale=scale)[0]
        return out

    torch.nn.functional.scaled_dot_product_attention = efficient
    try:
        yield
    finally:
        torch.nn.functional.scaled_dot_product_attention = plain


def full_size(chosen: Recipe) -> Recipe:
    """Return a recipe whose weights are drawn, for the meta device: of Stable Diffusion v1-4's and BEATs' sizes."""
    base = recipe.Base(random=SETTINGS)
    encoder = recipe.Encoder(name=chosen.encoder.name, random={}, blocks=chosen.encoder.blocks)
    return chosen.model_copy(update={"base": base, "encoder": encoder})


def batch_of(model: AudioToken, chosen: Recipe) -> tuple[Batch, Draws]:
    """Return a batch and its draws without numbers."""
    n, side = chosen.batch_size, chosen.image_size_px // 8
    samples = int(chosen.duration_s * model.sample_rate_hz)
    heard: dict[str, torch.Tensor] = {"waves": torch.zeros(n, samples), "lengths": torch.full((n,), samples)}
    if chosen.cache_features:
        with torch.no_grad():
            features, mask = model.features(torch.zeros(samples))
        heard = {"features": features.expand(n, -1, -1), "mask": mask.expand(n, -1)}
    ids = tuple(map(str, range(n)))
    batch = Batch(ids, tuple(range(n)), torch.zeros(n, dtype=torch.int64), torch.zeros(n, 8, side, side), **heard)
    noise = torch.zeros(n, 4, side, side)
    return batch, Draws(noise, noise, torch.zeros(n, dtype=torch.int64))


def measured(chosen: Recipe) -> Needs:
    """Run one batch of a recipe on the meta device, and reckon what a step takes."""
    with torch.device("meta"), efficient_attention():
        model = models.get(chosen.model).build(full_size(chosen), rules.load("museart18").label_names)
        batch, draws = batch_of(model, chosen)
        model.train()
        trainable = model.trainable()
        # Gradients are there when the second batch of a step is at its peak.
        for parameter in trainable.values():
            parameter.grad = torch.zeros_like(parameter)
        known = [*model.parameters(), *model.buffers(), *(parameter.grad for parameter in trainable.values())]
        with Peak([one for one in known if one is not None]) as peak, FlopCounterMode(display=False) as counter:
            model(batch, draws).total.backward()
    trained_bytes = sum(parameter.nbytes for parameter in trainable.values())
    weights = sum(one.nbytes for one in [*model.parameters(), *model.buffers()])
    copies = 3 + (2 if chosen.ema_decay else 0)
    return Needs(
        trained=sum(parameter.numel() for parameter in trainable.values()),
        weights=weights,
        optimizer=copies * trained_bytes,
        activations=peak.most,
        operations=counter.get_total_flops() * chosen.accumulation,
        cached=spared(model, chosen) * chosen.batch_size * chosen.accumulation,
    )


def spared(model: AudioToken, chosen: Recipe) -> int:
    """Return what makes the latents of one picture and, where they are cached, the features of one clip."""
    with FlopCounterMode(display=False) as counter:
        model.moments(torch.zeros(3, chosen.image_size_px, chosen.image_size_px, dtype=torch.uint8))
        if chosen.cache_features:
            model.features(torch.zeros(int(chosen.duration_s * model.sample_rate_hz)))
    operations: int = counter.get_total_flops()
    return operations


def table(rows: Sequence[tuple[str, Needs, Recipe]]) -> Table:
    """Return the table that stands in the README."""
    made = Table("Recipe", "Precision", title="One GPU, one step at full size, on paper")
    for name in ("Trained", "Weights", "Gradients, optimizer", "Activations", "In all", "GPU"):
        made.add_column(name, justify="right")
    for name in ("TFLOP a step", "spared by caches"):
        made.add_column(name, justify="right")
    made.add_column("A100, s", justify="right")
    for name, needs, chosen in rows:
        fitting = [gpu for gpu in GPUS_GB if needs.gb + CUDA_GB <= gpu * (1 - SPARE)]
        seconds = needs.operations / (PEAK_FLOPS[chosen.mixed_precision] * UTILIZATION)
        made.add_row(
            name,
            chosen.mixed_precision,
            f"{needs.trained:,}",
            *(f"{one / GB:.2f} GB" for one in (needs.weights, needs.optimizer, needs.activations)),
            f"{needs.gb:.1f} GB",
            f"{fitting[0]} GB" if fitting else f"over {GPUS_GB[-1]} GB",
            f"{needs.operations / 1e12:.1f}",
            f"{needs.cached / 1e12:.1f}",
            f"{seconds:.2f}",
        )
    return made


def main() -> None:
    """Reckon and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=[], help="all that have weights to load, if none is named")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of `artune train`")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.recipes or recipe.names():
        chosen = recipe.load(name, arguments.set)
        if chosen.base.weights:
            rows.append((name, measured(chosen), chosen))
    Console(width=160).print(table(rows))


if __name__ == "__main__":
    main()
