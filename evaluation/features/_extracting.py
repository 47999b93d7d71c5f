"""What the families share: a network in memory, and passes of one shape."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from curation.errors import ItemError
from evaluation.features import Features, Wave
from training.weights import weights_sha256

T = TypeVar("T")
STAND_IN = "stand-in: "  # begins the name of a network whose figures must not be called as published ones
FULL_SCALE = 32_768  # of int16: samples are heard in [-1, 1)
# Items in one pass. On a CPU each is alone: the sums of two are not rounded alike at two places of a pass. A GPU would
# idle, so its passes are filled up to one shape, in which a row's sums do not depend on the other rows.
AT_ONCE = {"cpu": 1, "cuda": 16}


class Extracting:
    """A network; a family overrides what it takes. See `evaluation.features.Extractor`.

    Args:
        network: on the CPU; it is moved to a GPU if there is one.
        version: of the family's own code.
        settings: that decide over vectors as weights do, where the same weights may come with others.
    """

    sample_rate_hz: int | None = None

    def __init__(self, name: str, network: nn.Module, width: int, version: int, settings: str = "") -> None:
        self.name = name
        self.is_stand_in = name.startswith(STAND_IN)
        self.weights_sha256 = weights_sha256(network)
        if settings:
            self.weights_sha256 = hashlib.sha256(f"{self.weights_sha256}\0{settings}".encode()).hexdigest()
        self.version = version
        self.width = width
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.to(self.device).eval().requires_grad_(False)

    def images(self, pictures: Sequence[Image.Image]) -> Features:
        raise TypeError(f"{self.name} sees nothing")

    def sounds(self, waves: Sequence[Wave], sample_rate_hz: int) -> Features:
        raise TypeError(f"{self.name} hears nothing")

    def texts(self, prompts: Sequence[str]) -> Features:
        raise TypeError(f"{self.name} does not read")

    def passed(self, items: Sequence[T], prepare: Callable[[T], Tensor], run: Callable[[Tensor], Tensor]) -> Features:
        """Return a vector of each item, which does not depend on the others.

        Args:
            prepare: item -> what the network takes, of one shape for all items.
            run: shape (AT_ONCE, ...) -> shape (AT_ONCE, width).
        """
        at_once = AT_ONCE[self.device.type]
        features = np.zeros((len(items), self.width), np.float32)
        for start in range(0, len(items), at_once):
            prepared = [prepare(item) for item in items[start : start + at_once]]
            n = len(prepared)
            batch = torch.stack([*prepared, *[prepared[0]] * (at_once - n)]).to(self.device)
            with (
                torch.inference_mode(),
                torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False),
            ):
                features[start : start + n] = run(batch)[:n].float().cpu().numpy()
        return features

    def joined(self, vectors: Sequence[Features]) -> Features:
        """Return vectors of shape (1, width) as one array, shape (n, width)."""
        return np.concatenate([np.zeros((0, self.width), np.float32), *vectors])

    def heard(self, wave: Wave, sample_rate_hz: int, min_samples: int) -> Tensor:
        """Return a clip as float32, shape (n_samples,), range [-1, 1).

        Raises:
            ItemError: "too_short".
            ValueError: the caller has not resampled it, or mixed its channels.
        """
        if sample_rate_hz != self.sample_rate_hz:
            raise ValueError(f"{self.name} hears {self.sample_rate_hz} Hz, not {sample_rate_hz} Hz")
        if wave.ndim != 1 or wave.dtype != np.int16:
            raise ValueError(f"expected int16 of shape (n_samples,), not {wave.dtype} of shape {wave.shape}")
        if len(wave) < min_samples:
            raise ItemError("too_short", f"{len(wave)} samples, {self.name} needs {min_samples}")
        return torch.from_numpy(wave.astype(np.float32) / FULL_SCALE)


def pixels(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """Return the pixels of a picture, shape (height, width, 3)."""
    return np.asarray(picture.convert("RGB"))


def middle(picture: Image.Image, shorter_px: int, side_px: int) -> Image.Image:
    """Return the middle of a picture, as networks of ImageNet see it: its shorter side resized, bicubic, then a square.

    Args:
        shorter_px: what its shorter side is resized to.
        side_px: of the square.
    """
    width, height = picture.size
    scale = shorter_px / min(width, height)
    size = [max(shorter_px, int(side * scale)) for side in (width, height)]
    resized = picture.convert("RGB").resize((size[0], size[1]), Image.Resampling.BICUBIC)
    left, top = ((side - side_px) // 2 for side in size)
    return resized.crop((left, top, left + side_px, top + side_px))


def normalized(picture: Image.Image, mean: Sequence[float], deviation: Sequence[float]) -> Tensor:
    """Return a picture as float32, shape (3, height, width).

    Args:
        mean: of red, green and blue in [0, 1]; deviation likewise.
    """
    values = torch.from_numpy(pixels(picture).transpose(2, 0, 1).astype(np.float32)) / 255
    return (values - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(deviation).view(3, 1, 1)
