"""python -m benchmarks.training_loader: pairs per second that reach a network, with and without a cache.

A split as a release has it (clips of 30 s in 44.1 kHz stereo, pictures of 1024 px, 18 rows in a row group) is made, and
passed through in batches of 8 by the loader of artune and by torch's DataLoader over `datasets`, from the Arrow files
that `load_dataset` makes and streamed. Both decode by the same functions; that they give the same is checked first.
Networks are not run: a mean stands for latents, and what stands for features has their size for 30 s (6.9 MB a clip).
Rounds alternate, medians of wall seconds and of CPU seconds; files are in the memory of the system.
"""

import argparse
import gc
import io
import os
import resource
import statistics
import tempfile
import time
import wave
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Audio, Image, disable_progress_bars, load_dataset
from torch import Tensor
from torch.utils.data import DataLoader

from curation.features import features_schema
from curation.releases import PublishedRules
from curation.shards import open_writer
from rules import load as load_rules
from tests.media import noise
from tests.pictures import as_bytes, photo
from training import recipe
from training.data import Split, open_revision
from training.reading import media
from training.reading.cache import Cache
from training.reading.loading import Loader
from training.reading.media import Clip

RATE_HZ, WANTED_HZ, CLIP_S, SIDE_PX = 44_100, 16_000, 30.0, 512
ROWS_PER_GROUP, BATCH = 18, 8
FEATURES = (1_496, 2_304)  # tokens of 30 s, and the width of three blocks of BEATs


class Networks:
    """Stands for those of a model."""

    sample_rate_hz = WANTED_HZ
    feature_dtype = torch.bfloat16
    base_sha256 = {"vae": "none", "encoder": "none"}

    def moments(self, pixels: Tensor) -> Tensor:
        """Return the means of squares of 8 px."""
        return torch.nn.functional.avg_pool2d(pixels[None].float(), 8)[0]

    def features(self, wave: Tensor) -> tuple[Tensor, Tensor]:
        """Return a matrix of the size of features."""
        return wave[: FEATURES[0], None].to(self.feature_dtype).repeat(1, FEATURES[1]), torch.ones(FEATURES[0]).bool()


def _wav(seed: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((2, 2, RATE_HZ, 0, "NONE", ""))
        mono = np.round(noise(CLIP_S, seed) * 32_767).astype("<i2")
        file.writeframes(mono.repeat(2).tobytes())
    return out.getvalue()


def _make_split(folder: Path, pairs: int) -> Split:
    """Write the files of a split; all columns that are not read are null."""
    rules = load_rules("museart18")
    published = PublishedRules.model_construct(
        rules.model_fields_set, **dict(rules), numbering=tuple(rules.label_names)
    )
    schema = features_schema(published, "default")
    pictures = [as_bytes(photo(1_024, 768, seed), "JPEG", quality=92) for seed in range(4)]
    clips = [_wav(seed) for seed in range(4)]
    (folder / "data").mkdir()
    firsts = range(0, pairs, ROWS_PER_GROUP)
    for number, first in enumerate(firsts):
        rows = [
            {
                "image": {"bytes": pictures[row % 4], "path": f"{row}.jpg"},
                "audio": {"bytes": clips[row % 4], "path": f"{row}.wav"},
                "pair_id": f"{row:032x}",
                "label": row % len(rules.label_names),
                "music_start_s": 0.0,
                "music_duration_s": CLIP_S,
            }
            | {f"{side}_{name}": f"{row:016x}" for side in ("image", "music") for name in ("sha256", "group")}
            for row in range(first, min(first + ROWS_PER_GROUP, pairs))
        ]
        path = (
            folder / "data" / f"train-{number:05d}-of-{len(firsts):05d}.parquet"
        )  # more than one, for workers share files
        with open_writer(path, schema) as writer:
            writer.write_table(pa.Table.from_pylist(rows, schema))
    split = open_revision(str(folder)).split("train")
    assert split is not None
    return split


Passed = Iterable[tuple[list[str], Tensor, Tensor]]  # names, moments, waves or features


def _by_artune(split: Split, threads: int, cache: Cache | None, features: bool) -> Passed:
    changes = (f"batch_size={BATCH}", f"image_size_px={SIDE_PX}", f"duration_s={CLIP_S}", f"cache_features={features}")
    loader = Loader(split, recipe.load("tiny", [change.lower() for change in changes]), Networks(), cache, threads)
    for batch in loader.batches(0):
        heard = batch.features if features else batch.waves
        assert heard is not None
        yield list(batch.pair_ids), batch.moments, heard


def _decoded(row: dict[str, Any]) -> tuple[str, Tensor, Tensor]:
    heard = media.wave(row["audio"]["bytes"], WANTED_HZ, CLIP_S, Clip(RATE_HZ, CLIP_S))
    pixels = torch.from_numpy(media.picture(row["image"]["bytes"], SIDE_PX))
    return row["pair_id"], Networks().moments(pixels), media.samples(heard)


def _joined(items: list[tuple[str, Tensor, Tensor]]) -> tuple[list[str], Tensor, Tensor]:
    names, moments, waves = zip(*items, strict=True)
    return list(names), torch.stack(moments), torch.stack(waves)


class _Decoding(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> tuple[str, Tensor, Tensor]:
        return _decoded(self.rows[row])


def _by_torch(data: Any, workers: int, streaming: bool) -> Passed:
    if streaming:
        shuffled = data.shuffle(seed=1, buffer_size=4 * ROWS_PER_GROUP)
        decoding: Any = _Streamed(shuffled)
        return DataLoader(decoding, BATCH, num_workers=workers, collate_fn=_joined)
    return DataLoader(_Decoding(data), BATCH, shuffle=True, num_workers=workers, collate_fn=_joined)


class _Streamed(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        return map(_decoded, self.rows)


def _loaded(split: Split, folder: Path, streaming: bool) -> Any:
    path = str(Path(split.revision.location) / "data" / "*.parquet")
    columns = ["image", "audio", "pair_id"]
    data = load_dataset(
        "parquet",
        data_files=path,
        split="train",
        streaming=streaming,
        cache_dir=str(folder),
        columns=columns,
    )
    return data.cast_column("image", Image(decode=False)).cast_column("audio", Audio(decode=False))


def _contents(passed: Passed, pairs: int) -> dict[str, tuple[bytes, bytes]]:
    found: dict[str, tuple[bytes, bytes]] = {}
    for names, moments, waves in passed:
        for name, image, sound in zip(names, moments, waves, strict=True):
            found[name] = (image.numpy().tobytes(), sound.numpy().tobytes())
    if len(found) != pairs:
        raise SystemExit(f"{len(found)} pairs of {pairs}")
    return found


def _seconds(passed: Callable[[], Passed]) -> tuple[float, float]:
    """Return wall seconds, and CPU seconds of this process and its children."""
    gc.collect()
    before, used = time.perf_counter(), _used()
    for _ in passed():
        pass
    return time.perf_counter() - before, _used() - used


def _used() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=54)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bars()
    with tempfile.TemporaryDirectory() as root:
        folders = {name: Path(root, name) for name in ("data", "waves", "features", "hf")}
        for folder in folders.values():
            folder.mkdir()
        split = _make_split(folders["data"], asked.pairs)
        mapped, streamed = (_loaded(split, folders["hf"], streaming) for streaming in (False, True))
        waves, features = Cache(folders["waves"]), Cache(folders["features"])
        ways: dict[str, Callable[[], Passed]] = {
            "artune, no cache": lambda: _by_artune(split, asked.threads, None, False),
            "artune, cached waves and latents": lambda: _by_artune(split, asked.threads, waves, False),
            "artune, cached features and latents": lambda: _by_artune(split, asked.threads, features, True),
            "DataLoader over Arrow files": lambda: _by_torch(mapped, asked.threads, False),
            "DataLoader, streaming Parquet": lambda: _by_torch(streamed, asked.threads, True),
        }
        same = [_contents(ways[name](), asked.pairs) for name in ways if "features" not in name]
        if any(each != same[0] for each in same):
            raise SystemExit("the ways give different pairs")
        print(
            f"{asked.pairs} pairs, {asked.threads} threads or workers, {os.cpu_count()} cores; all ways give the same"
        )
        _seconds(ways["artune, cached features and latents"])  # fills that cache; the other is filled
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(asked.rounds):
            for name, way in ways.items():
                seconds[name].append(_seconds(way))
    plain_wall, plain_cpu = (statistics.median(each) for each in zip(*seconds["artune, no cache"], strict=True))
    for name, each in seconds.items():
        walls, cpus = zip(*each, strict=True)
        wall, cpu = statistics.median(walls), statistics.median(cpus)
        spread = f"{asked.pairs / max(walls):.1f} to {asked.pairs / min(walls):.1f}"
        of_plain = f"{plain_wall / wall:.2f} and {plain_cpu / cpu:.2f} times the first"
        print(f"{name:36} {asked.pairs / wall:6.1f} pairs/s ({spread}), {asked.pairs / cpu:6.1f} per CPU-s; {of_plain}")


if __name__ == "__main__":
    main()
