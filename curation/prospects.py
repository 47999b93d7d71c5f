"""Which labels items would fit by what lists say of them, before anything of them is fetched."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from curation import artists, tagging
from curation.columns import Bools
from rules.schema import RuleSet


def prospects(items: pa.Table, source: str, rule_set: RuleSet, modality: str) -> Mapping[str, Bools]:
    """Return for each label which items fit it: by tags, year and the artists table, sizes and lengths unknown.

    Args:
        items: rows with the columns tags, year, title and creator.
        modality: what they are, image or music; of the other kind nothing fits.
    """
    items = items.append_column("source", pa.repeat(source, len(items)))
    said = artists.tags_of(items, rule_set, modality) if rule_set.artists.entries else None
    found = tagging.fitting(items, rule_set, modality, None, said)
    fits = {}
    for label in rule_set.label_names:
        of_combination = np.array([any(fit.label == label for fit in each) for each in found.fits], dtype=bool)
        fits[label] = of_combination[found.combination]
    return fits
