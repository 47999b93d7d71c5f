"""Items whose neighbors are known: unit vectors that are told apart by one number, and the index of a split."""

import numpy as np
import pyarrow as pa

from evaluation.likeness.neighbors import Looks, Train
from evaluation.result import NetworkFacts

NETWORK = NetworkFacts(
    role="likeness", name="a network", weights=None, weights_sha256="0" * 64, width=8, is_stand_in=True
)


def index(n):
    return pa.table({"pair_id": [f"train{i}" for i in range(n)], "image_sha256": [f"sha{i}" for i in range(n)]})


def signs(draws, n):
    """Hashes with 32 ones each, as perceptual hashes have."""
    rows = np.tile(np.repeat([1.0, -1.0], 32), (n, 1))
    return draws.permuted(rows, axis=1).astype(np.float32)


def differing(bits, n_bits):
    """A hash that differs in so many bits."""
    other = bits.copy()
    ones, zeros = np.flatnonzero(bits > 0)[: n_bits // 2], np.flatnonzero(bits < 0)[: n_bits // 2]
    other[ones], other[zeros] = -1, 1
    return other


def near(draws, row, cosine):
    """A vector at this cosine to another one."""
    direction = row / np.linalg.norm(row)
    aside = draws.normal(size=len(row))
    aside -= (aside @ direction) * direction
    return (cosine * direction + np.sqrt(1 - cosine**2) * aside / np.linalg.norm(aside)).astype(np.float32)


def looks(features, bits, groups=None, split="test"):
    n = len(features)
    groups = np.full(n, -1) if groups is None else groups
    return Looks(
        tuple(f"{split}{i}" for i in range(n)), (split,) * n, np.asarray(groups, dtype=np.int64), features, bits
    )


def train(features, bits, groups=None, at_once=7):
    """The split train, walked in small batches."""
    n = len(features)
    places = [np.arange(start, min(start + at_once, n)) for start in range(0, n, at_once)]
    return Train(
        index(n),
        np.arange(n) if groups is None else np.asarray(groups, dtype=np.int64),
        ((rows, features[rows]) for rows in places),
        None if bits is None else ((rows, bits[rows]) for rows in places),
    )
