"""Which items look or sound like one whose removal was asked for: they are refused, whatever their source."""

import base64
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import audio, duplicates, fingerprints, images, links, measure, tombstones
from curation.columns import Ints, flat, mask
from curation.decoder import Decoder
from curation.duplicates import THUMBNAIL_SIDE, Looks
from curation.errors import attempt
from curation.measure import Step
from curation.store import Home, digest, opened
from rules.schema import ImageSettings, RuleSet

VERSION = 1  # raise it when the same measurements would give other copies
DETAILS = {
    "image": "shows the same as a picture whose removal was asked for",
    "music": "shares sound with a recording whose removal was asked for",
}

Fingerprint = Mapping[str, str]


def refuse(home: Home, items: pa.Table, measurements: Sequence[pa.Table], rule_set: RuleSet, *, keep: bool) -> pa.Table:
    """Return items in which the near duplicates of what was removed are refused.

    Args:
        items: schema ITEMS.
        measurements: of the blobs of pictures and of recordings; thumbnails and fingerprints may be left out.
        keep: write what was found among recordings, for the next time.
    """
    prints = fingerprints_of(home)
    steps = measure.steps(rule_set)
    pictures, recordings = measurements
    if prints["image"]:
        found = _pictures(home, steps["image"], pictures, prints["image"])
        items = _refused(items, found, DETAILS["image"])
    if prints["music"]:
        found = _recordings(home, steps["music"], recordings, prints["music"], keep)
        items = _refused(items, found, DETAILS["music"])
    return items


def fingerprints_of(home: Home) -> dict[str, list[Fingerprint]]:
    """Return the fingerprints of what was removed, by modality."""
    found: dict[str, list[Fingerprint]] = {modality: [] for modality in DETAILS}
    for tombstone in tombstones.read(home):
        if tombstone.modality and tombstone.fingerprint:
            found[tombstone.modality].append(tombstone.fingerprint)
    return found


def fingerprint(home: Home, sha256: str, modality: str) -> dict[str, str] | None:
    """Return that by which copies of a blob are told, as it was measured or anew; None if it cannot be."""
    step = {"image": "images", "music": "recordings"}[modality]
    is_it = (pc.field("sha256") == sha256) & pc.field("reason").is_null()
    for path in sorted((home.root / "derived").glob(f"{step}-*/*.parquet")):
        for row in pq.read_table(opened(path), filters=is_it).to_pylist():
            return _written(modality, row)
    if not home.blob(sha256).exists():
        return None
    with home.at_hand(home.blob(sha256)) as blob:
        measured = attempt(lambda: _measured(blob, modality))
    return _written(modality, measured) if isinstance(measured, Mapping) else None


def _measured(blob: Path, modality: str) -> Mapping[str, Any]:
    if modality == "image":
        return asdict(images.measure(blob, ImageSettings(min_side_px=1)))
    with Decoder(blob, 8_000, 1, with_fingerprint=True) as decoder:
        deque(decoder.chunks(1 << 16, audio.MAX_DURATION_S), maxlen=0)  # reads it to its end
        return {"fingerprint": decoder.fingerprint()}


def _written(modality: str, measured: Mapping[str, Any]) -> dict[str, str]:
    if modality == "music":
        return {"chromaprint": base64.b64encode(measured["fingerprint"]).decode()}
    hashes = {name: f"{measured[name]:016x}" for name in ("phash", "mirror_phash")}
    return {"pixels_sha256": measured["pixels_sha256"], **hashes, "thumbnail": measured["thumbnail"].hex()}


def _refused(items: pa.Table, sha256s: pa.Array, detail: str) -> pa.Table:
    is_copy = pc.and_(items["reason"].is_null(), pc.is_in(items["sha256"], value_set=sha256s))
    for name, text in (("reason", tombstones.REASON), ("detail", detail)):
        column = pc.if_else(is_copy, pa.scalar(text), items[name])
        items = items.set_column(items.schema.get_field_index(name), items.schema.field(name), column)
    return items


def _pictures(home: Home, step: Step, measured: pa.Table, removed: Sequence[Fingerprint]) -> pa.Array:
    """Return the sha256 of the pictures that show the same as a removed one."""
    seen = measured.filter(measured["reason"].is_null())

    def thumbnails_of(rows: Ints) -> duplicates.Thumbnails:
        return links.thumbnails_of(measure.measured(home, step, seen["sha256"].take(pa.array(rows)), bulk=True))

    thumbnails = np.frombuffer(b"".join(bytes.fromhex(one["thumbnail"]) for one in removed), np.uint8)
    hashes, mirror_hashes = (
        np.array([int(one[name], 16) for one in removed], np.uint64) for name in ("phash", "mirror_phash")
    )
    looks = Looks(hashes, mirror_hashes, thumbnails.reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    like = duplicates.pictures_like(looks, seen["phash"].to_numpy(), seen["mirror_phash"].to_numpy(), thumbnails_of)
    pixels = pa.array([one["pixels_sha256"] for one in removed])
    same = np.flatnonzero(mask(pc.is_in(seen["pixels_sha256"], value_set=pixels)))
    return flat(seen["sha256"].take(pa.array(np.union1d(like, same))))


def _recordings(home: Home, step: Step, measured: pa.Table, removed: Sequence[Fingerprint], keep: bool) -> pa.Array:
    """Return the sha256 of the recordings that share sound with a removed one, as it was found before if that was kept.

    It reads every fingerprint, as the search for duplicates does.
    """
    heard = measured.filter(measured["reason"].is_null())["sha256"]
    prints = sorted(one["chromaprint"] for one in removed)
    name = digest(["removed recordings", VERSION, step.key, digest(heard.to_pylist()), prints])
    path = home.derived("links", name) / "removed-recordings.parquet"
    if path.exists():
        return flat(pq.read_table(opened(path))["sha256"])
    others = [np.frombuffer(base64.b64decode(one), "<u4") for one in prints]
    bulk = measure.measured(home, step, heard, bulk=True)
    like = fingerprints.recordings_like(others, links.prints_of(bulk))
    found = flat(bulk["sha256"].take(pa.array(like)))
    if keep:
        home.write_table(path, pa.table({"sha256": found}))
    return found
