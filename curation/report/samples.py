"""What the report shows of a release: a bounded choice of pairs, rejections and candidates, always the same.

Pairs are taken in the order of their ids, which are hashes, and first from different groups.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.report.previews import LARGE, PREVIEW_BITRATE_BPS, PREVIEW_S, SMALL, SPECTROGRAM_MAX_BYTES
from curation.store import opened

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CLIPS_PER_LABEL = 3
PICTURES_PER_LABEL = 12
REJECTIONS_PER_REASON = 4
CANDIDATES_PER_KIND = 24
CANDIDATES_PER_LABEL = 4

# Of base64 in the page: 18 labels take 16 MB at most, and any number of labels no more than this.
MEDIA_BUDGET_BYTES = 22_000_000
_BASE64 = 4 / 3
CLIP_BYTES = _BASE64 * (PREVIEW_S * PREVIEW_BITRATE_BPS / 8 + SPECTROGRAM_MAX_BYTES + LARGE.max_bytes)
PICTURE_BYTES = _BASE64 * SMALL.max_bytes


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many clips and pictures are shown of each label."""

    clips: int
    pictures: int


@dataclass(frozen=True, slots=True)
class Side:
    """What is known of a picture or a recording."""

    source: str
    source_id: str
    url: str | None
    title: str | None
    creator: str | None
    year: int | None
    license: str | None
    attribution: str | None
    sha256: str


@dataclass(frozen=True, slots=True)
class Sound:
    """What is known of a clip beside its recording."""

    start_s: float | None
    genre: str | None
    features: tuple[str, ...]
    loudness_lufs: float | None
    tempo_bpm: float | None
    key: str | None


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair that the report shows."""

    pair_id: str
    label: int
    split: str
    rule: str | None
    evidence: str | None
    image: Side
    music: Side
    sound: Sound


@dataclass(frozen=True, slots=True)
class Rejection:
    """An example of what was left out."""

    unit: str
    source: str | None
    source_id: str | None
    title: str | None
    detail: str | None
    kept_source_id: str | None
    start_sample: int | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that several labels would take, or that one misses by little.

    `taken` is the label in whose pairs it is, `pair_id` one of these where it is a picture.
    """

    side: str
    source: str | None
    source_id: str | None
    title: str | None
    labels: tuple[str, ...]
    detail: str | None
    taken: str | None
    pair_id: str | None


def allowance(labels: int) -> Allowance:
    """Return how much may be shown of each of so many labels within MEDIA_BUDGET_BYTES."""
    # Ambiguous pictures have thumbnails too.
    budget = MEDIA_BUDGET_BYTES - CANDIDATES_PER_KIND * PICTURE_BYTES
    full = CLIPS_PER_LABEL * CLIP_BYTES + PICTURES_PER_LABEL * PICTURE_BYTES
    part = min(1.0, budget / (max(labels, 1) * full))
    return Allowance(int(CLIPS_PER_LABEL * part), int(PICTURES_PER_LABEL * part))


def pairs(connection: "DuckDBPyConnection", shown: Allowance) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs to be heard, and others to be seen, both by label."""
    heard = _choose(connection, "music_group", shown.clips, ())
    return heard, _choose(connection, "image_group", shown.pictures, [pair.pair_id for pair in heard])


def _choose(connection: "DuckDBPyConnection", group: str, count: int, without: Iterable[str]) -> list[Pair]:
    sides = ", ".join(f"{side}_{name}" for side in ("image", "music") for name in Side.__slots__)
    rows = connection.execute(
        f"""
        WITH turns AS (
            SELECT *, row_number() OVER (PARTITION BY label, {group} ORDER BY pair_id) AS turn
            FROM pairs WHERE NOT list_contains(?, pair_id)
        ), places AS (
            SELECT *, row_number() OVER (PARTITION BY label ORDER BY turn, pair_id) AS place FROM turns
        )
        SELECT pair_id, label, split, rule, evidence, {sides},
               music_start_s, music_genre, music_features, loudness_lufs, tempo_bpm, key
        FROM places WHERE place <= ? ORDER BY label, place
        """,
        [list(without), count],
    ).fetchall()
    return [_pair(row) for row in rows]


def _pair(row: tuple[Any, ...]) -> Pair:
    pair_id, label, split, rule, evidence, *rest = row
    width = len(Side.__slots__)
    image, music = Side(*rest[:width]), Side(*rest[width : 2 * width])
    start_s, genre, features, loudness_lufs, tempo_bpm, key = rest[2 * width :]
    sound = Sound(start_s, genre, tuple(features or ()), loudness_lufs, tempo_bpm, key)
    return Pair(pair_id, label, split, rule, evidence, image, music, sound)


def media(release: Path, column: str, pair_ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the id and the file of each of these pairs, in the order of the release; one row group at a time is read.

    Args:
        release: the folder of the release.
        column: image or audio.
        pair_ids: of the wanted rows.
    """
    wanted = pa.array(sorted(set(pair_ids)), pa.string())
    for path in sorted((release / "data").glob("*.parquet")) if len(wanted) else []:
        with pq.ParquetFile(opened(path)) as file:
            for group in range(file.num_row_groups):
                ids = file.read_row_group(group, columns=["pair_id"]).column("pair_id")
                places = pc.indices_nonzero(pc.is_in(ids, value_set=wanted))
                if not len(places):
                    continue
                content = file.read_row_group(group, columns=[f"{column}.bytes"]).column(column)
                for place in places.to_pylist():
                    yield ids[place].as_py(), content[place]["bytes"].as_py()


def rejections(connection: "DuckDBPyConnection") -> dict[str, list[Rejection]]:
    """Return the first rejections of each reason by source and id."""
    rows = connection.execute(
        """
        SELECT reason, unit, source, source_id, title, detail, kept_source_id, start_sample FROM rejections
        QUALIFY row_number() OVER (PARTITION BY reason ORDER BY source, source_id, start_sample, unit, detail) <= ?
        ORDER BY reason, source, source_id, start_sample, unit, detail
        """,
        [REJECTIONS_PER_REASON],
    ).fetchall()
    examples: dict[str, list[Rejection]] = {}
    for reason, *row in rows:
        examples.setdefault(reason, []).append(Rejection(*row))
    return examples


def candidates(connection: "DuckDBPyConnection", kind: str) -> tuple[int, list[Candidate]]:
    """Return how many candidates of a kind there are, and the first by sha256.

    Args:
        connection: of figures.connect.
        kind: ambiguous or near_miss.
    """
    count = connection.execute("SELECT count(*) FROM candidates WHERE kind = ?", [kind]).fetchall()[0][0]
    query = f"{_CANDIDATES} WHERE kind = ? ORDER BY {_CANDIDATE_ORDER} LIMIT ?"
    rows = connection.execute(query, [kind, CANDIDATES_PER_KIND]).fetchall()
    return count, [_candidate(row) for row in rows]


def near_misses(connection: "DuckDBPyConnection") -> dict[str, list[Candidate]]:
    """Return the first near misses of each label."""
    rows = connection.execute(
        f"""
        WITH misses AS ({_CANDIDATES} WHERE kind = 'near_miss'),
             each AS (SELECT unnest(labels) AS label, misses.* FROM misses)
        SELECT * EXCLUDE (place) FROM (
            SELECT *, row_number() OVER (PARTITION BY label ORDER BY {_CANDIDATE_ORDER}) AS place FROM each
        ) WHERE place <= ? ORDER BY label, place
        """,
        [CANDIDATES_PER_LABEL],
    ).fetchall()
    misses: dict[str, list[Candidate]] = {}
    for label, *row in rows:
        misses.setdefault(label, []).append(_candidate(tuple(row)))
    return misses


_CANDIDATES = """
    SELECT side, source, source_id, title, labels, detail, sha256, taken, pair_id
    FROM candidates LEFT JOIN (
        SELECT 'image' AS side, image_sha256 AS sha256, min(name) AS taken, min(pair_id) AS pair_id
        FROM pairs JOIN labels ON label = number GROUP BY image_sha256
        UNION ALL
        SELECT 'music', music_sha256, min(name), NULL FROM pairs JOIN labels ON label = number GROUP BY music_sha256
    ) USING (side, sha256)
"""
_CANDIDATE_ORDER = "sha256, source, source_id, detail"


def _candidate(row: tuple[Any, ...]) -> Candidate:
    side, source, source_id, title, labels, detail, _, taken, pair_id = row
    return Candidate(side, source, source_id, title, tuple(labels or ()), detail, taken, pair_id)
