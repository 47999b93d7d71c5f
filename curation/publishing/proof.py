"""A publication loaded back by `datasets`, as a reader would do it, and compared with the release it was made from."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from fsspec.core import url_to_fs

from curation.batches import Each
from curation.columns import Bools
from curation.publishing import hub_errors, storage
from curation.publishing.lawful import choose
from curation.publishing.outcome import Outcome
from curation.publishing.pages import CARD
from curation.publishing.shards import Shard, check_unchanged, shards
from curation.releases import Release
from curation.shards import MEDIA_COLUMNS, READ_BYTES, rows_without
from curation.store import Home, opened
from rules.errors import ConfigurationError

if TYPE_CHECKING:
    from datasets import DatasetBuilder, Features, IterableDataset

SAMPLE_ROWS = 3
PLAIN_ROWS = 1_000  # that are read at once where there are no media
SHARDS_PER_BATCH = 20
# `datasets` decodes the whole of a row group to give its first row: with media that would be a quarter of a file. So it
# streams these columns, and what it streams them from is then read in small parts.
STREAMED = ["pair_id", "label"]


class Unverified(ConfigurationError):
    """What a place gives back is not what the release holds."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was loaded back and found right.

    Attributes:
        shards: files, all of them.
        rows: that were compared.
    """

    shards: int
    rows: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Some files of one split of one config, to be loaded back.

    Attributes:
        revision: the commit on the Hub; None of other places.
        names: all files of the split, in order.
        rows: of all these files.
    """

    location: str
    revision: str | None
    config: str
    split: str
    names: Sequence[str]
    rows: int
    shards: Sequence[Shard]

    def is_not(self, name: str, detail: str) -> Unverified:
        return Unverified(
            f"{self.location}: config {self.config}, {name}: {detail}. What is there is not what was sent: expected a "
            "place that nobody else writes to; publish to another one"
        )


def check(home: Home, release: Release, outcome: Outcome, each: Each) -> Proof:
    """Load every config and split back, of each file the first rows with their media, and compare them.

    Raises:
        Unverified: something differs; it names file, pair and column.
        ConfigurationError: a file of the release changed on disk, or the place may not be read.
        TransientError: the place is busy.
    """
    found = shards(home, release, choose(home, release))
    parts = groupby(found, key=lambda shard: (shard.config, shard.split))
    samples = [sample for _, part in parts for sample in _samples(outcome, list(part))]
    return Proof(len(found), sum(each(compare, samples, "verify")))


def _samples(outcome: Outcome, part: Sequence[Shard]) -> Iterator[Sample]:
    names, rows, first = [shard.name for shard in part], sum(shard.rows for shard in part), part[0]
    for start in range(0, len(part), SHARDS_PER_BATCH):
        some = part[start : start + SHARDS_PER_BATCH]
        yield Sample(outcome.location, outcome.commit, first.config, first.split, names, rows, some)


def compare(sample: Sample) -> int:
    """Load the first rows of some files and return how many were compared; raises as `check`."""
    with TemporaryDirectory(prefix="artune-proof-") as cache, _asking(sample):
        try:
            return _compare(sample, cache)
        except Unverified:
            for shard in sample.shards:  # or the place would be blamed for what changed here
                check_unchanged(shard, shard.path)
            raise
        except (FileNotFoundError, ValueError, LookupError, pa.ArrowException, yaml.YAMLError) as error:
            raise sample.is_not(sample.split, f"`datasets` cannot load it: {error}") from error


@contextmanager
def _asking(sample: Sample) -> Iterator[None]:
    asking = storage.asking if sample.revision is None else hub_errors.asking
    with asking(sample.location, "load it back"):
        yield


def _compare(sample: Sample, cache: str) -> int:
    loaded = _load(sample, cache)
    if loaded.names != list(sample.names):
        differing = sorted(set(loaded.names) ^ set(sample.names))
        raise sample.is_not(
            sample.split, f"its card leads to {len(loaded.names)} files, one too many or less: {differing[0]}"
        )
    if loaded.rows != sample.rows:
        raise sample.is_not(sample.split, f"its card speaks of {loaded.rows} rows, its files have {sample.rows}")
    stream = loaded.builder.as_streaming_dataset(split=sample.split).with_format("arrow")
    return sum(_compare_file(sample, loaded, stream, shard) for shard in sample.shards)


def _compare_file(sample: Sample, loaded: "_Loaded", stream: "IterableDataset", shard: Shard) -> int:
    at, stays = sample.names.index(shard.name), rows_without(shard.path, shard.left_out)
    files, path = url_to_fs(loaded.files[at], **storage.options(loaded.files[at]))
    with (
        _opened(opened(shard.path)) as original,
        files.open(path, "rb", block_size=READ_BYTES) as source,
        _opened(source) as file,
    ):
        schema = original.schema_arrow
        if loaded.features != _features(schema):
            raise sample.is_not(shard.name, "its card has other features")
        if not file.schema_arrow.equals(schema, check_metadata=True):
            raise sample.is_not(shard.name, "it has other columns or other features")
        streamed = (row.to_pylist()[0] for row in stream.shard(len(sample.names), at).take(SAMPLE_ROWS))
        count = 0
        for right, one, found in zip_longest(_first_rows(original, stays), streamed, _first_rows(file)):
            if right is None or one is None or found is None:
                raise sample.is_not(shard.name, f"it gives other than {min(shard.rows, SAMPLE_ROWS)} first rows")
            for column, value in right.items():
                if not _is_same(found[column], value) or (column in one and not _is_same(one[column], value)):
                    raise sample.is_not(shard.name, f"pair {right['pair_id']}: column {column} differs")
            count += 1
    return count


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One split of a config as `datasets` finds it.

    Attributes:
        files: their addresses.
        names: their paths in the publication.
        rows: that the card speaks of.
        features: that the card speaks of.
    """

    builder: "DatasetBuilder"
    files: Sequence[str]
    names: Sequence[str]
    rows: int
    features: "Features"


def _load(sample: Sample, cache: str) -> _Loaded:
    from datasets import load_dataset_builder  # takes a second

    if "://" in sample.location:
        info, patterns = _said_by_card(sample)
        options = storage.options(sample.location)
        builder = load_dataset_builder(
            "parquet", data_files=patterns, cache_dir=cache, storage_options=options, columns=STREAMED
        )
    else:
        builder = load_dataset_builder(
            sample.location, sample.config, revision=sample.revision, cache_dir=cache, columns=STREAMED
        )
        info = builder.info
    if info.features is None or info.splits is None:
        raise ValueError("its card says nothing of features and splits")
    files = list(builder.config.data_files.get(sample.split, ()))
    names = ["/".join(file.split("/")[-2:]) for file in files]
    rows = info.splits[sample.split].num_examples
    return _Loaded(builder, files, names, rows, info.features.copy())


def _said_by_card(sample: Sample) -> tuple[Any, Mapping[str, str]]:
    """Return what a card says of a config, and where its files are: `datasets` reads no card at such an address."""
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCard

    card = storage.opened(sample.location).read(CARD)
    if card is None:
        raise FileNotFoundError(f"{CARD} is not there")
    header = DatasetCard(card.decode()).data
    (config,) = (one for one in header["configs"] if one["config_name"] == sample.config)
    patterns = {one["split"]: f"{sample.location}/{one['path']}" for one in config["data_files"]}
    return DatasetInfosDict.from_dataset_card_data(header)[sample.config], patterns


def _features(schema: pa.Schema) -> "Features":
    from datasets import Features

    return Features.from_arrow_schema(schema)


def _opened(source: Path | IO[bytes]) -> pq.ParquetFile:
    return pq.ParquetFile(source, buffer_size=READ_BYTES, pre_buffer=False)


def _first_rows(file: pq.ParquetFile, stays: Sequence[Bools] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the first rows of a file, or the first of those that stay."""
    at_once = 1 if MEDIA_COLUMNS[0] in file.schema_arrow.names else PLAIN_ROWS
    left = SAMPLE_ROWS
    for group in range(file.num_row_groups):
        if not left or (stays is not None and not stays[group].any()):
            continue
        start = 0
        for batch in file.iter_batches(at_once, [group], use_threads=False):
            kept = batch if stays is None else batch.filter(pa.array(stays[group][start : start + len(batch)]))
            yield from kept.slice(0, left).to_pylist()
            start, left = start + len(batch), max(0, left - len(kept))
            if not left:
                break


def _is_same(found: object, right: object) -> bool:
    return found == right or repr(found) == repr(right)  # NaN differs from itself
