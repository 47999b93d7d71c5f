"""Leak check: whether items of other splits come nearer to training items than training items of other groups do.

What "near" is, depends on the network and on the data, so the training split says it: each of some training items is
compared with all training items of other groups. Groups hold what is known to be the same, so what remains is how near
different things come. The threshold is a fence below the logarithms of those distances, 1 - cosine, four quartile
ranges from the lower quartile: it hardly moves when up to a fifth of the training items have an unknown duplicate,
where their least distance would be 0. How many of them come so near, stands beside what is found.
"""

import numpy as np
import numpy.typing as npt

from evaluation.extraction.perceptual_hash import HASH_BITS, distances_bits
from evaluation.likeness.neighbors import (
    Looks,
    Neighbors,
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
from evaluation.result import Leak, LeakCheck, NetworkFacts
from rules.errors import ConfigurationError

Bools = npt.NDArray[np.bool_]

ITEMS = 5_000  # of other splits; more would be compared with ten million training items for hours
OWN_ITEMS = 2_000  # of the split train: their quartiles are known well enough by so many
SHOWN = 24
# Quartile ranges. Three, Tukey's "far out" (Exploratory data analysis, 1977), took up to 0.2 % of 3,000 vectors for
# copies, drawn from 11 distributions with and without clusters of equal and of different widths; four took none. Of
# angles in the place of logarithms the fence lies beyond equality where widths differ.
FENCE = 4.0
LEAST_DISTANCE = 1e-6  # 1 - cosine: below it float32 tells nothing, so what is nearer is the same


def check(others: Looks, own: Looks, available: int, train: Train, network: NetworkFacts) -> LeakCheck:
    """Compare items of other splits, and some training items, with all training items.

    Args:
        others: items of other splits, at most ITEMS; own: training items, at most OWN_ITEMS.
        available: items of other splits.
        train: with bits where `others` and `own` have them: that is what makes them images, not clips.

    Raises:
        ConfigurationError: the training items are all of one group, or there are none of other splits.
    """
    asked, n = joined(others, own), len(others)
    like = nearest(unit(asked.features), asked.groups, unit_batches(train.features), train.groups)
    if not n or (like.rows < 0).any():
        raise ConfigurationError("leaks: expected items of other splits, and training items of several groups")
    likeness = rounded(like.products)
    limit = threshold(likeness[n:])
    is_near, hashed, limit_bits = likeness > limit, None, None
    if asked.bits is not None:
        hashed = nearest_hash(asked, train)
        distance = distances_bits(hashed.products)
        limit_bits = copy_bits(distance[n:])
        is_near |= distance <= limit_bits
    return LeakCheck(
        side="music" if hashed is None else "image",
        network=network.name,
        is_stand_in=network.is_stand_in,
        n=n,
        available=available,
        n_own=len(own),
        n_train=len(train.pairs),
        threshold=limit,
        hash_distance=limit_bits,
        hash_bits=None if hashed is None else HASH_BITS,
        found=int(is_near[:n].sum()),
        own_found=int(is_near[n:].sum()),
        nearest=_nearest(others, train, like, hashed, is_near),
    )


def threshold(likeness: Floats) -> float:
    """Return above which cosine two items are nearly the same, from those of different things, shape (n,).

    Where these lie from very near to far, as in a set with some narrow clusters, the fence is beyond equality.
    """
    distances = np.log(np.maximum(1.0 - likeness, LEAST_DISTANCE))
    lower, upper = np.quantile(distances, (0.25, 0.75))
    fence = max(float(np.exp(lower - FENCE * (upper - lower))), LEAST_DISTANCE)
    return float(np.round(1.0 - fence, 6))


def _nearest(others: Looks, train: Train, like: Neighbors, hashed: Neighbors | None, is_near: Bools) -> list[Leak]:
    """Return the items of other splits that are most like a training item: what was found first, then the rest."""
    pair_ids, n = train.pairs["pair_id"], len(others)
    likeness = rounded(like.products)
    order = np.lexsort((np.arange(n), -likeness[:n], ~is_near[:n]))[:SHOWN].tolist()
    distances = None if hashed is None else distances_bits(hashed.products)
    return [
        Leak(
            side="music" if hashed is None else "image",
            pair_id=others.pair_ids[place],
            split=others.splits[place],
            nearest_pair_id=pair_ids[int(like.rows[place])].as_py(),
            nearest_split="train",
            likeness=float(likeness[place]),
            hash_nearest_pair_id=None if hashed is None else pair_ids[int(hashed.rows[place])].as_py(),
            hash_distance=None if distances is None else int(distances[place]),
        )
        for place in order
    ]
