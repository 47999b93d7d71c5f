"""A rehydrated release written: what was published is copied, and the pairs whose sides could be had are made anew."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.batches import Each, batched
from curation.building import SPARE_DISK_BYTES, hash_files, tools, write_pages
from curation.columns import flat, mask
from curation.cutting import CutBatch, Place, Released, cut_batch, cut_batches
from curation.rehydrating.publication import RULES, Part, Publication, download
from curation.rehydrating.remembered import ASSIGNED, assignment, rejections
from curation.rehydrating.sides import Downloaded
from curation.releases import PublishedRules, Release, get, tidy
from curation.schemas import CANDIDATES, PAIRS, YIELD
from curation.shards import Bucket, by_bucket, row_bytes, rows_without, write_bucket, write_rows
from curation.store import Home, create_exclusively, digest, files_below, opened, remove_tree
from rules.errors import ConfigurationError

TABLE = "yield.parquet"


def write_shard(bucket: Bucket) -> Path:
    """Write a file of `data`, or put the published one in its place; what was published goes when it was used."""
    path = write_bucket(bucket)
    if bucket.parent:
        bucket.parent.unlink(missing_ok=True)
    return path


class Writer:
    """Writes one release.

    Args:
        there: the publication's files on this disk.
        yields: by portion the file that tells what became of its sides, schema YIELD.
    """

    def __init__(
        self,
        home: Home,
        publication: Publication,
        there: Downloaded,
        rule_set: PublishedRules,
        yields: Mapping[str, Path],
        each: Each,
    ) -> None:
        self.home, self.publication, self.there, self.rule_set, self.each = home, publication, there, rule_set, each
        self.yields = yields
        self.number = publication.manifest.release
        self.folder = home.release(self.number)
        self.work = there.folder.parent

    def run(self) -> Release:
        """Write everything and commit it."""
        new = self._new_pairs()
        self._begin(new)
        batches = cut_batches(self.home, self.work, self.rule_set, new, Released({}, {}))
        places = {pair_id: place for batch in batches for pair_id, place in batch.places().items()}
        self._check_disk(batches, len(new))
        self.each(cut_batch, batches, "cut clips")
        assigned = [self._write_portion(portion, places) for portion in self.there.portions]
        self._write_tables(pa.concat_tables(assigned))
        self.each(self._finish, [self.folder], "report")
        return self._commit()

    def _new_pairs(self) -> pa.Table:
        """Return the pairs that are kept and not published with their media, with what was found of their sides."""
        parts = []
        for portion in self.there.portions:
            rows = self._yield(portion)
            rows = rows.filter(pc.and_(rows["is_kept"], pc.not_equal(rows["outcome"], "embedded")))
            images, music = (rows.filter(pc.equal(rows["side"], side)) for side in ("image", "music"))
            sides = {"image_sha256": images["found_sha256"], "music_sha256": music["found_sha256"]}
            parts.append(pa.table({"pair_id": images["pair_id"], **sides, "music_start_s": music["start_s"]}))
        return pa.concat_tables(parts)

    def _yield(self, portion: str) -> pa.Table:
        return pq.ParquetFile(self.yields[portion]).read()

    def _kept(self, portion: str) -> pa.Array:
        rows = self._yield(portion)
        return flat(rows.filter(pc.and_(rows["is_kept"], pc.equal(rows["side"], "image")))["pair_id"])

    def _begin(self, new: pa.Table) -> None:
        """Remove what was written for other pairs, and download again what that took with it."""
        kept = [digest(self._kept(portion).to_pylist()) for portion in self.there.portions]
        mine = digest([self.publication.digest, kept, new.to_pydict(), tools()])
        marker = self.work / "made-of"
        if not marker.exists() or marker.read_text() != mine:
            self.home.check_leases()
            remove_tree(self.folder)
            for path in self.work.glob("*.arrow"):
                path.unlink()
            with self.home.replacing(marker) as temporary:
                temporary.write_text(mine)
        names = [name for name in self.publication.files("data") if not (self.folder / name).exists()]
        parts = [Part(self.home, self.publication, name, self.there.folder) for name in names]
        self.each(download, [part for part in parts if not part.path.exists()], "download")

    def _check_disk(self, batches: Sequence[CutBatch], rows: int) -> None:
        """Refuse before anything is written if it would not fit; each new row lies in a temporary file, too."""
        temporary = sum(len(batch.rows) for batch in batches if not batch.path.exists())
        needed = (temporary + rows) * row_bytes(self.rule_set) + SPARE_DISK_BYTES
        free = shutil.disk_usage(self.home.local).free
        if needed > free:
            raise ConfigurationError(
                f"{self.home.local}: {needed:,} bytes needed to write {rows:,} rows, {free:,} free"
            )

    def _write_portion(self, portion: str, places: Mapping[str, Place]) -> pa.Table:
        """Write a portion's files of all configs; return its kept pairs, split and the columns ASSIGNED."""
        kept = self._kept(portion)
        for config in ("metadata", "references"):
            self._copy_rows(f"{config}/{portion}.parquet", kept)
        rows = self._pairs(portion)
        rows = rows.filter(pc.is_in(rows["pair_id"], value_set=kept))
        self.each(write_shard, list(self._buckets(rows, places)), f"write {portion}")
        return rows.select(["split", *ASSIGNED])

    def _copy_rows(self, name: str, kept: pa.Array) -> None:
        """Write the rows of kept pairs; if that are all, the published file is put in its place."""
        source, path = self.there.folder / name, self.folder / name
        if path.exists():
            return
        ids = pq.read_table(source, columns=["pair_id"])["pair_id"].combine_chunks()
        gone = ids.filter(pc.invert(pc.is_in(ids, value_set=kept)))
        if len(gone) == len(ids):
            return
        if not len(gone):
            self.home.link(source, path)
            return
        with self.home.replacing(path) as temporary:
            write_rows(source, temporary, rows_without(source, gone))

    def _pairs(self, portion: str) -> pa.Table:
        """Return the rows of a portion as they were before they were published: PAIRS with a column split."""
        rows = pq.ParquetFile(self.there.folder / "metadata" / f"{portion}.parquet").read(PAIRS.names)
        names = pa.array(self.rule_set.numbering).take(flat(rows["label"]))
        rows = rows.set_column(rows.schema.get_field_index("label"), "label", names).cast(PAIRS)
        return rows.append_column("split", pa.repeat(portion.partition("-")[0], len(rows)))

    def _buckets(self, rows: pa.Table, places: Mapping[str, Place]) -> Iterator[Bucket]:
        for name, found in by_bucket(rows, self.publication.manifest.buckets):
            file = f"data/{name}.parquet"
            published = self.there.folder / file if file in self.publication.manifest.files else None
            own = {name: places[name] for name in found["pair_id"].to_pylist() if name in places}
            yield Bucket(self.home, self.folder / file, self.rule_set, found.select(PAIRS.names), own, published)

    def _write_tables(self, pairs: pa.Table) -> None:
        rate_hz = self.rule_set.audio.sample_rate_hz
        tables = {
            "assignment": assignment(pairs, rate_hz, self.number),
            "rejections": pa.concat_tables([rejections(self._yield(portion), rate_hz) for portion in self.yields]),
            "candidates": CANDIDATES.empty_table(),
        }
        for name, table in tables.items():
            self.home.write_table(self.folder / f"{name}.parquet", table)
        with self.home.replacing(self.folder / RULES) as temporary:
            shutil.copyfile(self.there.folder / RULES, temporary)
        path = self.folder / TABLE
        with self.home.replacing(path) as part, pq.ParquetWriter(part, YIELD, compression="zstd") as writer:
            for portion in self.there.portions:
                writer.write_table(self._yield(portion))

    def _finish(self, folder: Path) -> None:
        write_pages(self.home, Release(self.number, folder, {"parent": None, "tools": tools()}), self.rule_set)

    def _commit(self) -> Release:
        files = [path for path, _ in files_below(self.folder)]
        hashes = [row for rows in self.each(hash_files, list(batched(files)), "hash") for row in rows]
        listed = {path.relative_to(self.folder).as_posix(): row for path, row in zip(files, hashes, strict=True)}
        text = json.dumps(self._manifest(listed), indent=1, ensure_ascii=False) + "\n"
        self.home.check_leases()
        create_exclusively(self.home.root / "releases" / f"{self.number}.json", text.encode())
        tidy(self.home)
        return get(self.home, self.number)

    def _manifest(self, files: Mapping[str, Any]) -> dict[str, Any]:
        of = self.publication.manifest
        pairs = pq.read_table(opened(self.folder / "assignment.parquet"), columns=["side", "split", "sha256"])
        rejected = pq.read_table(opened(self.folder / "rejections.parquet"), columns=["reason"])
        of_images = pairs.filter(mask(pc.equal(pairs["side"], "image")))
        return {
            "release": self.number,
            "parent": None,
            "inputs": digest(["rehydrated", self.publication.digest, files]),
            "rule_set": {"name": self.rule_set.name, "digest": of.rules_digest},
            "seed": of.seed,
            "labels": list(self.rule_set.numbering),
            "buckets": dict(of.buckets),
            "items": len(pc.unique(pairs["sha256"])),
            "pairs": dict(sorted(Counter(of_images["split"].to_pylist()).items())),
            "rejections": dict(sorted(Counter(rejected["reason"].to_pylist()).items())),
            "tools": tools(),
            "files": files,
            "rehydrated": {
                "name": self.publication.name,
                "version": of.version,
                "publication": self.publication.digest,
                "inputs": of.inputs,
            },
        }
