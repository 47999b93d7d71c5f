"""Measurements of blobs: each blob is decoded once for a step's key, whatever release needs it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation import audio, damage, images
from curation.batches import batched
from curation.columns import flat, mask
from curation.errors import ItemError, attempt
from curation.schemas import BULK, IMAGES, RECORDINGS
from curation.store import Home, digest, read_tables
from rules.schema import RuleSet

AT_HAND = 8  # blobs of object storage that are here at a time; a multiple of what a model takes in one pass


@dataclass(frozen=True, slots=True)
class Step:
    """A measurement with all that its result depends on: parameters, decoder and code version.

    `measure` takes files and settings, and gives for each file, in order, what it found or why there is nothing.
    """

    name: str
    schema: pa.Schema
    key: str
    settings: Any
    measure: Callable[[Sequence[Path], Any], Iterable[Any]]
    made_of: Mapping[str, object] = field(default_factory=dict)  # what a person is told where the key changes


@dataclass(frozen=True, slots=True)
class Batch:
    """Blobs of one step that no derived table holds yet."""

    home: Home
    step: Step
    sha256s: Sequence[str]


def image_step(rule_set: RuleSet) -> Step:
    parameters = rule_set.image.model_dump(include={"max_side_px", "min_side_px"})
    key = digest(["images", images.VERSION, images.decoder_version(), parameters])
    made_of = {"code": images.VERSION, "decoder": images.decoder_version(), **parameters}
    return Step("images", IMAGES, key, rule_set.image, partial(one_by_one, images.measure), made_of)


def recording_step(rule_set: RuleSet) -> Step:
    parameters = rule_set.audio.model_dump(include={"sample_rate_hz", "channels", "clip_s", "silence_dbfs"})
    key = digest(["recordings", audio.VERSION, audio.decoder_version(), parameters])
    made_of = {"code": audio.VERSION, "decoder": audio.decoder_version(), **parameters}
    return Step("recordings", RECORDINGS, key, rule_set.audio, partial(one_by_one, audio.measure), made_of)


def one_by_one(measure: Callable[[Path, Any], Any], paths: Iterable[Path], settings: object) -> Iterator[Any]:
    """Yield what is measured of each file, or why there is nothing."""
    return (attempt(partial(measure, path, settings)) for path in paths)


def steps(rule_set: RuleSet) -> dict[str, Step]:
    """Return the step that measures each modality."""
    return {"image": image_step(rule_set), "music": recording_step(rule_set)}


def pending(home: Home, step: Step, sha256s: pa.ChunkedArray) -> list[Batch]:
    """Cut the blobs that are not measured yet into batches."""
    known = read_tables(home.derived(step.name, step.key), step.schema, ["sha256"])["sha256"]
    wanted = pc.unique(sha256s)
    new = wanted.filter(pc.invert(pc.is_in(wanted, value_set=known.combine_chunks())))
    return [Batch(home, step, part) for part in batched(sorted(new.to_pylist()))]


def measure_batch(batch: Batch) -> Counter[str | None]:
    """Measure a batch's blobs, write a row for every one, and count them by reason, None of those that pass."""
    found = chain.from_iterable(_measured(batch, part) for part in _parts(batch.sha256s))
    rows = [_row(sha256, measured) for sha256, measured in zip(batch.sha256s, found, strict=True)]
    path = batch.home.derived(batch.step.name, batch.step.key) / f"{digest(list(batch.sha256s))[:32]}.parquet"
    batch.home.write_table(path, pa.Table.from_pylist(rows, batch.step.schema))
    return Counter(row.get("reason") for row in rows)


def _parts(sha256s: Sequence[str]) -> Iterator[Sequence[str]]:
    return (sha256s[start : start + AT_HAND] for start in range(0, len(sha256s), AT_HAND))


def _measured(batch: Batch, sha256s: Sequence[str]) -> list[Any]:
    paths = [batch.home.blob(sha256) for sha256 in sha256s]
    with batch.home.all_at_hand(paths) as blobs:
        for path, sha256, blob in zip(paths, sha256s, blobs, strict=True):
            damage.check(path, sha256, blob)  # or what befell the file would be held against the item
        return list(batch.step.measure(blobs, batch.step.settings))


def _row(sha256: str, measured: Any) -> dict[str, Any]:  # noqa: ANN401 - each step has a type of its own
    if isinstance(measured, ItemError):
        return {"sha256": sha256, "reason": measured.reason, "detail": measured.detail}
    return {"sha256": sha256, **asdict(measured)}


def measured(home: Home, step: Step, sha256s: pa.ChunkedArray, *, bulk: bool = False) -> pa.Table:
    """Return the step's rows of these blobs, ordered by sha256, one for each.

    Args:
        bulk: with the columns BULK.
    """
    columns = [name for name in step.schema.names if bulk or name not in BULK]
    rows = read_tables(home.derived(step.name, step.key), step.schema, columns)
    wanted = np.flatnonzero(mask(pc.is_in(rows["sha256"], value_set=flat(sha256s))))
    found = flat(rows["sha256"].take(pa.array(wanted)))
    order = pc.sort_indices(found)
    # Two builders that measured the same blob wrote the same row twice.
    ordered = found.take(order)
    first = np.arange(len(found)) == 0
    first[1:] |= mask(pc.not_equal(ordered[1:], ordered[:-1]))
    return rows.take(pa.array(wanted[order.to_numpy()[first]]))
