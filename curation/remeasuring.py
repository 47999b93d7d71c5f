"""What newer code, decoders or settings make a build measure again, and why: it is said before it is done."""

import re
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from curation import measure
from curation.measure import Step
from curation.releases import Release
from curation.store import Home
from rules.schema import RuleSet

UNITS = {"image": "pictures", "music": "recordings"}
DECODERS = {"images": "images", "recordings": "audio"}  # of each step among the tools of a release


def remeasured(home: Home, items: pa.Table, rule_set: RuleSet, parent: Release | None) -> Iterator[str]:
    """Say of every step how many of the items it measures again that were measured otherwise for the parent, and why.

    Args:
        items: schema ITEMS.
    """
    if parent is None:
        return
    for modality, step in measure.steps(rule_set).items():
        why = "; ".join(_changes(_before(step, parent), step.made_of))
        if not why:
            continue
        mine = items.filter(pc.and_(pc.equal(items["modality"], modality), items["reason"].is_null()))["sha256"]
        count = sum(len(batch.sha256s) for batch in measure.pending(home, step, mine))
        if count:
            yield f"{count:,} {UNITS[modality]} are measured again: {step.name} {why}; released media stay as they are"


def _before(step: Step, parent: Release) -> Mapping[str, object]:
    """Return what the step was made of for a release; of older ones only the decoder is known."""
    steps = parent.manifest.get("steps", {})
    found: Mapping[str, object] = steps.get(step.name) or {"decoder": parent.manifest["tools"].get(DECODERS[step.name])}
    return found


def _changes(before: Mapping[str, object], now: Mapping[str, object]) -> Iterator[str]:
    for name, value in now.items():
        if name in before and before[name] != value:
            if name == "decoder":
                yield " and ".join(_versions(str(before[name]), str(value)))
            else:
                yield f"{name} {before[name]} -> {value}"


def _versions(before: str, now: str) -> Iterator[str]:
    """Yield the libraries that differ."""
    was, are = (re.split(r"[,;] ", text) for text in (before, now))
    yield from (f"{one} -> {other}" for one, other in zip(was, are, strict=False) if one != other)
