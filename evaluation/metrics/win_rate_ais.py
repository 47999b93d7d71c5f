"""AudioToken's audio-image similarity: how often an image is closer to its own clip than to another, in percent.

Mean over i and j != i of 1[s(g_i, a_i) > s(g_i, a_j)], ties half. From 0 to 100, higher is better, 50 is chance. The
paper's AIS (`ais`) is another thing: how much closer, not how often.
"""

from collections.abc import Mapping
from typing import Literal

from evaluation.metrics import Floats, Ints, Measure
from evaluation.metrics._checks import check_paired, check_weights
from evaluation.metrics._shuffling import shuffled_win_rate
from evaluation.metrics._similarity import IMAGE_NETWORK, MUSIC_NETWORK, win_rate

MEASURES: Mapping[str, Measure] = {
    "win_rate_ais": Measure("AIS of AudioToken (win rate, %)", "higher", 0, 100, chance=50)
}
SPACE = "pairing"
DEFINED_WITH = (IMAGE_NETWORK, MUSIC_NETWORK)
REFERENCE = "Yariv et al. 2023, https://arxiv.org/abs/2305.13050"
SHUFFLED: Literal["music"] = "music"
UNCERTAINTY: Literal["bootstrap"] = "bootstrap"


def least_items(width: int) -> int:
    return 2  # an image has to have another clip beside its own


def score(generated: Floats, music: Floats, weights: Floats) -> dict[str, Floats]:
    """Return "win_rate_ais" in percent, shape (n_replicates,).

    Args:
        generated: shape (n, d); music: the items' clips, likewise.
        weights: how often each item counts, shape (n_replicates, n).
    """
    check_paired({"generated": generated, "music": music})
    check_weights(weights, len(generated))
    return {"win_rate_ais": win_rate(generated, music, weights)}


def shuffled(generated: Floats, music: Floats, orders: Ints) -> dict[str, Floats]:
    """Return "win_rate_ais" where item i has the clip of item order[i], shape (n_permutations,)."""
    return {"win_rate_ais": shuffled_win_rate(generated, music, orders)}
