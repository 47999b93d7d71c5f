"""The images that are drawn for the same clips at every pass, so that one sees what a run learns."""

from collections.abc import Sequence
from contextlib import closing

import torch
from accelerate import Accelerator

from training.models.audiotoken import AudioToken
from training.reading.loading import Loader
from training.runs.drawing import Sample


def drawn(accelerator: Accelerator, model: AudioToken, loader: Loader, label_names: Sequence[str]) -> list[Sample]:
    """Return an image for each of the first clips of a split; their noise is the same at every pass."""
    recipe, found = model.recipe, []
    model.eval()
    with closing(loader.validation_batches(max_items=recipe.samples.clips)) as batches:
        for batch in batches:
            with torch.no_grad(), accelerator.autocast():
                tokens = model.tokens(batch.to(accelerator.device))
            images = model.generate(
                tokens, n=1, seed=recipe.seed, steps=recipe.samples.steps, guidance=recipe.samples.guidance
            )
            found += [
                Sample(title, label_names[label], of_clip)
                for title, label, of_clip in zip(
                    loader.titles(batch.pair_ids), batch.labels.tolist(), images, strict=True
                )
            ]
    model.train()
    return found
