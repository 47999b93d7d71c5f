"""Publications in a folder, written without asking licenses: a test says which pairs have their media."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from curation.batches import in_threads
from curation.card import CONFIGS
from curation.publishing import manifest as manifests
from curation.publishing import shards
from curation.publishing.lawful import Chosen
from curation.publishing.manifest import Manifest, PublishedFile
from curation.rehydrating import Means
from curation.releases import Release
from curation.store import Home, file_sha256
from curation.web import WebSettings
from rules.schema import RuleSet
from tests.curation.collection import write_collection
from tests.curation.ingesting import NOON
from tests.curation.tables import RATE_HZ, ROOMY, content
from tests.media import RATE_HZ as MADE_RATE_HZ
from tests.media import Waveform, tune
from tests.pictures import photo, saved

CLIP_S = 6.0  # long enough for a fingerprint
NUMBERS = (1, 2, 3, 5, 6, 7)  # those of which `write_collection` makes a picture of the same label


@dataclass(frozen=True)
class Made:
    """A release of a folder, and the folder that it was published to with two of its six pairs' media."""

    media: Path
    home: Home
    release: Release
    published: Path
    embedded: list[str]


def pair_ids(release: Release) -> list[str]:
    paths = sorted((release.folder / "metadata").glob("*.parquet"))
    return sorted(name for path in paths for name in pq.read_table(path, columns=["pair_id"])["pair_id"].to_pylist())


def publish(home: Home, release: Release, folder: Path, embedded: Collection[str]) -> Path:
    """Write a version into a folder of versions and return the folder of that version."""
    everything = pair_ids(release)
    referenced = sorted(set(everything) - set(embedded))
    chosen = Chosen(*(pa.array(ids, pa.string()) for ids in (sorted(embedded), referenced, [])), [])
    target, files = folder / f"v{release.number}", {}
    pairs: dict[str, dict[str, int]] = {config: {} for config in CONFIGS}
    for shard in shards.shards(home, release, chosen):
        (target / shard.name).parent.mkdir(parents=True, exist_ok=True)
        with shards.rendered(shard) as path:
            (target / shard.name).write_bytes(path.read_bytes())
        files[shard.name] = published(target / shard.name, shard.rows)
        rows = shard.rows // 2 if shard.config == "references" else shard.rows
        pairs[shard.config][shard.split] = pairs[shard.config].get(shard.split, 0) + rows
    (target / "rule_set.json").write_bytes((release.folder / "rule_set.json").read_bytes())
    files["rule_set.json"] = published(target / "rule_set.json")
    of = release.manifest
    facts = (of["rule_set"]["name"], release.number, of["inputs"], of["rule_set"]["digest"], of["seed"])
    written = Manifest(*facts, manifests.VERSION, of["buckets"], pairs, files, "0" * 64)
    (target / manifests.NAME).write_bytes(manifests.written(written))
    return target


def published(path: Path, rows: int = 0) -> PublishedFile:
    return PublishedFile(file_sha256(path), path.stat().st_size, rows)


def edit(version: Path, **changes: object) -> None:
    """Change what a manifest says."""
    path = version / manifests.NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def replace(path: Path, table: pa.Table) -> None:
    """Put other rows into a published file, and its new hash into the manifest."""
    pq.write_table(table, path)
    version, name = path.parent.parent, f"{path.parent.name}/{path.name}"
    files = json.loads((version / manifests.NAME).read_text())["files"]
    edit(version, files=files | {name: files[name] | {"sha256": file_sha256(path)}})


def rules_for_spans() -> RuleSet:
    """Return the tiny rules with clips of CLIP_S."""
    values = content(ROOMY)
    return RuleSet.model_validate(values | {"audio": {**values["audio"], "clip_s": CLIP_S}})


def write_media(folder: Path, pictures: Sequence[int] = NUMBERS) -> Path:
    """Write pictures, and recordings with room for one clip, all of one label."""
    folder.mkdir()
    for number in pictures:
        saved(folder / f"picture{number}.bmp", photo(160, 120, number))
    for number in NUMBERS:
        soundfile.write(folder / f"music{number}.wav", song(number), RATE_HZ, "PCM_16")
    return write_collection(folder, pictures, NUMBERS)


def song(number: int) -> Waveform:
    return tune(CLIP_S + 1, number)[:: round(MADE_RATE_HZ / RATE_HZ)]


def never() -> WebSettings:
    raise AssertionError("nothing of the web was needed")


def means(web: Callable[[], WebSettings] = never) -> Means:
    return Means(web, in_threads(2), lambda: NOON)


def yields(release: Release) -> list[dict[str, Any]]:
    return pq.read_table(release.folder / "yield.parquet").to_pylist()
