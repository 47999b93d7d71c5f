"""Zero-shot answers about pictures by a CLIP model, in the layout in which open_clip publishes models on the Hub."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from curation import images
from curation.models import Loaded, Scores, _torch
from curation.torch_imports import import_torchvision

VERSION = 1
MODALITY = "image"
REQUIRES = ("torch", "torchvision", "open_clip")
FILES = (
    ("open_clip_config.json",),
    # in the order in which open_clip itself looks for them
    ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin"),
)
AT_ONCE = 8  # decoding 8 pictures takes longer than a GPU's pass over them, and a CPU gains nothing from more
OVERSAMPLED = 2  # a picture is decoded this many times larger than the model's input, which takes its middle


def library_versions() -> str:
    return f"{images.decoder_version()}, open_clip {version('open_clip_torch')}"


def load(weights: Path, answers: Sequence[Sequence[str]]) -> Loaded:
    return _Clip(weights, answers)


class _Clip:
    def __init__(self, weights: Path, answers: Sequence[Sequence[str]]) -> None:
        import torch

        import_torchvision()
        import open_clip

        source = f"local-dir:{weights}"
        self._device = _torch.device()
        self._model, self._transform = open_clip.create_model_from_pretrained(source, device=self._device)
        self._model.eval()
        size = self._model.visual.image_size
        self._side_px = OVERSAMPLED * max(size if isinstance(size, tuple) else (size,))
        tokens = open_clip.get_tokenizer(source)([prompt for prompts in answers for prompt in prompts])
        with torch.inference_mode():
            embedded = self._model.encode_text(tokens.to(self._device), normalize=True)
            self._answers = _torch.mean_of_prompts(embedded, answers) * self._model.logit_scale.exp()

    def read(self, path: Path) -> Any:  # noqa: ANN401 - a torch.Tensor of shape (3, height, width)
        return self._transform(images.normalize(path, self._side_px).image)

    def scores(self, items: Sequence[Any]) -> Scores:
        import torch

        # Every pass has the same shape: which neighbors a picture has must not change how its sums are rounded.
        batch = torch.stack([*items, *[torch.zeros_like(items[0])] * (AT_ONCE - len(items))])
        with torch.inference_mode():
            embedded = self._model.encode_image(batch.to(self._device), normalize=True)
            return _torch.rounded(embedded @ self._answers.T)[: len(items)]
