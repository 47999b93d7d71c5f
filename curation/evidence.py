"""What is said of items beside their sources' tags: by models, by the artists table, and by a curator's overrides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from curation import artists, model_tags, overrides, tagging
from curation.collect import ever_collected
from curation.columns import Ints, mask, places
from curation.overrides import Resolved
from curation.schemas import DERIVED_TAG
from curation.store import Home
from curation.tagging import Fitting
from rules.engine import Facts
from rules.schema import RuleSet


@dataclass(frozen=True, slots=True)
class Evidence:
    """What models and overrides say of the rows of a table of items.

    Attributes:
        from_models: for each row a list of DERIVED_TAG.
        overrides: those that speak of the rows.
    """

    from_models: pa.ListArray
    overrides: Resolved

    def of(self, rows: Ints) -> "Evidence":
        """Return what is said of these rows only."""
        return replace(self, from_models=self.from_models.take(pa.array(rows)), overrides=self.overrides.of(rows))


def gather(home: Home, items: pa.Table, rule_set: RuleSet) -> Evidence:
    """Find what is said of items; nothing is computed by a model here.

    Args:
        items: rows of ITEMS that are listed now, of all modalities.

    Raises:
        ConfigurationError: an override that cannot hold, or an enabled model that cannot be used.
    """
    known = ever_collected(home) if rule_set.overrides.entries else items
    resolved = overrides.resolve(items, known, rule_set)
    return Evidence(model_tags.tags_of(home, rule_set, items["sha256"]), resolved)


def fitting(items: pa.Table, rule_set: RuleSet, modality: str, measured: pa.Table, evidence: Evidence) -> Fitting:
    """Find the labels that fit each item, with all that is said of it; a forced label wins over the rules.

    Args:
        items: rows of ITEMS of one modality, not left out by an override.
        measured: rows of IMAGES or RECORDINGS in the same order.
        evidence: of the same rows.
    """
    said = _said(items, rule_set, modality, evidence, evidence.overrides.tags())
    found = tagging.fitting(items, rule_set, modality, measured, said)
    return overrides.force(found, evidence.overrides, rule_set, modality)


def facts_of(
    items: pa.Table, rule_set: RuleSet, modality: str, measured: pa.Table | None, evidence: Evidence
) -> list[Facts]:
    """Return what the rules know of a few items of one modality."""
    said = _said(items, rule_set, modality, evidence, evidence.overrides.tags())
    return tagging.facts_of(items, rule_set, measured, said)


def idle_overrides(
    items: pa.Table, measurements: Mapping[str, pa.Table], rule_set: RuleSet, evidence: Evidence
) -> list[str]:
    """Return a sentence for each override that no longer matters: without it, the same would happen.

    Args:
        items: rows of ITEMS that are listed now.
        measurements: rows of IMAGES and of RECORDINGS, by modality.
        evidence: of the same items.
    """
    sentences = list(evidence.overrides.gone)
    spoken_of = np.unique(evidence.overrides.rows)
    for modality, measured in measurements.items():
        at = places(items["sha256"].take(pa.array(spoken_of)), measured["sha256"])
        usable = np.append(mask(measured["reason"].is_null()), False)[at]
        rows, own = spoken_of[usable], measured.take(pa.array(at[usable]))
        here, said = items.take(pa.array(rows)), evidence.of(rows)
        if len(rows):
            without = tagging.fitting(here, rule_set, modality, own, _said(here, rule_set, modality, said))
            forced = fitting(here, rule_set, modality, own, said)
            sentences += overrides.no_longer_matter(said.overrides, without, forced)
    return sentences


def _said(items: pa.Table, rule_set: RuleSet, modality: str, evidence: Evidence, *more: pa.ListArray) -> pa.ListArray:
    by_artist = [artists.tags_of(items, rule_set, modality)] if rule_set.artists.entries else []
    return _joined([evidence.from_models, *by_artist, *more])


def _joined(lists: Sequence[pa.ListArray]) -> pa.ListArray:
    """Join lists of tags row by row."""
    lengths = [each.value_lengths().to_numpy(zero_copy_only=False) for each in lists]
    rows = np.concatenate([np.repeat(np.arange(len(each)), each) for each in lengths])
    values = pa.concat_arrays([each.flatten().cast(DERIVED_TAG) for each in lists])
    offsets = np.concatenate([[0], np.cumsum(np.sum(lengths, axis=0))])
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), values.take(pa.array(np.argsort(rows, kind="stable")))
    )
