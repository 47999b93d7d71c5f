"""How much of a release the Hub does not have yet: an estimate from what changes, before anything is written."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.changes import Changes
from curation.columns import mask
from curation.releases import PublishedRules, Release
from curation.shards import MAX_ROW_GROUP_BYTES, TYPICAL_IMAGE_BYTES, bucket_counts, bucket_of, row_bytes

# The Hub stores chunks that the content cuts, 64 kB on average and between 8 and 128 kB
# (https://huggingface.co/docs/hub/xet/deduplication). The one that holds a given byte is longer: 86 kB on average.
EDGE_BYTES = 86_000
EDGES_PER_GROUP = 3  # a row group that rows join or leave: before its pictures, between these and its sound, after that
EDGES_PER_REWORDED_GROUP = 1  # rule and evidence stand after the sound
EDGES_PER_MEDIUM = 2  # a picture or clip that is known and lies in another place: at both ends


@dataclass(frozen=True, slots=True)
class Sending:
    """What a publication would send, about.

    Attributes:
        rows: new ones, and old ones that say something else.
        new_media_bytes: of pictures and clips that the parent does not hold.
        other_bytes: what changes around them, and the tables without media.
    """

    rows: int
    new_media_bytes: int
    other_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.new_media_bytes + self.other_bytes


def estimate(parent: Release | None, rule_set: PublishedRules, changes: Changes) -> Sending:
    """Estimate a publication: what the parent holds is on the Hub, whatever row it moves to."""
    sizes = {name: row["size_bytes"] for name, row in parent.manifest["files"].items()} if parent else {}
    before, after, items = changes.before, changes.after, changes.items
    picture_bytes = TYPICAL_IMAGE_BYTES
    clip_bytes = row_bytes(rule_set) - picture_bytes
    if data_bytes := _sum(sizes, "data/"):
        picture_bytes = data_bytes // len(before) - clip_bytes
    is_new = mask(pc.equal(items["kind"], "gained"))
    is_picture = mask(pc.equal(items["side"], "image"))
    new_pictures, new_clips = int(np.sum(is_new & is_picture)), int(np.sum(is_new & ~is_picture))
    new = pc.invert(pc.is_in(after["pair_id"], value_set=before["pair_id"].combine_chunks()))
    ended = pc.invert(pc.is_in(before["pair_id"], value_set=after["pair_id"].combine_chunks()))
    sent = after.filter(pc.or_(new, pc.is_in(after["pair_id"], value_set=changes.reworded)))
    counts = parent.manifest["buckets"] if parent else bucket_counts(rule_set)
    joined_or_left = pa.concat_tables([after.filter(new), before.filter(ended)])
    touched = pa.concat_tables([joined_or_left, sent])
    shifted, all_groups = (
        _row_groups(rows, after, counts, picture_bytes + clip_bytes) for rows in (joined_or_left, touched)
    )
    moved = 2 * (pc.sum(new).as_py() or 0) - new_pictures - new_clips
    edges = EDGES_PER_GROUP * shifted + EDGES_PER_REWORDED_GROUP * (all_groups - shifted) + EDGES_PER_MEDIUM * moved
    other_bytes = edges * EDGE_BYTES
    if len(touched) and len(before):
        # Without media a row is small, and a file of them is written anew with any of its rows.
        other_bytes += (_sum(sizes, "metadata/") + _sum(sizes, "references/")) * len(after) // len(before)
    if parent and list(rule_set.numbering) != parent.manifest["labels"]:
        other_bytes += EDGE_BYTES * len(sizes)  # the names of labels stand at the end of every file
    media_bytes = new_pictures * picture_bytes + new_clips * clip_bytes
    return Sending(len(sent), media_bytes, min(other_bytes, len(after) * (picture_bytes + clip_bytes) - media_bytes))


def _sum(sizes: Mapping[str, int], folder: str) -> int:
    return sum(size for name, size in sizes.items() if name.startswith(folder))


def _row_groups(touched: pa.Table, rows: pa.Table, counts: Mapping[str, int], size_bytes: int) -> int:
    """Count the row groups of the files that hold one of these rows."""
    found = 0
    for split, count in counts.items():
        ids, asked = (table["pair_id"].filter(pc.equal(table["split"], split)) for table in (rows, touched))
        filled = np.bincount(bucket_of(ids, count), minlength=count)[np.unique(bucket_of(asked, count))]
        found += int(np.sum(-(-filled * size_bytes // MAX_ROW_GROUP_BYTES)))
    return found
