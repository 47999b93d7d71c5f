"""A small release made from nothing: gradients for pictures, sines for clips, in the layout of the published set."""

import io
import wave
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from curation.releases import PublishedRules, publish
from curation.schemas import ASSIGNMENT, CANDIDATES, PAIRS, REJECTIONS
from rules.schema import Clause, Condition, Label, Music, RuleSet

MEDIUM = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SAMPLE_RATE_HZ = 16_000


def rule_set(sizes: Mapping[str, int]) -> PublishedRules:
    """Make a rule set whose labels have these sizes, and one sub-genre each."""
    labels = [
        Label(
            name=name,
            size=size,
            image=Condition(any=(Clause(style=("Anything",)),)),
            music=Music(features=("Plain",), sub_genres={f"{name} music": size}),
        )
        for name, size in sizes.items()
    ]
    rules = RuleSet(name="made", title="A Made Rule Set", seed=7, labels=tuple(labels), vocabulary={})
    return publish(rules, None)


def pair(number: int, label: int, split: str = "train", **changes: object) -> dict[str, object]:
    """Make one row: everything about it follows from its number, and each pair has groups of its own."""
    row: dict[str, object] = dict.fromkeys(PAIRS.names)
    for side in ("image", "music"):
        row |= {
            f"{side}_source": "folder",
            f"{side}_source_id": f"{side}/{number}",
            f"{side}_url": f"{side}/{number}.bin",
            f"{side}_title": f"{side.title()} No. {number}",
            f"{side}_creator": f"Creator {number % 5}",
            f"{side}_year": 1500 + number,
            f"{side}_license": ("CC0-1.0", "CC-BY-4.0")[number % 2],
            f"{side}_attribution": f"After number {number}",
            f"{side}_sha256": _hash(side, number),
            f"{side}_group": _hash(side, "group", number)[:16],
        }
    row |= {
        "pair_id": _hash("pair", number),
        "label": label,
        "split": split,
        "rule": f"made/{label}",
        "evidence": "style Anything",
        "music_start_s": 30.0,
        "music_duration_s": 30.0,
        "music_genre": None,
        "music_features": ["Plain"],
        "loudness_lufs": -18.5,
        "peak_dbfs": -3.0,
        "silence_share": 0.0,
        "tempo_bpm": 96.0,
        "key": "D minor",
        "onset_rate_hz": 2.0,
    }
    return row | changes


@cache
def gradient(number: int, width_px: int = 48, height_px: int = 36) -> bytes:
    """Return a JPEG whose hue follows the number."""
    ramp = np.linspace(0, 255, width_px, dtype=np.uint8)[None, :].repeat(height_px, 0)
    pixels = np.stack([np.full_like(ramp, 40 * number % 256), ramp, 255 - ramp], axis=2)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=90)
    return out.getvalue()


@cache
def sine(number: int, duration_s: float = 1.0) -> bytes:
    """Return a WAV file, PCM 16, stereo, with a tone that follows the number."""
    time_s = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tone = (8_000 * np.sin(2 * np.pi * (220 + 40 * (number % 20)) * time_s)).astype("<i2")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(np.stack([tone, tone], axis=1).tobytes())
    return out.getvalue()


def write(
    release: Path,
    rows: Sequence[Mapping[str, object]],
    *,
    picture: Callable[[int], bytes] = gradient,
    clip: Callable[[int], bytes] = sine,
    assignment: Iterable[Mapping[str, object]] = (),
    rejections: Iterable[Mapping[str, object]] = (),
    candidates: Iterable[Mapping[str, object]] = (),
) -> Path:
    """Write a release folder: two buckets for each split that has rows, a few rows in each row group."""
    metadata = PAIRS.set(PAIRS.get_field_index("label"), pa.field("label", pa.int64()))
    place = metadata.get_field_index("label") + 1
    published = metadata.insert(place, pa.field("audio", MEDIUM)).insert(place, pa.field("image", MEDIUM))
    for folder in ("data", "metadata"):
        (release / folder).mkdir(parents=True)
    shards: dict[str, list[dict[str, object]]] = {}
    for number, row in enumerate(rows):
        shard = f"{row['split']}-{int(str(row['pair_id'])[0], 16) // 8:05}-of-00002.parquet"
        media = {"image": {"bytes": picture(number), "path": None}, "audio": {"bytes": clip(number), "path": None}}
        shards.setdefault(shard, []).append({**row, **media})
    for shard, content in shards.items():
        content.sort(key=lambda row: str(row["pair_id"]))
        pq.write_table(pa.Table.from_pylist(content, published), release / "data" / shard, row_group_size=5)
        pq.write_table(pa.Table.from_pylist(content, metadata), release / "metadata" / shard)
    tables = ((ASSIGNMENT, "assignment", assignment), (REJECTIONS, "rejections", rejections))
    for schema, name, content in (*tables, (CANDIDATES, "candidates", candidates)):
        pq.write_table(pa.Table.from_pylist(list(content), schema), release / f"{name}.parquet")
    return release


def _hash(*parts: object) -> str:
    return sha256(repr(parts).encode()).hexdigest()
