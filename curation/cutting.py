"""Clips and pictures of new pairs into temporary files: a recording is decoded once, whatever shards it fills."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation import audio, images
from curation.batches import batched
from curation.store import Home, digest
from rules.schema import RuleSet

MEDIA = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
CLIPS = pa.schema([("pair_id", pa.string()), ("image", MEDIA), ("audio", MEDIA)])
MAX_CLIPS_PER_BATCH = 64  # the temporary file of a batch holds 340 MB
Place = tuple[Path, int]  # an Arrow file and the record batch in it


@dataclass(frozen=True, slots=True)
class CutBatch:
    """Recordings whose clips are not in the parent release: rows of pair_id, the two hashes and start_sample."""

    home: Home
    work: Path
    rule_set: RuleSet
    rows: Sequence[dict[str, Any]]

    @property
    def path(self) -> Path:
        return self.work / f"{digest([row['pair_id'] for row in self.rows])[:32]}.arrow"

    def places(self) -> dict[str, Place]:
        """Return where the media of each pair lie, by pair_id."""
        return {row["pair_id"]: (self.path, at) for at, row in enumerate(self.rows)}


def cut_batches(home: Home, work: Path, rule_set: RuleSet, new: pa.Table) -> list[CutBatch]:
    """Cut the new pairs into batches of whole recordings."""
    rate = rule_set.audio.sample_rate_hz
    by_recording: dict[str, list[dict[str, Any]]] = {}
    for row in new.select(["pair_id", "image_sha256", "music_sha256", "music_start_s"]).to_pylist():
        start = round(row.pop("music_start_s") * rate)
        by_recording.setdefault(row["music_sha256"], []).append(row | {"start_sample": start})
    recordings = [sorted(rows, key=lambda row: row["start_sample"]) for _, rows in sorted(by_recording.items())]
    most = max((len(rows) for rows in recordings), default=1)
    parts = batched(recordings, max(1, MAX_CLIPS_PER_BATCH // most))
    return [CutBatch(home, work, rule_set, [row for rows in part for row in rows]) for part in parts]


def cut_batch(batch: CutBatch) -> Path:
    """Write the media of a batch's pairs to one Arrow file, one record batch for each; decodes each recording once."""
    if not batch.path.exists():
        with batch.home.replacing(batch.path) as temporary, pa.ipc.new_file(temporary, CLIPS) as writer:
            for row, clip in _clips(batch):
                picture = images.encode(batch.home.blob(row["image_sha256"]), batch.rule_set.image)
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
        starts = [row["start_sample"] for row in rows]
        clips = audio.cut(batch.home.blob(sha256), batch.rule_set.audio, starts)
        yield from zip(rows, clips, strict=True)
