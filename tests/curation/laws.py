"""What holds for every assignment, whatever went in."""

from collections import Counter, defaultdict

import pyarrow as pa

from curation.assignment import Assignment
from curation.eligible import Side, labels_of
from curation.errors import REASONS
from curation.tables import pairs_table
from rules.engine import Fit
from rules.schema import RuleSet


def fitting_of(side: Side) -> dict[str, tuple[Fit, ...]]:
    """Return what fits each eligible blob, by its sha256."""
    return {sha256: side.fitting.of(row) for row, sha256 in enumerate(side.items["sha256"].to_pylist())}


def pairs_of(assignment: Assignment) -> list[dict[str, object]]:
    return pairs_table(assignment).to_pylist()


def nothing_is_lost(items: pa.Table, assignment: Assignment) -> None:
    """Items in = kept + rejected: every item and every clip of an eligible recording is in one pair or one row."""
    pairs, rejected = pairs_of(assignment), assignment.rejections.to_pylist()
    of_items = Counter(row["source_id"] for row in rejected if row["unit"] != "clip")
    kept = {pair[f"{side}_source_id"] for pair in pairs for side in ("image", "music")}
    assert of_items + Counter(kept) == Counter(items["source_id"].to_pylist())

    music = assignment.pool.music
    starts = {}
    for item, measured in zip(music.items.to_pylist(), music.measured.to_pylist(), strict=True):
        starts[item["source_id"]] = [window["start_sample"] for window in measured["windows"]]
    cut = [(source_id, start) for source_id, of_item in starts.items() for start in of_item]
    rate = assignment.pool.rule_set.audio.sample_rate_hz
    used = [(pair["music_source_id"], round(pair["music_start_s"] * rate)) for pair in pairs]
    left = [(row["source_id"], row["start_sample"]) for row in rejected if row["unit"] == "clip"]
    assert sorted(used + left) == sorted(cut)


def every_reason_is_known(items: pa.Table, assignment: Assignment) -> None:
    units = {"image": "image", "music": "recording", None: "item"}
    modality = dict(zip(items["source_id"].to_pylist(), items["modality"].to_pylist(), strict=True))
    for row in assignment.rejections.to_pylist():
        assert REASONS[row["reason"]][0] == row["stage"]
        assert row["unit"] in ("clip", units[modality[row["source_id"]]])


def everything_is_used_once(assignment: Assignment) -> None:
    pairs = pairs_of(assignment)
    for key in (["pair_id"], ["image_sha256"], ["music_sha256", "music_start_s"]):
        used = Counter(tuple(pair[name] for name in key) for pair in pairs)
        assert set(used.values()) <= {1}, used.most_common(1)
    labels_of_recordings = {(pair["music_sha256"], pair["label"]) for pair in pairs}
    assert len(labels_of_recordings) == len({pair["music_sha256"] for pair in pairs})


def groups_lie_in_one_split(assignment: Assignment) -> None:
    splits = defaultdict(set)
    for pair in pairs_of(assignment):
        for column in ("image_group", "music_group", "image_sha256", "music_sha256"):
            splits[column, pair[column]].add(pair["split"])
    assert all(len(found) == 1 for found in splits.values()), splits


def sizes_and_quotas_hold(assignment: Assignment, rule_set: RuleSet) -> None:
    """No label has more pairs than its size; a sub-genre has more clips than its quota only where all are sticky."""
    pool = assignment.pool
    pairs = pairs_of(assignment)
    by_label = Counter(pair["label"] for pair in pairs)
    held = {(row["sha256"], row["start_sample"]) for row in pool.memory.released("music").to_pylist()}
    by_quota = defaultdict(list)
    for pair in pairs:
        start = round(pair["music_start_s"] * rule_set.audio.sample_rate_hz)
        by_quota[pair["label"], pair["music_genre"]].append((pair["music_sha256"], start) in held)
    for label in rule_set.labels:
        assert by_label[label.name] <= label.size
        for sub_genre, limit in label.music.sub_genres.items():
            clips = by_quota[label.name, sub_genre]
            assert len(clips) <= limit or all(clips), (label.name, sub_genre)


def labels_fit(assignment: Assignment) -> None:
    pictures, music = (fitting_of(side) for side in (assignment.pool.images, assignment.pool.music))
    for pair in pairs_of(assignment):
        assert pair["label"] in labels_of(pictures[pair["image_sha256"]])
        fits = music[pair["music_sha256"]]
        assert (pair["label"], pair["music_genre"]) in [(fit.label, fit.sub_genre) for fit in fits]


def one_of_each_cluster_is_kept(assignment: Assignment) -> None:
    """What a duplicate gives way to stays: it is no duplicate itself."""
    rejected = {row["source_id"]: row for row in assignment.rejections.to_pylist() if row["unit"] != "clip"}
    gone = ("exact_duplicate", "near_duplicate", "acoustic_duplicate", "detail", "leak")
    for row in rejected.values():
        if row["kept_source_id"] is not None:
            winner = rejected.get(row["kept_source_id"])
            assert winner is None or winner["reason"] not in gone, (row, winner)


def check_all(items: pa.Table, assignment: Assignment, rule_set: RuleSet) -> None:
    nothing_is_lost(items, assignment)
    every_reason_is_known(items, assignment)
    everything_is_used_once(assignment)
    groups_lie_in_one_split(assignment)
    sizes_and_quotas_hold(assignment, rule_set)
    labels_fit(assignment)
    one_of_each_cluster_is_kept(assignment)
