"""All that is told of a data set itself: probes of both sides, and leaks between its splits."""

from collections.abc import Mapping, Sequence
from functools import reduce

import pyarrow as pa

from curation.columns import numbered
from evaluation.data_quality import leaks, probing
from evaluation.extraction.extracting import Extraction
from evaluation.extraction.portions import Side
from evaluation.features import Extractor
from evaluation.likeness.looking import Looking
from evaluation.likeness.neighbors import joined
from evaluation.result import LeakCheck, NetworkFacts, Probe, Quality
from evaluation.subjects import items
from evaluation.subjects.items import Told
from training.data import Split

STAGE = "tell labels from features"
Sides = Mapping[Side, tuple[Extractor, NetworkFacts]]


def assess(
    extraction: Extraction, train: Split, others: Sequence[Split], networks: Sides, seed: int, told: Told
) -> Quality:
    """Look at a data set.

    Args:
        others: the splits beside train that have pairs.
        networks: that see pictures and hear clips.
        told: is told of the probes, each of which takes about a minute.
    """
    probes = []
    for done, (side, of_side) in enumerate(networks.items()):
        told(STAGE, done, len(networks))
        probes.append(_probe(extraction, train, side, *of_side, seed))
    told(STAGE, len(networks), len(networks))
    checks = [_leaks(extraction, train, others, side, *of_side, seed) for side, of_side in networks.items()]
    return Quality(
        probes=[probe for probe in probes if probe is not None], leaks=[check for check in checks if check is not None]
    )


def _probe(
    extraction: Extraction, train: Split, side: Side, network: Extractor, facts: NetworkFacts, seed: int
) -> Probe | None:
    rows = items.choose(train, probing.ITEMS, seed).rows
    found = extraction.of_rows(network, train, side, rows)
    pairs = train.pairs.take(pa.array(rows[found.places]))
    (groups,) = numbered(pairs[f"{side}_group"])
    return probing.probe(side, found.features, pairs["label"].to_numpy(), groups, facts, seed)


def _leaks(
    extraction: Extraction,
    train: Split,
    others: Sequence[Split],
    side: Side,
    network: Extractor,
    facts: NetworkFacts,
    seed: int,
) -> LeakCheck | None:
    """Return what a leak check found; None where there is nothing to compare."""
    looking = Looking(extraction, network, side, train, others)
    available = sum(map(len, others))
    if not available or not looking.has_several_groups:
        return None
    chosen = [looking.some(split, -(-leaks.ITEMS * len(split) // available), seed) for split in others]
    own = looking.some(train, leaks.OWN_ITEMS, seed)
    return leaks.check(reduce(joined, chosen), own, available, looking.train(), facts)
