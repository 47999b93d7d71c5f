"""Perceptual hashes in the place of a network's features, so that they are made, kept and walked as those are."""

import hashlib
import importlib.metadata
from collections.abc import Sequence
from typing import NoReturn

import imagehash
import numpy as np
from PIL import Image

from evaluation.features import Features, Wave
from evaluation.metrics import Ints

HASH_BITS = 64  # imagehash's default: the lowest 8 x 8 frequencies of a gray picture of 32 x 32


class PerceptualHash:
    """An `Extractor` whose vectors are signs: the product of two is HASH_BITS less twice the bits that they differ in.

    Pictures without shape, such as a plain color, have hashes of noise.
    """

    name = "perceptual hash"
    is_stand_in = False
    version = 1
    width = HASH_BITS
    sample_rate_hz: int | None = None

    def __init__(self) -> None:
        made_by = f"imagehash {importlib.metadata.version('ImageHash')} phash"
        self.weights_sha256 = hashlib.sha256(made_by.encode()).hexdigest()

    def images(self, pictures: Sequence[Image.Image]) -> Features:
        """Return a vector of +1 and -1 of each picture, shape (n, HASH_BITS)."""
        bits = [imagehash.phash(picture).hash.ravel() for picture in pictures]
        return np.where(np.array(bits, dtype=bool).reshape(-1, HASH_BITS), 1.0, -1.0).astype(np.float32)

    def sounds(self, waves: Sequence[Wave], sample_rate_hz: int) -> NoReturn:
        raise TypeError("a perceptual hash hears nothing")

    def texts(self, prompts: Sequence[str]) -> NoReturn:
        raise TypeError("a perceptual hash reads nothing")


def distances_bits(products: Features) -> Ints:
    """Return in how many bits hashes differ whose vectors have these scalar products."""
    return np.rint((HASH_BITS - products) / 2).astype(np.int64)
