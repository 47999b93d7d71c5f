"""AudioToken's image-image similarity: how often an image is closer to its true image than to another, in percent.

Mean over i and j != i of 1[s(g_i, r_i) > s(g_i, r_j)], ties half. From 0 to 100, higher is better, 50 is chance. The
paper's IIS (`iis`) is another thing: how much closer, not how often.
"""

from collections.abc import Mapping
from typing import Literal

from evaluation.metrics import Floats, Ints, Measure
from evaluation.metrics._checks import check_paired, check_weights
from evaluation.metrics._shuffling import shuffled_win_rate
from evaluation.metrics._similarity import IMAGE_NETWORK, win_rate

MEASURES: Mapping[str, Measure] = {
    "win_rate_iis": Measure("IIS of AudioToken (win rate, %)", "higher", 0, 100, chance=50)
}
SPACE = "pairing"
DEFINED_WITH = (IMAGE_NETWORK,)
REFERENCE = "Yariv et al. 2023, https://arxiv.org/abs/2305.13050"
SHUFFLED: Literal["partners"] = "partners"
UNCERTAINTY: Literal["bootstrap"] = "bootstrap"


def least_items(width: int) -> int:
    return 2  # an image has to have another true image beside its own


def score(generated: Floats, partners: Floats, weights: Floats) -> dict[str, Floats]:
    """Return "win_rate_iis" in percent, shape (n_replicates,).

    Args:
        generated: shape (n, d); partners: the true images of the items' clips, likewise.
        weights: how often each item counts, shape (n_replicates, n).
    """
    check_paired({"generated": generated, "partners": partners})
    check_weights(weights, len(generated))
    return {"win_rate_iis": win_rate(generated, partners, weights)}


def shuffled(generated: Floats, partners: Floats, orders: Ints) -> dict[str, Floats]:
    """Return "win_rate_iis" where item i has the partner of item order[i], shape (n_permutations,)."""
    return {"win_rate_iis": shuffled_win_rate(generated, partners, orders)}
