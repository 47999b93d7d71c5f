"""An assignment written as the tables of a release."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from curation import fingerprints
from curation.assignment import Assignment
from curation.choosing import Pair, Pool
from curation.eligible import Side
from curation.memory import Memory
from curation.schemas import ASSIGNMENT, PAIRS, REFERENCES
from curation.tagging import work_of
from rules.engine import Fit

SPLIT_PAIRS = PAIRS.append(pa.field("split", pa.string()))
_SHARED = ("source", "source_id", "url", "title", "creator", "year", "license", "attribution", "sha256", "fetched_at")


def pair_id(image_sha256: str, recording_sha256: str, start_sample: int) -> str:
    """Return the name of a pair, which is also its place: rows are ordered by it and cut into buckets by it."""
    return hashlib.sha256(f"{image_sha256}/{recording_sha256}/{start_sample}".encode()).hexdigest()[:32]


def pairs_table(assignment: Assignment) -> pa.Table:
    """Return a row for every pair, schema PAIRS with a column split, ordered by pair_id."""
    pool = assignment.pool
    pictures = pa.array([pair.image for pair in assignment.pairs], pa.int64())
    recordings = pa.array([pool.clips[pair.clip].recording for pair in assignment.pairs], pa.int64())
    images, music = pool.images.items.take(pictures).to_pylist(), pool.music.items.take(recordings).to_pylist()
    rows = [_pair_row(assignment, *row) for row in zip(assignment.pairs, images, music, strict=True)]
    return pa.Table.from_pylist(rows, SPLIT_PAIRS).sort_by("pair_id")


def _pair_row(assignment: Assignment, pair: Pair, image: dict[str, Any], music: dict[str, Any]) -> dict[str, Any]:
    pool = assignment.pool
    clip = pool.clips[pair.clip]
    audio = pool.rule_set.audio
    image_fit, music_fit = _image_fit(pool, pair), _music_fit(assignment, pair)
    return {
        "pair_id": pair_id(image["sha256"], music["sha256"], clip.start_sample),
        "label": pair.label,
        "split": pair.split,
        "rule": image_fit.rule if image_fit.rule == music_fit.rule else f"{image_fit.rule} | {music_fit.rule}",
        "evidence": f"image: {image_fit.evidence} | music: {music_fit.evidence}",
        **{f"image_{name}": image[name] for name in _SHARED},
        **{f"music_{name}": music[name] for name in _SHARED},
        "image_group": pool.image_group(pair.image),
        "music_group": pool.clip_group(pair.clip),
        "music_start_s": round(clip.start_sample / audio.sample_rate_hz, 6),
        "music_duration_s": audio.clip_s,
        "music_genre": assignment.quotas[clip.recording][1],
        "music_features": pool.music.fitting.features[int(pool.music.fitting.combination[clip.recording])],
        **clip.measures,
    }


def _image_fit(pool: Pool, pair: Pair) -> Fit:
    return next(fit for fit in pool.images.fitting.of(pair.image) if fit.label == pair.label)


def _music_fit(assignment: Assignment, pair: Pair) -> Fit:
    recording = assignment.pool.clips[pair.clip].recording
    fits = assignment.pool.music.fitting.of(recording)
    return next(fit for fit in fits if (fit.label, fit.sub_genre or "") == assignment.quotas[recording])


def assignment_table(assignment: Assignment, memory: Memory, number: int) -> pa.Table:
    """Return a row for every image and clip of this release and, without pair_id, of every earlier one."""
    rows: list[dict[str, Any]] = []
    for pair in assignment.pairs:
        rows += _two_sides(assignment, pair, memory, number)
    active = {(row["sha256"], row["start_sample"]) for row in rows}
    sides = {"image": assignment.pool.images, "music": assignment.pool.music}
    for row in memory.assignment.to_pylist():
        if (row["sha256"], row["start_sample"]) not in active:
            # The row keeps the split that it was released in: in another one it would be a leak for ever.
            group = sides[row["side"]].renamed.get(row["sha256"], row["group"])
            rows.append(row | {"pair_id": None, "group": group})
    order = [(name, "ascending") for name in ("side", "sha256", "start_sample")]
    return pa.Table.from_pylist(rows, ASSIGNMENT).sort_by(order)


def _two_sides(assignment: Assignment, pair: Pair, memory: Memory, number: int) -> list[dict[str, Any]]:
    pool, clip = assignment.pool, assignment.pool.clips[pair.clip]
    image, music = _item(pool.images, pair.image), _item(pool.music, clip.recording)
    before_image = memory.images.get(image["sha256"])
    before_clip = memory.clips.get((music["sha256"], clip.start_sample))
    shared = {
        "label": pair.label,
        "split": pair.split,
        "pair_id": pair_id(image["sha256"], music["sha256"], clip.start_sample),
    }
    image_fit, music_fit = _image_fit(pool, pair), _music_fit(assignment, pair)
    of_image = {
        "side": "image",
        "group": pool.image_group(pair.image),
        "rule": image_fit.rule,
        "evidence": image_fit.evidence,
        "release": before_image["release"] if before_image else number,
    }
    of_music = {
        "side": "music",
        "group": pool.clip_group(pair.clip),
        "start_sample": clip.start_sample,
        "sub_genre": assignment.quotas[clip.recording][1],
        "rule": music_fit.rule,
        "evidence": music_fit.evidence,
        "release": before_clip["release"] if before_clip else number,
    }
    return [image | of_image | shared, music | of_music | shared]


def _item(side: Side, row: int) -> dict[str, Any]:
    """Return what the assignment says of an item."""
    columns = {name: side.items[name][row].as_py() for name in ("sha256", "source", "source_id", "creator", "title")}
    work = work_of(columns.pop("creator"), columns.pop("title"))
    return columns | {"work": work, "start_sample": None, "sub_genre": None}


def references_table(assignment: Assignment, pairs: pa.Table) -> pa.Table:
    """Return two rows for every pair, schema REFERENCES: enough to fetch its sides again."""
    pool = assignment.pool
    hashes = dict(_columns(pool.images.items, pool.images.measured, "phash"))
    prints = dict(_columns(pool.music.items, pool.music.measured, "fingerprint"))
    rows = []
    for pair in pairs.to_pylist():
        shared = {name: pair[name] for name in ("pair_id", "split", "label")}
        span = fingerprints.clip_span(prints[pair["music_sha256"]], pair["music_start_s"], pair["music_duration_s"])
        image = {"side": "image", "fingerprint": f"{hashes[pair['image_sha256']]:016x}"}
        music = {
            "side": "music",
            "start_s": pair["music_start_s"],
            "duration_s": pair["music_duration_s"],
            "fingerprint": base64.b64encode(span).decode(),
        }
        for side in (image, music):
            facts = {name: pair[f"{side['side']}_{name}"] for name in ("url", "sha256", "license")}
            rows.append(shared | side | facts | {"checked_at": pair[f"{side['side']}_fetched_at"]})
    return pa.Table.from_pylist(rows, REFERENCES)


def _columns(items: pa.Table, measured: pa.Table, column: str) -> Iterator[tuple[str, Any]]:
    return zip(items["sha256"].to_pylist(), measured[column].to_pylist(), strict=True)
