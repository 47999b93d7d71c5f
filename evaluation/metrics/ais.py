"""Audio-image similarity: by how much a generated image is closer to its own clip than to the other clips.

x = mean_i [ s(g_i, a_i) - mean over j != i of s(g_i, a_j) ], s the cosine, then S(x) = 50 + (100 / pi) arcsin x.
From 0 to 100, higher is better; 50: no closer than to any clip. One number for all pairs, not AudioToken's win rate.
"""

from collections.abc import Mapping
from typing import Literal

from evaluation.metrics import Floats, Ints, Measure
from evaluation.metrics._checks import check_labels, check_paired, check_weights
from evaluation.metrics._shuffling import shuffled_lead
from evaluation.metrics._similarity import IMAGE_NETWORK, MUSIC_NETWORK, lead

MEASURES: Mapping[str, Measure] = {"ais": Measure("AIS", "higher", 0, 100, chance=50)}
SPACE = "pairing"
DEFINED_WITH = (IMAGE_NETWORK, MUSIC_NETWORK)
REFERENCE = "Baione 2024, section 4.1.3"
SHUFFLED: Literal["music"] = "music"
UNCERTAINTY: Literal["bootstrap"] = "bootstrap"


def least_items(width: int) -> int:
    return 2  # an image has to have another clip beside its own


def score(generated: Floats, music: Floats, labels: Ints, n_labels: int, weights: Floats) -> dict[str, Floats]:
    """Return "ais" in points, shape (n_replicates,), and of the images of each label, (n_replicates, n_labels).

    Args:
        generated: shape (n, d); music: the items' clips, likewise.
        labels: shape (n,), from 0 to n_labels - 1.
        weights: how often each item counts, shape (n_replicates, n).
    """
    check_paired({"generated": generated, "music": music})
    check_labels(labels, len(generated), n_labels)
    check_weights(weights, len(generated))
    whole, by_label = lead(generated, music, labels, n_labels, weights)
    return {"ais": whole, "ais_by_label": by_label}


def shuffled(generated: Floats, music: Floats, orders: Ints) -> dict[str, Floats]:
    """Return "ais" where item i has the clip of item order[i], shape (n_permutations,)."""
    return {"ais": shuffled_lead(generated, music, orders)}
