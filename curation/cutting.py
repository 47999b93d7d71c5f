"""Clips and pictures of new pairs into temporary files: a recording is decoded once, whatever shards it fills."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation import audio, damage, images
from curation.batches import MIN_BATCHES
from curation.store import Home, digest, opened
from rules.schema import RuleSet

MEDIA = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
CLIPS = pa.schema([("pair_id", pa.string()), ("image", MEDIA), ("audio", MEDIA)])
MAX_CLIPS_PER_BATCH = 64  # the temporary file of a batch holds 340 MB
Place = tuple[Path, int]  # an Arrow file and the record batch in it
Clip = tuple[str, int]  # sha256 of the recording, start sample
Row = tuple[Path, str, str]  # a Parquet file of the parent release, its sha256, and the pair_id of a row


@dataclass(frozen=True, slots=True)
class Released:
    """Where the parent release holds media: what was released is copied, whatever today's tools would make of it.

    Attributes:
        pictures: by sha256.
        clips: by sha256 of the recording and start sample.
    """

    pictures: Mapping[str, Row]
    clips: Mapping[Clip, Row]


@dataclass(frozen=True, slots=True)
class CutBatch:
    """Pairs that are not in the parent release, of whole recordings.

    Attributes:
        rows: pair_id, image_sha256, music_sha256, start_sample, and where the parent has the picture or the clip.
    """

    home: Home
    work: Path
    rule_set: RuleSet
    rows: Sequence[dict[str, Any]]

    @property
    def path(self) -> Path:
        return self.work / f"{digest([row['pair_id'] for row in self.rows])[:32]}.arrow"

    def places(self) -> dict[str, Place]:
        """Return where the media of each pair lie, by pair_id."""
        path = self.path
        return {row["pair_id"]: (path, at) for at, row in enumerate(self.rows)}


def cut_batches(home: Home, work: Path, rule_set: RuleSet, new: pa.Table, released: Released) -> list[CutBatch]:
    """Cut the new pairs into batches of whole recordings."""
    rate = rule_set.audio.sample_rate_hz
    by_recording: dict[str, list[dict[str, Any]]] = {}
    for row in new.select(["pair_id", "image_sha256", "music_sha256", "music_start_s"]).to_pylist():
        start = round(row.pop("music_start_s") * rate)
        held = {
            "picture": released.pictures.get(row["image_sha256"]),
            "clip": released.clips.get((row["music_sha256"], start)),
        }
        by_recording.setdefault(row["music_sha256"], []).append(row | {"start_sample": start} | held)
    for rows in by_recording.values():
        rows.sort(key=lambda row: (row["clip"] is not None, row["start_sample"]))  # as `_clips` yields them
    recordings = [rows for _, rows in sorted(by_recording.items())]
    most = max(1, min(MAX_CLIPS_PER_BATCH, -(-len(new) // MIN_BATCHES)))
    return [CutBatch(home, work, rule_set, rows) for rows in _packed(recordings, most)]


def _packed(recordings: Sequence[list[dict[str, Any]]], most: int) -> Iterator[list[dict[str, Any]]]:
    """Join the rows of recordings, in their order, into batches of so many rows, or of one recording that has more."""
    held: list[dict[str, Any]] = []
    for rows in recordings:
        if held and len(held) + len(rows) > most:
            yield held
            held = []
        held = held + rows
    if held:
        yield held


def cut_batch(batch: CutBatch) -> Path:
    """Write the media of a batch's pairs to one Arrow file, one record batch for each; decodes each recording once."""
    if not batch.path.exists():
        with batch.home.replacing(batch.path) as temporary, pa.ipc.new_file(temporary, CLIPS) as writer:
            for row, clip in _clips(batch):
                picture = _picture(batch, row)
                name = row["pair_id"]
                media = {
                    "pair_id": name,
                    "image": {"bytes": picture, "path": f"{name}.jpg"},
                    "audio": {"bytes": clip, "path": f"{name}.wav"},
                }
                writer.write_batch(pa.RecordBatch.from_pylist([media], schema=CLIPS))
    return batch.path


def _clips(batch: CutBatch) -> Iterator[tuple[dict[str, Any], bytes]]:
    by_recording: dict[str, list[dict[str, Any]]] = {}
    for row in batch.rows:
        by_recording.setdefault(row["music_sha256"], []).append(row)
    for sha256, rows in by_recording.items():
        new = [row for row in rows if row["clip"] is None]
        if new:
            starts = [row["start_sample"] for row in new]
            path = batch.home.blob(sha256)
            with batch.home.at_hand(path) as blob:
                damage.check(path, sha256, blob)
                yield from zip(new, audio.cut(blob, batch.rule_set.audio, starts), strict=True)
        for row in rows[len(new) :]:
            yield row, _released(row["clip"], "audio")


def _picture(batch: CutBatch, row: dict[str, Any]) -> bytes:
    if row["picture"] is not None:
        return _released(row["picture"], "image")
    path = batch.home.blob(row["image_sha256"])
    with batch.home.at_hand(path) as blob:
        damage.check(path, row["image_sha256"], blob)
        return images.encode(blob, batch.rule_set.image)


def _released(row: Row, column: str) -> bytes:
    """Return the bytes that a released row holds in one of its media columns."""
    path, sha256, pair_id = row
    damage.check(path, sha256)
    file = pq.ParquetFile(opened(path))
    for group in range(file.num_row_groups):
        ids = file.read_row_group(group, ["pair_id"])["pair_id"].to_pylist()
        if pair_id in ids:
            media = file.read_row_group(group, [f"{column}.bytes"])[column]
            found: bytes = media[ids.index(pair_id)]["bytes"].as_py()
            return found
    raise ValueError(f"{path} has no row {pair_id}")
