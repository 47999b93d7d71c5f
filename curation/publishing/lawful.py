"""Which pairs of a release may be published with their media, which as references only, and which not at all."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation import tombstones
from curation.card.counts import names_somebody
from curation.columns import Bools, Ints, mask
from curation.releases import Release, rule_set_of
from curation.store import Home, opened
from curation.tombstones import Tombstone
from rules.errors import ConfigurationError
from rules.licenses import EMBEDDING, UNKNOWN, USES, Licenses, Use

SIDES = ("image", "music")
BATCH_ROWS = 1 << 16  # a few MB of texts at a time, however many pairs there are
MAX_NAMED = 5
MAX_LICENSES = 12
MAX_LICENSE_CHARS = 60

_EMBEDDED, _REFERENCED, _EXCLUDED = 0, 1, 2  # the greater of both sides is that of the pair
_FATES = np.array([{"reference": _REFERENCED, "exclude": _EXCLUDED}.get(use, _EMBEDDED) for use in USES])
_WITH_ATTRIBUTION, _REFERENCE = USES.index("embed_with_attribution"), USES.index("reference")


@dataclass(frozen=True, slots=True)
class LicenseUse:
    """What is published under one license.

    Attributes:
        license: as the rows write it.
        use: of these rows. Those that lack the attribution that their license asks for are counted apart.
        pictures: the pairs whose picture has this license; a picture is in one pair only.
        clips: the pairs whose clip has it.
    """

    license: str
    use: Use
    pictures: int
    clips: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is published of each pair of a release: every pair is in one of the arrays of pair_ids, which are ordered.

    Attributes:
        embedded: with picture and clip.
        referenced: by metadata and references only.
        excluded: not at all.
        licenses: by name and use.
    """

    embedded: pa.Array
    referenced: pa.Array
    excluded: pa.Array
    licenses: Sequence[LicenseUse]


def choose(home: Home, release: Release) -> Chosen:
    """Divide the pairs of a release by what the licenses of their two sides allow, as its own rule set reads them.

    Raises:
        ConfigurationError: no pair may be published with its media, the release holds an item whose removal was asked
            for, or its files cannot be read.
    """
    rule_set, stones = rule_set_of(release), tombstones.read(home)
    ids: list[list[pa.Array]] = [[], [], []]
    counts: Counter[tuple[str, Use, str]] = Counter()
    removed: set[str] = set()
    for rows in _batches(release, with_names=bool(stones)):
        uses = [_uses(rows, side, rule_set.licenses, counts) for side in SIDES]
        fates = np.maximum(*(_FATES[use] for use in uses))
        for fate, of_fate in enumerate(ids):
            of_fate.append(rows["pair_id"].filter(pa.array(fates == fate)))
        if stones:
            removed.update(*(_removed(rows, side, stones) for side in SIDES))
    if removed:
        raise ConfigurationError(_told_of_removed(release, sorted(removed)))
    embedded, referenced, excluded = (pa.concat_arrays([*part, pa.array([], pa.string())]).sort() for part in ids)
    chosen = Chosen(embedded, referenced, excluded, _licenses(counts))
    if not len(chosen.embedded):
        raise ConfigurationError(_told_of_nothing(release, chosen, "licenses" in rule_set.model_fields_set))
    return chosen


def _batches(release: Release, *, with_names: bool) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a release, by the columns that are asked for."""
    asked = ("license", "attribution", *(("source", "source_id", "sha256") if with_names else ()))
    columns = ["pair_id", *(f"{side}_{name}" for side in SIDES for name in asked)]
    for name in sorted(name for name in release.manifest["files"] if name.startswith("metadata/")):
        path = release.folder / name
        try:
            with pq.ParquetFile(opened(path)) as file:
                yield from file.iter_batches(BATCH_ROWS, columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise ConfigurationError(f"{path} cannot be read; `artune verify` tells more") from error


def _uses(rows: pa.RecordBatch, side: str, licenses: Licenses, counts: Counter[tuple[str, Use, str]]) -> Ints:
    """Return what may be done with one side of each row, as places in USES, shape (n,); and count it."""
    column = pc.fill_null(rows[f"{side}_license"], UNKNOWN).dictionary_encode()
    names, at = column.dictionary.to_pylist(), column.indices.to_numpy()
    of_names = np.array([USES.index(licenses.use(name)) for name in names], dtype=np.int64)
    nobody = ~mask(names_somebody(rows[f"{side}_attribution"]))
    uses: Ints = of_names[at]
    uses[nobody & (uses == _WITH_ATTRIBUTION)] = _REFERENCE
    pairs, found = np.unique(at * len(USES) + uses, return_counts=True)
    for pair, count in zip(pairs.tolist(), found.tolist(), strict=True):
        name, use = divmod(pair, len(USES))
        counts[names[name], USES[use], side] += count
    return uses


def _licenses(counts: Counter[tuple[str, Use, str]]) -> tuple[LicenseUse, ...]:
    kinds = sorted({(license, use) for license, use, _ in counts}, key=lambda kind: (kind[0], USES.index(kind[1])))
    return tuple(LicenseUse(*kind, *(counts[*kind, side] for side in SIDES)) for kind in kinds)


def _removed(rows: pa.RecordBatch, side: str, stones: Sequence[Tombstone]) -> set[str]:
    """Return the names of the items of one side whose removal was asked for, by their name or by their bytes."""
    names = ("source", "source_id", "sha256")
    items = pa.table({name: rows[f"{side}_{name}"] for name in names})
    contents = pa.array(sorted({stone.sha256 for stone in stones if stone.sha256}), pa.string())
    is_named: Bools = tombstones.are_named(items, [(stone.source, stone.source_id) for stone in stones])
    gone = items.filter(pa.array(is_named | mask(pc.is_in(items["sha256"], value_set=contents))))
    return {f"{row['source']}:{row['source_id']}" for row in gone.to_pylist()}


def _told_of_removed(release: Release, names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    return (
        f"release {release.number} holds items whose removal was asked for: {', '.join(names[:MAX_NAMED])}{more}; "
        "expected a release without them: `artune build` makes one, publish that"
    )


def _told_of_nothing(release: Release, chosen: Chosen, has_licenses: bool) -> str:
    name = release.manifest["rule_set"]["name"]
    if not chosen.licenses:
        return f"release {release.number} of {name}: expected pairs to publish; it has none"
    most = sorted(chosen.licenses, key=lambda one: (-one.pictures - one.clips, one.license))
    told = [
        f"{one.license[:MAX_LICENSE_CHARS]} ({one.pictures:,} pictures, {one.clips:,} clips: {one.use})"
        for one in most[:MAX_LICENSES]
    ]
    if len(most) > MAX_LICENSES:
        told.append(f"{len(most) - MAX_LICENSES:,} more")
    lacking = "" if has_licenses else ", without which this release was built"
    return (
        f"release {release.number} of {name}: none of its pairs may be published with its media. It has the licenses "
        f"{', '.join(told)}. Expected a pair whose two licenses stand under {' or '.join(EMBEDDING)} in licenses.yaml "
        f"of the rule set{lacking}; under the last, the rows have to say whom to name. After a change there "
        "`artune build` makes a release that is judged by it"
    )
