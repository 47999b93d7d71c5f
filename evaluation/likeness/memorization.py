"""Which training image each image is most like, beside how like training images real images of the split are.

A real image that no model has seen resembles some training image, too. So what is near is told by real images of the
evaluated split: a copy is more like a training image than 99 of 100 of them are, or has nearly the hash of one. A
training image of an image's own group is never its neighbor, so that the split train has a baseline, too.
"""

import numpy as np

from evaluation.extraction.perceptual_hash import HASH_BITS, distances_bits
from evaluation.likeness.neighbors import (
    Looks,
    Train,
    copy_bits,
    joined,
    nearest,
    nearest_hash,
    rounded,
    unit,
    unit_batches,
)
from evaluation.metrics import Floats
from evaluation.result import Memorization, Nearest
from rules.errors import ConfigurationError

REAL_ITEMS = 1_000  # of the baseline: its 99th percentile is known well enough by so many
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
COPY_QUANTILE = 0.99  # of the real images
SHOWN = 24


def find(generated: Looks, real: Looks, train: Train) -> Memorization:
    """Compare generated and real images with all training images.

    Args:
        generated: of group -1.
        real: images of the same split, at most REAL_ITEMS.
        train: with bits.

    Raises:
        ConfigurationError: there is no real image, or no training image of another group than its own.
    """
    asked = joined(generated, real)
    like = nearest(unit(asked.features), asked.groups, unit_batches(train.features), train.groups)
    hashed = nearest_hash(asked, train)
    if not len(real) or (like.rows < 0).any() or (hashed.rows < 0).any():
        raise ConfigurationError(
            "memorization: expected real images of the split, and training images of other groups than theirs"
        )
    n, likeness, distance = len(generated), rounded(like.products), distances_bits(hashed.products)
    of_real = likeness[n:]
    # "higher" gives a value that is there: of few real images the largest, never one between two.
    limit = float(np.quantile(of_real, COPY_QUANTILE, method="higher"))
    limit_bits = copy_bits(distance[n:])
    is_copy = (likeness > limit) | (distance <= limit_bits)
    pair_ids, shas = train.pairs["pair_id"], train.pairs["image_sha256"]
    order = np.lexsort((np.arange(n), distance[:n], -likeness[:n], ~is_copy[:n]))[:SHOWN]
    return Memorization(
        n=n,
        n_real=len(of_real),
        n_train=len(train.pairs),
        quantiles=list(QUANTILES),
        likeness_quantiles=_quantiles(likeness[:n]),
        real_likeness_quantiles=_quantiles(of_real),
        copy_likeness=limit,
        copy_hash_distance=limit_bits,
        hash_bits=HASH_BITS,
        copies=int(is_copy[:n].sum()),
        real_copies=int(is_copy[n:].sum()),
        nearest=[
            Nearest(
                pair_id=generated.pair_ids[place],
                nearest_pair_id=pair_ids[int(like.rows[place])].as_py(),
                nearest_image_sha256=shas[int(like.rows[place])].as_py(),
                likeness=float(likeness[place]),
                hash_nearest_pair_id=pair_ids[int(hashed.rows[place])].as_py(),
                hash_distance=int(distance[place]),
            )
            for place in order.tolist()
        ],
    )


def _quantiles(likeness: Floats) -> list[float]:
    return [float(value) for value in np.quantile(likeness, QUANTILES)]
