"""Inception v3 as the Frechet distance is defined by (Heusel et al. 2017, arXiv 1706.08500), by torch-fidelity.

Its last pooled features, of weights that were converted from TensorFlow's. A picture is squashed to 299 x 299 by the
resizing of TensorFlow 1, which does not smooth: pictures of different sizes differ by that alone.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from curation.torch_imports import import_torchvision
from evaluation.features import Features
from evaluation.features._extracting import Extracting, pixels
from evaluation.features._weights import Published, found, reading
from rules.errors import ConfigurationError
from training.weights import content_of

import_torchvision()
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3  # noqa: E402

if TYPE_CHECKING:
    from evaluation.networks import Network

KINDS = frozenset({"images"})
VERSION = 1
WIDTH = 2048
# The beginning of its SHA-256 is in its name, as in those of all files of torch's hub.
PUBLISHED = (Published("Inception v3 (torch-fidelity)", URL_INCEPTION_V3, "6726825d"),)


class _Extractor(Extracting):
    def images(self, pictures: Sequence[Image.Image]) -> Features:
        one = [self.passed([picture], _prepared, self._run) for picture in pictures]  # they may differ in their sizes
        return self.joined(one)

    def _run(self, batch: Tensor) -> Tensor:
        features: Tensor = self.network(batch)[0]
        return features


def _prepared(picture: Image.Image) -> Tensor:
    return torch.from_numpy(pixels(picture).transpose(2, 0, 1).copy())


def load(network: "Network", seed: int) -> _Extractor:
    if network.weights is None:
        raise ConfigurationError("weights: expected some: Inception is of no use with random ones")
    weights = found(network, "Inception v3", PUBLISHED, files=())
    read = reading(lambda: _read(weights.path), PUBLISHED)
    return _Extractor(weights.name, read, WIDTH, VERSION)


def _read(path: Path) -> FeatureExtractorInceptionV3:
    """Read a published file.

    Raises:
        ConfigurationError: it is missing, damaged or of another network.
    """
    content = content_of(path)
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"{path}: expected weights by their names")
    # torch-fidelity unpickles whatever a file holds: it is given what was read safely.
    file = io.BytesIO()
    torch.save(dict(content), file)
    file.seek(0)
    try:
        return FeatureExtractorInceptionV3("inception", [str(WIDTH)], feature_extractor_weights_path=file)
    except (RuntimeError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split())[:300]
        raise ConfigurationError(f"{path}: it is not torch-fidelity's Inception ({why})") from None
