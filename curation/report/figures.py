"""Every number of the report, complete: counted by DuckDB over the tables of a release, never over its media."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as pads

from curation.errors import REASONS
from curation.releases import PublishedRules
from curation.schemas import ASSIGNMENT, CANDIDATES, PAIRS, REJECTIONS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SPLITS = ("train", "validation", "test")
PUBLISHED = PAIRS.set(PAIRS.get_field_index("label"), pa.field("label", pa.int64()))
SHARES_SHOWN = 12
LEAKS_SHOWN = 20

# What must lie in one split: (name, column of the pairs)
SEPARATE = (
    ("groups of artworks", "image_group"),
    ("groups of recordings", "music_group"),
    ("picture files", "image_sha256"),
    ("recording files", "music_sha256"),
)


@dataclass(frozen=True, slots=True)
class Totals:
    """The key figures of a release."""

    pairs: int
    artworks: int
    recordings: int
    labels: int
    labels_with_pairs: int
    goal: int
    rejected: int
    music_s: float


@dataclass(frozen=True, slots=True)
class SplitCount:
    """The pairs of one split, and its share beside the wanted one; shares in [0, 1]."""

    name: str
    pairs: int
    share: float
    wanted: float


@dataclass(frozen=True, slots=True)
class Quota:
    """The clips of a sub-genre within a label, and how many the rule set asks for."""

    sub_genre: str
    clips: int
    quota: int


@dataclass(frozen=True, slots=True)
class Supply:
    """What fits a label and is in no pair of it: left over, or in a pair of another label; and what nearly fits."""

    spare_pictures: int
    spare_clips: int
    pictures_elsewhere: int
    recordings_elsewhere: int
    near_pictures: int
    near_recordings: int


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """What a release holds of one label, and what there is beside it."""

    number: int  # the index of the published ClassLabel
    name: str
    goal: int
    pairs: int
    artworks: int
    recordings: int
    splits: tuple[SplitCount, ...]
    quotas: tuple[Quota, ...]
    supply: Supply

    @property
    def farthest(self) -> float:
        """The largest distance of a split's share from the wanted one, in [0, 1]."""
        return max((abs(split.share - split.wanted) for split in self.splits), default=0.0)


@dataclass(frozen=True, slots=True)
class Share:
    """How many of something are one thing; share in [0, 1]."""

    name: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """The rejections of one stage, reason and kind of thing."""

    stage: str
    reason: str
    unit: str
    count: int


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """How many of the things that must lie in one split lie in two, and the first of them."""

    name: str
    count: int
    leaking: int
    examples: tuple[tuple[str, str], ...]  # (thing, splits)


def connect(release: Path, rule_set: PublishedRules) -> "DuckDBPyConnection":
    """Return a connection with the views pairs (with split), labels, assignment, rejections and candidates."""
    import duckdb  # where it lies beside torch as the interpreter ends, it complains of what it never freed

    connection = duckdb.connect(config={"threads": 1})  # the order of a sum is the same each time
    # Files are handed over as Arrow data sets, because DuckDB would take a [ or * in a folder's name for a pattern.
    for split in SPLITS:
        files = sorted((release / "metadata").glob(f"{split}-*.parquet"))
        rows = _scanned(files) if files else PUBLISHED.empty_table()
        connection.register(f"pairs_{split}", rows)
    columns = ", ".join(f'"{name}"' for name in PUBLISHED.names if name != "fetched_at")
    union = " UNION ALL ".join(f"SELECT {columns}, '{split}' AS split FROM pairs_{split}" for split in SPLITS)
    connection.execute(f"CREATE VIEW pairs AS {union}")
    for name, schema in (("assignment", ASSIGNMENT), ("rejections", REJECTIONS), ("candidates", CANDIDATES)):
        path = release / f"{name}.parquet"
        connection.register(name, _scanned([path]) if path.exists() else schema.empty_table())
    goals = [
        {"number": rule_set.numbering.index(label.name), "name": label.name, "goal": label.size}
        for label in rule_set.labels
    ]
    connection.register("labels", pa.Table.from_pylist(goals))
    return connection


def _scanned(paths: Sequence[Path]) -> pads.Dataset:
    """Return the rows of files, which are read when they are asked for."""
    if isinstance(paths[0], Path):
        return pads.dataset([str(path) for path in paths], format="parquet")
    return pads.dataset([path.path for path in paths], format="parquet", filesystem=paths[0].fs)


def totals(connection: "DuckDBPyConnection") -> Totals:
    """Return the key figures."""
    row = _rows(
        connection,
        """
        SELECT count(*), count(DISTINCT image_sha256), count(DISTINCT music_sha256),
               (SELECT count(*) FROM labels), count(DISTINCT label), (SELECT sum(goal)::BIGINT FROM labels),
               (SELECT count(*) FROM rejections), coalesce(sum(music_duration_s), 0.0)
        FROM pairs
        """,
    )[0]
    return Totals(*row)


def labels(connection: "DuckDBPyConnection", rule_set: PublishedRules) -> list[LabelFigures]:
    """Return the figures of every label of the rule set, in its order."""
    wanted = {name: float(getattr(rule_set.splits, name)) for name in SPLITS}
    clips = {
        (label, genre): n
        for label, genre, n in _rows(connection, "SELECT label, music_genre, count(*) FROM pairs GROUP BY ALL")
    }
    quotas = {label.name: label.music.sub_genres for label in rule_set.labels}
    supplies = _supplies(connection, rule_set.label_names)
    figures = []
    for number, name, goal, pairs, artworks, recordings, *counts in _rows(connection, _LABELS):
        splits = tuple(
            SplitCount(split, count, count / pairs if pairs else 0.0, wanted[split])
            for split, count in zip(SPLITS, counts, strict=True)
        )
        genres = tuple(Quota(genre, clips.get((number, genre), 0), quota) for genre, quota in quotas[name].items())
        figures.append(LabelFigures(number, name, goal, pairs, artworks, recordings, splits, genres, supplies[name]))
    return figures


_LABELS = """
    SELECT number, name, goal, count(pair_id), count(DISTINCT image_sha256), count(DISTINCT music_sha256),
           count(*) FILTER (split = 'train'), count(*) FILTER (split = 'validation'), count(*) FILTER (split = 'test')
    FROM labels LEFT JOIN pairs ON label = number
    GROUP BY number, name, goal ORDER BY number
"""


def _supplies(connection: "DuckDBPyConnection", names: Sequence[str]) -> dict[str, Supply]:
    spare: Counter[tuple[str, str]] = Counter()
    # What balance and pairing leave over says in its detail for which labels it was. A label's name may hold another's.
    for detail, unit, count in _rows(connection, _SPARE):
        rest = detail or ""
        for name in sorted(names, key=len, reverse=True):
            if name in rest:
                spare[name, unit] += count
                rest = rest.replace(name, "")
    other: Counter[tuple[str, str, str]] = Counter()
    for label, kind, side, count in _rows(connection, _CANDIDATES):
        other[label, kind, side] = count
    return {
        name: Supply(
            spare[name, "image"],
            spare[name, "clip"],
            other[name, "ambiguous", "image"],
            other[name, "ambiguous", "music"],
            other[name, "near_miss", "image"],
            other[name, "near_miss", "music"],
        )
        for name in names
    }


_SPARE = """
    SELECT detail, unit, count(*) FROM rejections
    WHERE reason IN ('class_full', 'no_partner', 'quota_full') GROUP BY ALL
"""

# Of the ambiguous only those that are in a pair of another label.
_CANDIDATES = """
    WITH paired AS (
        SELECT DISTINCT 'image' AS side, image_sha256 AS sha256, name FROM pairs JOIN labels ON label = number
        UNION ALL
        SELECT DISTINCT 'music', music_sha256, name FROM pairs JOIN labels ON label = number
    ), each AS (SELECT unnest(labels) AS label, kind, side, sha256 FROM candidates)
    SELECT label, kind, each.side, count(*) FROM each LEFT JOIN paired USING (side, sha256)
    WHERE kind = 'near_miss' OR name != label GROUP BY ALL
"""


def splits(connection: "DuckDBPyConnection", rule_set: PublishedRules) -> list[SplitCount]:
    """Return the pairs of each split over all labels."""
    counts = dict(_rows(connection, "SELECT split, count(*) FROM pairs GROUP BY split"))
    pairs = sum(counts.values()) or 1
    return [
        SplitCount(name, counts.get(name, 0), counts.get(name, 0) / pairs, float(getattr(rule_set.splits, name)))
        for name in SPLITS
    ]


def shares(connection: "DuckDBPyConnection", side: str, what: str) -> list[Share]:
    """Return how the distinct files of a side divide, most first; what is rare is one entry at the end.

    Args:
        side: image or music.
        what: license or source.
    """
    rows = _rows(
        connection,
        f"""
        SELECT coalesce({side}_{what}, 'unknown') AS name, count(DISTINCT {side}_sha256) AS n
        FROM pairs GROUP BY name ORDER BY n DESC, name
        """,
    )
    total = sum(count for _, count in rows)
    shown = [Share(name, count, count / total) for name, count in rows[:SHARES_SHOWN]]
    rest = sum(count for _, count in rows[SHARES_SHOWN:])
    if rest:
        shown.append(Share(f"{len(rows) - SHARES_SHOWN:,} others", rest, rest / total))
    return shown


def rejections(connection: "DuckDBPyConnection") -> list[ReasonCount]:
    """Return the rejections by stage, reason and unit, in the order in which an item meets them."""
    rows = _rows(connection, "SELECT stage, reason, unit, count(*) FROM rejections GROUP BY ALL")
    order = {reason: place for place, reason in enumerate(REASONS)}  # which lists stage after stage
    rows.sort(key=lambda row: (order[row[1]], row[2]))
    return [ReasonCount(*row) for row in rows]


def leak_checks(connection: "DuckDBPyConnection") -> list[LeakCheck]:
    """Return a check of each thing that must lie in one split, and of all that any release up to this one held.

    A group may have held things in two splits before a link joined them; a picture or recording never changes its own.
    """
    checks = [_leak_check(connection, name, column, "pairs") for name, column in SEPARATE]
    ever = "(SELECT side || ' ' || sha256 AS blob, split FROM assignment)"
    return [*checks, _leak_check(connection, "pictures and recordings of all releases so far", "blob", ever)]


def _leak_check(connection: "DuckDBPyConnection", name: str, column: str, rows: str) -> LeakCheck:
    spread = f"""
        SELECT {column} AS thing, count(DISTINCT split) AS n,
               string_agg(DISTINCT split, ' and ' ORDER BY split) AS places
        FROM {rows} WHERE {column} IS NOT NULL GROUP BY thing
    """
    count, leaking = _rows(connection, f"SELECT count(*), count(*) FILTER (n > 1) FROM ({spread})")[0]
    examples = _rows(connection, f"SELECT thing, places FROM ({spread}) WHERE n > 1 ORDER BY thing LIMIT {LEAKS_SHOWN}")
    return LeakCheck(name, count, leaking, tuple((thing, places) for thing, places in examples))


def _rows(connection: "DuckDBPyConnection", query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    return connection.execute(query, list(values)).fetchall()
