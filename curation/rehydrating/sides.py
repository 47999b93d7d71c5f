"""The sides of published pairs: what must be had again, and what is known of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import tombstones
from curation.columns import Bools, flat, mask, places, taken
from curation.releases import PublishedRules
from curation.schemas import PAIRS, REFERENCES
from curation.store import Home
from rules.errors import ConfigurationError

FACTS = ("url", "title", "creator", "year", "license", "attribution")
_OF_SIDE = ("source", "source_id", "sha256", *FACTS)
_REFERENCE = ("address", "fingerprint")  # that only `references` has
ITEM = ("source", "source_id", "sha256")  # what tells one thing to fetch from the next

SIDES = pa.schema(
    [
        *((name, pa.string()) for name in ("pair_id", "side", "split")),
        *(PAIRS.field(f"image_{name}").with_name(name) for name in _OF_SIDE),
        ("start_s", pa.float64()),
        *((name, pa.string()) for name in _REFERENCE),
    ]
)


@dataclass(frozen=True, slots=True)
class Downloaded:
    """The files of a publication on this disk, all but its media.

    Attributes:
        portions: names of the files that `metadata` and `references` have in common, without ending, in order.
        embedded: pair_id of the pairs that are published with their media.
    """

    folder: Path
    portions: Sequence[str]
    embedded: pa.Array


def check(folder: Path, names: Sequence[str], rule_set: PublishedRules) -> None:
    """Refuse files that cannot be what `artune publish` wrote, whatever the manifest says of them.

    Raises:
        ConfigurationError: a file is no Parquet file, lacks columns, or has a label that the rules do not have.
    """
    for name in names:
        expected = REFERENCES if name.startswith("references/") else PAIRS
        try:
            with pq.ParquetFile(folder / name) as file:
                lacking = sorted(set(expected.names) - {"address"} - set(file.schema_arrow.names))  # which came later
                if lacking:
                    raise ConfigurationError(f"{name} of the publication has no column {', '.join(lacking)}")
                ends = pc.min_max(file.read(["label"])["label"]).as_py()
        except (OSError, pa.ArrowException) as error:
            raise ConfigurationError(f"{name} of the publication cannot be read: {error}") from error
        if not 0 <= ends["min"] <= ends["max"] < len(rule_set.numbering):
            raise ConfigurationError(f"{name} of the publication has a label that its rule_set.json does not name")


def of_portion(there: Downloaded, portion: str, *, with_fingerprints: bool = False) -> pa.Table:
    """Return two rows of SIDES for each pair of a portion, the image's first.

    Args:
        with_fingerprints: they are most of it; else null.
    """
    rows = pq.read_table(there.folder / "metadata" / f"{portion}.parquet", columns=_metadata_columns())
    _refuse_odd(rows, portion)
    names = [name for name in _REFERENCE if with_fingerprints or name != "fingerprint"]
    path = there.folder / "references" / f"{portion}.parquet"
    names = [name for name in names if name in pq.read_schema(path).names]
    references = pq.read_table(path, columns=["pair_id", "side", *names])
    split = portion.partition("-")[0]
    both = pa.concat_tables([_side(rows, references, side, split) for side in ("image", "music")])
    return both.take(pa.array(np.arange(2 * len(rows)).reshape(2, -1).T.ravel()))


def _refuse_odd(rows: pa.Table, portion: str) -> None:
    """Refuse hashes that are none: they name files, and where they come from anybody may have written them."""
    for name, digits in (("pair_id", 32), ("image_sha256", 64), ("music_sha256", 64)):
        is_hash = pc.match_substring_regex(rows[name], f"^[0-9a-f]{{{digits}}}$")
        if not pc.all(pc.fill_null(is_hash, False)).as_py():
            raise ConfigurationError(f"metadata/{portion}.parquet of the publication: {name}: expected {digits} digits")


def _metadata_columns() -> list[str]:
    return ["pair_id", *(f"{side}_{name}" for side in ("image", "music") for name in _OF_SIDE), "music_start_s"]


def _side(rows: pa.Table, references: pa.Table, side: str, split: str) -> pa.Table:
    of_side = references.filter(pc.equal(references["side"], side))
    at = places(rows["pair_id"], of_side["pair_id"])
    columns = {"pair_id": rows["pair_id"], "side": pa.repeat(side, len(rows)), "split": pa.repeat(split, len(rows))}
    columns |= {name: rows[f"{side}_{name}"] for name in _OF_SIDE}
    columns |= {"start_s": rows["music_start_s"]} if side == "music" else {}
    columns |= {name: taken(flat(of_side[name]), at) for name in _REFERENCE if name in of_side.column_names}
    return pa.table([columns.get(field.name, pa.nulls(len(rows), field.type)) for field in SIDES], SIDES)


def are_embedded(there: Downloaded, sides: pa.Table) -> Bools:
    """Tell which sides are of pairs that are published with their media."""
    return mask(pc.is_in(sides["pair_id"], value_set=there.embedded))


def are_removed(home: Home, sides: pa.Table) -> Bools:
    """Tell which sides somebody asked to be removed, in this work folder, by name or by content."""
    stones = tombstones.read(home)
    contents = pa.array(sorted({stone.sha256 for stone in stones if stone.sha256}), pa.string())
    named = tombstones.are_named(sides, [(stone.source, stone.source_id) for stone in stones])
    return named | mask(pc.is_in(sides["sha256"], value_set=contents))


def items(home: Home, there: Downloaded) -> pa.Table:
    """Return a row of SIDES for each thing that is to be had again, ordered by ITEM; what was removed is none."""
    found = [SIDES.empty_table()]
    for portion in there.portions:
        rows = of_portion(there, portion)
        found.append(rows.filter(pa.array(~are_embedded(there, rows) & ~are_removed(home, rows))))
    rows = pa.concat_tables(found)
    rows = rows.sort_by([(name, "ascending") for name in (*ITEM, "pair_id")])
    names = item_names(rows)
    is_first = np.ones(len(rows), dtype=bool)
    is_first[1:] = mask(pc.not_equal(names[1:], names[:-1]))
    return rows.filter(pa.array(is_first))


def item_names(rows: pa.Table) -> pa.Array:
    """Return a name for the thing that each row needs."""
    return flat(pc.binary_join_element_wise(*(rows[name] for name in ITEM), "\0"))
