"""DINOv2 (Oquab et al. 2023, arXiv 2304.07193) by transformers: what a picture shows, learned without words.

The class token after the last norm. Of a picture the middle 224 x 224 is seen after its shorter side was resized to
256, as the published processors tell.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image
from torch import Tensor

from curation.torch_imports import import_torchvision
from evaluation.features import Features
from evaluation.features._extracting import STAND_IN, Extracting, middle, normalized
from evaluation.features._weights import Published, found, reading
from training import transformers_networks

import_torchvision()
from transformers import Dinov2Config, Dinov2Model  # noqa: E402

if TYPE_CHECKING:
    from evaluation.networks import Network

KINDS = frozenset({"images"})
VERSION = 1
PUBLISHED = tuple(
    Published(f"DINOv2 {size}", f"facebook/dinov2-{name}")
    for name, size in (("large", "ViT-L/14"), ("base", "ViT-B/14"), ("small", "ViT-S/14"), ("giant", "ViT-g/14"))
)
SHORTER_PX, SIDE_PX = 256, 224
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


class _Extractor(Extracting):
    def images(self, pictures: Sequence[Image.Image]) -> Features:
        return self.passed(pictures, _prepared, self._run)

    def _run(self, batch: Tensor) -> Tensor:
        token: Tensor = self.network(batch).last_hidden_state[:, 0]
        return token


def _prepared(picture: Image.Image) -> Tensor:
    return normalized(middle(picture, SHORTER_PX, SIDE_PX), MEAN, DEVIATION)


def load(network: "Network", seed: int) -> _Extractor:
    if network.weights is None:
        written = network.random or {}
        drawn = transformers_networks.draw(Dinov2Model, Dinov2Config, written, "random", seed, "dinov2")
        return _Extractor(f"{STAND_IN}random DINOv2", drawn, drawn.config.hidden_size, VERSION)
    weights = found(network, "DINOv2", PUBLISHED, transformers_networks.FILES)
    read = reading(lambda: transformers_networks.read(Dinov2Model, weights.path, ["dinov2"]), PUBLISHED)
    return _Extractor(weights.name, read, read.config.hidden_size, VERSION)
