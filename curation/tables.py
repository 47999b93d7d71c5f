"""An assignment written as the tables of a release."""

import base64
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation import fingerprints, ingested
from curation.assignment import Assignment
from curation.choosing import Pairs
from curation.clips import earlier_keys
from curation.columns import HEAD_DIGITS, Ints, flat, heads, places, taken
from curation.eligible import Side
from curation.memory import SPLITS, Memory
from curation.schemas import ASSIGNMENT, PAIRS, REFERENCES
from curation.store import Home
from curation.tagging import Fitting
from rules.engine import Fit

SPLIT_PAIRS = PAIRS.append(pa.field("split", pa.string()))
_SHARED = ("source", "source_id", "url", "title", "creator", "year", "license", "attribution", "sha256", "fetched_at")


@dataclass(frozen=True, slots=True)
class _Rows:
    """The pairs of an assignment, column by column, in its order."""

    recordings: Ints
    starts: Ints
    pair_ids: pa.Array
    labels: pa.Array
    splits: pa.Array
    image_rules: pa.Array
    image_evidence: pa.Array
    music_rules: pa.Array
    music_evidence: pa.Array
    sub_genres: pa.Array


def _rows(assignment: Assignment, pairs: Pairs, names: pa.Array) -> _Rows:
    pool = assignment.pool
    recordings, starts = pool.clips.recording[pairs.clip], pool.clips.start_sample[pairs.clip]
    labels, quotas = pool.rule_set.label_names, assignment.quotas[recordings]
    of_images = _said(pool.images.fitting, pairs.image, pairs.label, lambda fit, label: fit.label == labels[label])
    of_music = _said(
        pool.music.fitting,
        recordings,
        quotas,
        lambda fit, quota: (fit.label, fit.sub_genre or "") == pool.quotas[quota],
    )
    sub_genres = taken(pa.array([sub_genre for _, sub_genre in pool.quotas]), quotas)
    named = taken(pa.array(labels), pairs.label), taken(pa.array(SPLITS), pairs.split)
    return _Rows(recordings, starts, names, *named, *of_images, *of_music, sub_genres)


def _said(
    fitting: Fitting, rows: Ints, options: Ints, is_meant: Callable[[Fit, int], bool]
) -> tuple[pa.Array, pa.Array]:
    """Return rule and evidence of the fit that is meant by each row's option."""
    stride = int(options.max(initial=0)) + 1
    cases, which = np.unique(fitting.combination[rows] * stride + options, return_inverse=True)
    pairs = (divmod(case, stride) for case in cases.tolist())
    fits = [next(fit for fit in fitting.fits[number] if is_meant(fit, option)) for number, option in pairs]
    rules, evidence = ([getattr(fit, name) for fit in fits] for name in ("rule", "evidence"))
    return taken(pa.array(rules, pa.string()), which), taken(pa.array(evidence, pa.string()), which)


def pairs_table(assignment: Assignment) -> pa.Table:
    """Return a row for every pair, schema PAIRS with a column split, ordered by pair_id."""
    order = pc.sort_indices(assignment.pair_ids)
    pool, pairs = assignment.pool, assignment.pairs.take(order.to_numpy())
    rows = _rows(assignment, pairs, assignment.pair_ids.take(order))
    audio, fitting = pool.rule_set.audio, pool.music.fitting
    both = pc.binary_join_element_wise(rows.image_rules, rows.music_rules, " | ")
    images = pool.images.items.select(_SHARED).take(pa.array(pairs.image))
    music = pool.music.items.select(_SHARED).take(pa.array(rows.recordings))
    measures = pool.clips.measures.take(pa.array(pairs.clip))
    features = pa.array(fitting.features, pa.list_(pa.string()))
    columns = {
        "pair_id": rows.pair_ids,
        "label": rows.labels,
        "split": rows.splits,
        "rule": pc.if_else(pc.equal(rows.image_rules, rows.music_rules), rows.image_rules, both),
        "evidence": pc.binary_join_element_wise("image: ", rows.image_evidence, " | music: ", rows.music_evidence, ""),
        **{f"image_{name}": images[name] for name in _SHARED},
        **{f"music_{name}": music[name] for name in _SHARED},
        "image_group": taken(pool.images.group_names, pool.image_groups[pairs.image]),
        "music_group": taken(pool.music.group_names, pool.clip_groups[pairs.clip]),
        "music_start_s": np.round(rows.starts / audio.sample_rate_hz, 6),
        "music_duration_s": np.full(len(pairs), audio.clip_s, dtype=np.float64),
        "music_genre": rows.sub_genres,
        "music_features": features.take(pa.array(fitting.combination[rows.recordings])),
        **{name: measures[name] for name in measures.column_names},
    }
    return pa.table([columns[name] for name in SPLIT_PAIRS.names], SPLIT_PAIRS)


def assignment_table(assignment: Assignment, memory: Memory, number: int) -> pa.Table:
    """Return a row for every image and clip of this release and, without pair_id, of every earlier one."""
    pool, pairs = assignment.pool, assignment.pairs
    rows = _rows(assignment, pairs, assignment.pair_ids)
    shared = {"label": rows.labels, "split": rows.splits, "pair_id": rows.pair_ids}
    images = _items(pool.images, pairs.image) | {
        "side": pa.repeat("image", len(pairs)),
        "rule": rows.image_rules,
        "evidence": rows.image_evidence,
    }
    music = _items(pool.music, rows.recordings) | {
        "side": pa.repeat("music", len(pairs)),
        "start_sample": pa.array(rows.starts),
        "sub_genre": rows.sub_genres,
        "rule": rows.music_rules,
        "evidence": rows.music_evidence,
    }
    image_places = np.append(_inverse(pairs.image, len(pool.images.items)), -1)[pool.images.earlier]
    clip_places = places(earlier_keys(pool.music, memory), pool.clips.keys.take(pa.array(pairs.clip)))
    images |= shared | {"release": _first_release(memory.images, image_places, len(pairs), number)}
    music |= shared | {"release": _first_release(memory.clips, clip_places, len(pairs), number)}
    return pa.concat_tables(
        [
            ordered(pa.concat_tables([_table(images), _gone(memory.images, image_places, pool.images)])),
            ordered(pa.concat_tables([_table(music), _gone(memory.clips, clip_places, pool.music)])),
        ]
    )


def ordered(rows: pa.Table) -> pa.Table:
    """Order rows of one side of ASSIGNMENT by sha256 and start."""
    starts = rows["start_sample"].fill_null(0).to_numpy()
    return rows.take(pa.array(np.lexsort((starts, heads(rows["sha256"], HEAD_DIGITS), heads(rows["sha256"])))))


def _inverse(rows: Ints, count: int) -> Ints:
    """Return for each of `count` rows its place among these, or -1."""
    found = np.full(count, -1, dtype=np.int64)
    found[rows] = np.arange(len(rows))
    return found


def _items(side: Side, rows: Ints) -> dict[str, pa.Array]:
    """Return what the assignment says of items."""
    found = {name: flat(side.items[name].take(pa.array(rows))) for name in ("sha256", "source", "source_id")}
    return found | {"work": taken(side.works, rows), "group": taken(side.group_names, side.groups[rows])}


def _table(columns: dict[str, pa.Array]) -> pa.Table:
    """Return rows of ASSIGNMENT; a column that is not named is null."""
    count = len(columns["sha256"])
    return pa.table([columns.get(field.name, pa.nulls(count, field.type)) for field in ASSIGNMENT], ASSIGNMENT)


def _first_release(known: pa.Table, at: Ints, count: int, number: int) -> pa.Array:
    """Return the release that first held each pair's side.

    Args:
        at: of each row of `known`, the pair that holds it, or -1.
    """
    first = np.full(count, number, dtype=np.int32)
    first[at[at >= 0]] = known["release"].to_numpy()[at >= 0]
    return pa.array(first)


def _gone(known: pa.Table, at: Ints, side: Side) -> pa.Table:
    """Return the rows of the memory that no pair holds.

    They keep the split that they were released in: in another one they would be leaks for ever.
    """
    rows = known.filter(pa.array(at < 0))
    group = pa.array(side.earlier_groups[at < 0])
    columns = {name: rows[name] for name in rows.column_names}
    columns |= {"group": side.group_names.take(group), "pair_id": pa.nulls(len(rows), pa.string())}
    return pa.table([columns[name] for name in ASSIGNMENT.names], ASSIGNMENT)


def references_table(home: Home, pairs: pa.Table, measured_images: pa.Table, measured_recordings: pa.Table) -> pa.Table:
    """Return two rows for every pair, schema REFERENCES: enough to fetch its sides again.

    Args:
        home: its tables of items say where media were fetched.
        pairs: schema PAIRS with a column split.
        measured_images: schema IMAGES, for the images of the pairs.
        measured_recordings: schema RECORDINGS, likewise.
    """
    hashes = measured_images["phash"].take(pa.array(places(pairs["image_sha256"], measured_images["sha256"])))
    at = places(pairs["music_sha256"], measured_recordings["sha256"])
    recordings = flat(measured_recordings["fingerprint"])
    spans = [
        base64.b64encode(fingerprints.clip_span(recordings[row].as_py(), start_s, duration_s)).decode()
        for row, start_s, duration_s in zip(
            at.tolist(), pairs["music_start_s"].to_pylist(), pairs["music_duration_s"].to_pylist(), strict=True
        )
    ]
    images = _side(home, pairs, "image") | {"fingerprint": pa.array([f"{each:016x}" for each in hashes.to_pylist()])}
    music = _side(home, pairs, "music") | {"fingerprint": pa.array(spans, pa.string())}
    music |= {"start_s": pairs["music_start_s"], "duration_s": pairs["music_duration_s"]}
    both = [
        pa.table([side.get(field.name, pa.nulls(len(pairs), field.type)) for field in REFERENCES], REFERENCES)
        for side in (images, music)
    ]
    # The image of a pair comes before its recording.
    return pa.concat_tables(both).take(pa.array(np.arange(2 * len(pairs)).reshape(2, -1).T.ravel()))


def _side(home: Home, pairs: pa.Table, side: str) -> dict[str, pa.Array]:
    shared = {name: pairs[name] for name in ("pair_id", "split", "label")}
    facts = {name: pairs[f"{side}_{name}"] for name in ("url", "sha256", "license")}
    named = pa.table({name: pairs[f"{side}_{name}"] for name in ingested.OF_A_FETCH})
    facts |= {"address": ingested.addresses(home, named), "checked_at": named["fetched_at"]}
    return shared | facts | {"side": pa.repeat(side, len(pairs))}
