"""Splits without files behind them, networks that are a few means, and media that are spoiled on their way."""

import hashlib
import io
import wave
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from evaluation.features import Features, Wave
from tests.training import made_runs
from training.data import Split

RATE_HZ = 1_000
DURATION_S = 0.02  # of clips, so that thousands of them are cheap


def pair_id(split: str, number: int) -> str:
    return hashlib.sha256(f"{split} {number}".encode()).hexdigest()[:32]


class Made(Split):
    """A split of a pair for each label; each has its own picture and recording unless columns say otherwise.

    What media it has is made when it is asked for: a picture of one color, a clip of one loudness; or it is spoiled.
    """

    def __init__(
        self, labels: Sequence[int], name: str = "test", group_rows: int = 5, **columns: Sequence[Any]
    ) -> None:
        count = len(labels)
        rows = {
            "pair_id": [pair_id(name, number) for number in range(count)],
            "label": list(labels),
            "image_sha256": [hashlib.sha256(f"image {name} {number}".encode()).hexdigest() for number in range(count)],
            "image_group": [f"{name} image {number}" for number in range(count)],
            "music_sha256": [hashlib.sha256(f"music {name} {number}".encode()).hexdigest() for number in range(count)],
            "music_group": [f"{name} music {number}" for number in range(count)],
            "music_start_s": [0.0] * count,
            "music_duration_s": [DURATION_S] * count,
            "music_title": pa.array([None] * count, pa.string()),
            **columns,
        }
        sizes = [min(group_rows, count - first) for first in range(0, count, group_rows)]
        names = tuple(f"Label {number}" for number in range(max(labels) + 1))
        revision = made_runs.revision(label_names=names, sample_rate_hz=RATE_HZ)
        super().__init__(revision, name, ["made.parquet"], [pa.table(rows)], [sizes])
        self.read: list[tuple[str, int]] = []
        self.spoiled: dict[tuple[str, int], bytes | None] = {}

    def media(self, group: int, wanted: Mapping[str, Collection[int]]) -> Iterator[tuple[str, int, pa.Buffer | None]]:
        for column, rows in wanted.items():
            for row in sorted(rows):
                assert self.group_of(row) == group
                self.read.append((column, row))
                content = self.spoiled.get((column, row), picture(row) if column == "image" else clip(row))
                yield column, row, None if content is None else pa.py_buffer(content)


def picture(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (number % 256, number // 256, 7)).save(file, "PNG")
    return file.getvalue()


def clip(number: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(np.full(round(RATE_HZ * DURATION_S), number, dtype="<i2").tobytes())
    return file.getvalue()


class Means:
    """An extractor: the mean color of a picture, or the mean of a clip three times; it counts what it is asked for."""

    is_stand_in = True
    weights_sha256 = "5e" * 32
    version = 1
    width = 3

    def __init__(self, name: str = "stand-in: means", sample_rate_hz: int | None = RATE_HZ) -> None:
        self.name = name
        self.sample_rate_hz = sample_rate_hz
        self.asked: list[int] = []

    def images(self, pictures: Sequence[Image.Image]) -> Features:
        self.asked.append(len(pictures))
        return np.stack([np.asarray(picture).mean((0, 1)) for picture in pictures]).astype(np.float32)

    def sounds(self, waves: Sequence[Wave], sample_rate_hz: int) -> Features:
        assert sample_rate_hz == self.sample_rate_hz
        self.asked.append(len(waves))
        return np.repeat([[wave.mean()] for wave in waves], self.width, axis=1).astype(np.float32)

    def texts(self, prompts: Sequence[str]) -> Features:
        return np.array([[len(prompt)] * self.width for prompt in prompts], dtype=np.float32)


def color(number: int) -> list[int]:
    """Return the mean color of a picture."""
    return [number % 256, number // 256, 7]


def saved(folder: Path, count: int) -> list[Path]:
    """Write pictures into a folder."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(picture(number))
    return paths


def silent(stage: str, done: int, total: int) -> None:
    """Hear how far something is, and say nothing."""


def spoil(patched: pytest.MonkeyPatch, contents: Mapping[tuple[str, int], bytes | None]) -> None:
    """Let media of some columns and rows of splits with files be others."""
    original = Split.media

    def media(split: Split, group: int, wanted: Mapping[str, Collection[int]]) -> Iterator[Any]:
        for column, row, content in original(split, group, wanted):
            yield column, row, contents.get((column, row), content)

    patched.setattr(Split, "media", media)
