"""Whether what was found is what was published: the same bytes, the same content in another encoding, or neither."""

import base64
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation import audio, duplicates, fingerprints, measure
from curation.batches import Each
from curation.columns import flat, places, taken
from curation.duplicates import MAX_HASH_BITS, THUMBNAIL_SIDE
from curation.measure import Step
from curation.rehydrating.sides import Downloaded, are_embedded, are_removed, item_names, of_portion
from curation.schemas import HEARD, YIELD
from curation.store import Home, digest
from curation.tombstones import REASON as REMOVED
from rules.schema import RuleSet

VERSION = 1  # raise it when `audio.listen` gives something else

GONE = ("gone", "missing_file")

Row = Mapping[str, Any]
Fate = tuple[str, str | None, str | None]  # outcome, and why it cannot be used: reason and detail


def steps(rule_set: RuleSet) -> dict[str, Step]:
    """Return what is measured of each side: whether it can be decoded, and what tells it from others."""
    parameters = rule_set.audio.model_dump(include={"sample_rate_hz", "channels"})
    key = digest(["heard", VERSION, audio.decoder_version(), parameters])
    heard = Step("heard", HEARD, key, rule_set.audio, partial(measure.one_by_one, audio.listen))
    return {"image": measure.image_step(rule_set), "music": heard}


def measure_all(home: Home, items: pa.Table, had: pa.Table, rule_set: RuleSet, each: Each) -> None:
    """Measure what was found and is not measured yet.

    Args:
        items: schema SIDES.
        had: schema HAD, of these.
    """
    for side, step in steps(rule_set).items():
        blobs = had["found"].filter(pc.and_(pc.equal(items["side"], side), had["found"].is_valid()))
        each(measure.measure_batch, measure.pending(home, step, blobs), f"measure {step.name}")


def judged(home: Home, there: Downloaded, portion: str, had: pa.Table, rule_set: RuleSet) -> pa.Table:
    """Return two rows of YIELD for each pair of a portion, the image's first.

    Args:
        had: schema HAD, of all that was to be had again.
    """
    rows = of_portion(there, portion, with_fingerprints=True)
    at = places(item_names(rows), had["item"])
    for name in ("found", "reason", "detail"):
        rows = rows.append_column(name, taken(flat(had[name]), at))
    for name, values in (("is_embedded", are_embedded(there, rows)), ("is_removed", are_removed(home, rows))):
        rows = rows.append_column(name, pa.array(values))
    fates = list(zip(*_fates(home, rows, rule_set), strict=True)) or [(), (), ()]
    columns = dict(zip(("outcome", "reason", "detail"), (pa.array(one, pa.string()) for one in fates), strict=True))
    is_usable = np.array([reason is None for reason in fates[1]], dtype=bool).reshape(-1, 2).all(axis=1)
    columns |= {"found_sha256": rows["found"], "is_kept": pa.array(np.repeat(is_usable, 2))}
    return pa.table([columns[name] if name in columns else rows[name] for name in YIELD.names], YIELD)


def _fates(home: Home, rows: pa.Table, rule_set: RuleSet) -> Iterator[Fate]:
    measured: dict[tuple[str, str], Row] = {}
    for side, step in steps(rule_set).items():
        blobs = rows["found"].filter(pc.equal(rows["side"], side)).drop_null()
        found = measure.measured(home, step, blobs, bulk=True).to_pylist()
        measured |= {(side, row["sha256"]): row for row in found}
    clip_s, rate_hz = rule_set.audio.clip_s, rule_set.audio.sample_rate_hz
    for row in rows.to_pylist():
        of_row = measured.get((row["side"], row["found"]))
        end_s = row["start_s"] + clip_s if row["side"] == "music" else 0
        yield fate(row, of_row, round(end_s * rate_hz))


def fate(row: Row, measured: Row | None, end: int) -> Fate:
    """Return what became of a side.

    Args:
        row: of SIDES, with what was found, and whether the pair is embedded and the side removed.
        end: the frame after the clip's last.
    """
    if row["is_removed"] or row["is_embedded"]:
        return "embedded" if row["is_embedded"] else "not_fetched", REMOVED if row["is_removed"] else None, None
    if measured is None:
        reason = row["reason"] or "not_tried"
        return "gone" if reason in GONE else "not_fetched", reason, row["detail"]
    is_exact = row["found"] == row["sha256"]
    if measured["reason"]:
        return "exact" if is_exact else "changed", measured["reason"], measured["detail"]
    if row["side"] == "music" and measured["frames"] < end:
        return "exact" if is_exact else "changed", "too_short", f"{measured['frames']:,} of {end:,} frames"
    if is_exact:
        return "exact", None, None
    return ("same_content", None, None) if _is_alike(row, measured) else ("changed", "changed", None)


def _is_alike(row: Row, measured: Row) -> bool:
    """Tell whether another file has the content that was published, as duplicates are told."""
    try:
        if row["side"] == "image":
            gray = np.frombuffer(measured["thumbnail"], np.uint8).reshape(1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)
            differs_bits = (int(row["fingerprint"], 16) ^ measured["phash"]).bit_count()
            return differs_bits <= MAX_HASH_BITS and bool(duplicates.have_shape(gray)[0])
        span = np.frombuffer(base64.b64decode(row["fingerprint"]), "<u4")
        return fingerprints.is_at(span, np.frombuffer(measured["fingerprint"], "<u4"), row["start_s"])
    except (ValueError, TypeError):  # a fingerprint that is none
        return False
