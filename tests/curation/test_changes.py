"""What differs between two states, told by hand for small ones, and against a slow count for drawn histories."""

import hashlib
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from curation import changes
from curation.changes import NOTHING, TITLES, Changes, Flow, State, compare, labels, transitions
from curation.releases import Release
from curation.schemas import ASSIGNMENT, PAIRS, REJECTIONS
from curation.tables import assignment_table, pairs_table
from rules.errors import ConfigurationError
from tests.curation.editions import Edition, editions, released


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def pair(picture: str, recording: str, label: str = "Faces", split: str = "train", **more: str) -> dict[str, object]:
    return {"picture": picture, "recording": recording, "label": label, "split": split} | more


def rejection(name: str, reason: str, unit: str = "image", start: int | None = None) -> dict[str, object]:
    detail = f"{name} is {reason}"
    return {"unit": unit, "reason": reason, "sha256": sha(name), "start_sample": start, "detail": detail}


def state(*pairs: dict[str, object], rejections: tuple[dict[str, object], ...] = ()) -> State:
    """Make a state of pairs whose clips all start at sample 0."""
    rows, titles = [], []
    for row in pairs:
        shared = {
            "label": row["label"],
            "split": row["split"],
            "pair_id": sha(f"{row['picture']}/{row['recording']}")[:32],
        }
        for side, name in (("image", row["picture"]), ("music", row["recording"])):
            about = {"side": side, "sha256": sha(str(name)), "start_sample": None if side == "image" else 0}
            about |= {"source": "folder", "source_id": name, "rule": f"tiny/{row['label']}"}
            rows.append(about | shared | {"evidence": row.get("evidence", f"genre {row['label']}")})
        images = sha(str(row["picture"])), f"Title of {row['picture']}"
        titles.append(dict(zip(TITLES, (*images, sha(str(row["recording"])), None), strict=True)))
    schema = pa.schema([(name, pa.string()) for name in TITLES])
    tables = (rows, ASSIGNMENT), (list(rejections), REJECTIONS), (titles, schema)
    return State(*(pa.Table.from_pylist(*table) for table in tables))


def kinds(found: Changes) -> list[tuple[str, str]]:
    return [(row["kind"], row["source_id"]) for row in found.items.to_pylist()]


BEFORE = state(pair("p1", "r1"), pair("p2", "r2"))


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([pair("p2", "r2"), pair("p1", "r1")], []),
        ([pair("p1", "r1")], [("lost", "p2"), ("lost", "r2")]),
        ([pair("p1", "r1"), pair("p2", "r2"), pair("p3", "r3")], [("gained", "p3"), ("gained", "r3")]),
        ([pair("p1", "r1"), pair("p2", "r2", "Bills")], [("moved", "p2"), ("moved", "r2")]),
        ([pair("p1", "r2"), pair("p2", "r1")], [("partner", name) for name in ("p1", "p2", "r1", "r2")]),
        ([pair("p1", "r1"), pair("p2", "r2", split="test")], [("split", "p2"), ("split", "r2")]),
        ([pair("p1", "r1"), pair("p2", "r2", "Bills", "test")], [("split", "p2"), ("split", "r2")]),
    ],
)
def test_every_unit_that_is_not_what_it_was_is_told_once(
    after: list[dict[str, object]], expected: list[object]
) -> None:
    found = compare(BEFORE, state(*after))
    assert kinds(found) == expected
    assert found.is_empty is not bool(expected)


def test_pairs_that_stay_come_and_end_are_counted() -> None:
    found = compare(BEFORE, state(pair("p1", "r1"), pair("p2", "r3"), pair("p4", "r4")))
    assert (found.pairs.kept, found.pairs.new, found.pairs.ended) == (1, 2, 1)


def test_another_evidence_alone_is_told_as_a_reworded_pair() -> None:
    found = compare(BEFORE, state(pair("p1", "r1", evidence="year"), pair("p2", "r2")))
    assert not len(found.items)
    assert found.reworded.to_pylist() == [sha("p1/r1")[:32]]
    assert not found.is_empty


@pytest.mark.parametrize(
    ("rejections", "reasons"),
    [
        ((), (None, None)),
        ((rejection("p2", "no_rule"), rejection("r2", "no_partner", "clip", 0)), ("no_rule", "no_partner")),
        ((rejection("r2", "silent", "clip", 7), rejection("r2", "too_short", "recording")), (None, "too_short")),
        ((rejection("r2", "silent", "clip", 7),), (None, None)),
        ((rejection("p2", "exact_duplicate"), rejection("p2", "class_full")), ("class_full", None)),
        ((rejection("p2", "exact_duplicate"),), ("exact_duplicate", None)),
    ],
)
def test_what_is_lost_has_its_own_reason(rejections: tuple[dict[str, object], ...], reasons: tuple[object]) -> None:
    rows = compare(BEFORE, state(pair("p1", "r1"), rejections=rejections)).items.to_pylist()
    assert tuple(row["reason_after"] for row in rows) == reasons
    assert [row["why_before"] for row in rows] == ["genre Faces"] * 2
    assert [row["reason_before"] for row in rows] == [None] * 2


def test_what_is_gained_says_why_it_was_left_out() -> None:
    before = state(pair("p1", "r1"), rejections=(rejection("p2", "class_full"),))
    picture, clip = compare(before, BEFORE).items.to_pylist()
    assert (picture["reason_before"], picture["why_before"]) == ("class_full", "p2 is class_full")
    assert (clip["reason_before"], clip["why_after"]) == (None, "genre Faces")
    assert picture["title"] == "Title of p2"


def test_without_a_parent_everything_is_gained() -> None:
    found = compare(NOTHING, BEFORE)
    assert kinds(found) == [("gained", name) for name in ("p1", "p2", "r1", "r2")]
    assert compare(NOTHING, NOTHING).is_empty


def test_what_comes_and_goes_is_counted_by_label() -> None:
    after = state(pair("p1", "r1", "Bills"), pair("p3", "r3", "Bills", "test"))
    bills, faces, grids = labels(compare(BEFORE, after), ["Bills", "Faces", "Grids"])
    assert (bills.before, bills.after) == (
        {"train": 0, "validation": 0, "test": 0},
        {"train": 1, "validation": 0, "test": 1},
    )
    assert (bills.pictures, faces.pictures) == (Flow(gained=1, moved_in=1), Flow(lost=1, moved_out=1))
    assert (bills.clips, bills.recordings) == (bills.pictures, bills.pictures)
    assert (grids.pairs_before, grids.pairs_after, grids.clips) == (0, 0, Flow())


def test_the_most_frequent_way_comes_first_with_its_causes() -> None:
    before = state(*(pair(f"p{n}", f"r{n}", evidence=f"evidence {n // 3}") for n in range(5)))
    after = state(rejections=tuple(rejection(f"p{n}", "no_rule") | {"detail": "lacks"} for n in range(5)))
    (first, second), count = transitions(compare(before, after), 2, 1, 2)
    assert count == 2
    assert {first.side, second.side} == {"image", "music"}
    pictures = first if first.side == "image" else second
    assert pictures.words == ("Faces", "left out: no rule")
    assert (pictures.count, pictures.kinds_of_cause) == (5, 2)
    (cause,) = pictures.causes
    assert (cause.before, cause.after, cause.count) == ("evidence 0", "lacks", 3)
    assert [row["source_id"] for row in cause.examples] == ["p0", "p1"]


def written(folder: Path, number: int, held: State, names: list[str], rule_set: str = "tiny") -> Release:
    place = folder / str(number)
    (place / "metadata").mkdir(parents=True)
    pq.write_table(held.assignment, place / "assignment.parquet")
    pq.write_table(held.rejections, place / "rejections.parquet")
    nothing = PAIRS.empty_table()
    pairs = pa.table(
        [held.pairs[n] if n in TITLES else pa.nulls(len(held.pairs)) for n in nothing.schema.names], PAIRS.names
    )
    pq.write_table(pairs, place / "metadata" / "train-00000-of-00001.parquet")
    manifest = {"labels": names, "rule_set": {"name": rule_set}}
    return Release(number, place, json.loads(json.dumps(manifest)))


def test_a_renamed_label_is_the_same_label_in_either_direction(tmp_path: Path) -> None:
    old = written(tmp_path, 1, BEFORE, ["Bills", "Faces"])
    new = written(tmp_path, 4, state(pair("p1", "r1", "Heads"), pair("p2", "r2", "Bills")), ["Bills", "Heads", "Grids"])
    assert kinds(changes.between(old, new)) == [("moved", "p2"), ("moved", "r2")]
    back = changes.between(new, old).items.to_pylist()
    assert [(row["label_before"], row["label_after"]) for row in back] == [("Bills", "Faces")] * 2


def test_releases_of_two_data_sets_are_not_compared(tmp_path: Path) -> None:
    one, two = written(tmp_path, 1, BEFORE, ["Faces"]), written(tmp_path, 2, BEFORE, ["Faces"], "other")
    with pytest.raises(ConfigurationError, match="release 1 is of tiny and release 2 of other"):
        changes.between(one, two)


def slowly(before: State, after: State) -> Counter[str]:
    """Count the kinds of change, one row of Python after the other."""

    def held(one: State) -> dict[object, tuple[str, ...]]:
        rows = [row for row in one.assignment.to_pylist() if row["pair_id"]]
        return {
            (row["side"], row["sha256"], row["start_sample"]): (row["split"], row["label"], row["pair_id"])
            for row in rows
        }

    was, now = held(before), held(after)
    counts = Counter({"lost": len(was.keys() - now), "gained": len(now.keys() - was)})
    for unit in was.keys() & now:
        differs = [one != two for one, two in zip(was[unit], now[unit], strict=True)]
        counts[dict(zip(differs[::-1], ("partner", "moved", "split"), strict=True)).get(True, "kept")] += 1
    return +Counter({kind: count for kind, count in counts.items() if kind != "kept"})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(editions())
def test_drawn_histories_are_compared_as_a_slow_count_does(history: list[Edition]) -> None:
    made = list(released(history))
    states = [
        State(assignment_table(one.assignment, one.memory, n), one.assignment.rejections, pairs_table(one.assignment))
        for n, one in enumerate(made, 1)
    ]
    for before, after in pairwise([NOTHING, *states]):
        found = compare(before, after)
        counts = Counter(found.items["kind"].to_pylist())
        assert counts == slowly(before, after)
        assert counts["split"] == 0
        assert len(found.before) + found.pairs.new - found.pairs.ended == len(found.after)
        for label in labels(found, []):
            flow = label.pictures
            came, went = flow.gained + flow.moved_in, flow.lost + flow.moved_out
            assert label.pairs_before + came - went == label.pairs_after
        # All that goes has a reason, unless no source lists it any more.
        listed = set(after.rejections["sha256"].to_pylist())
        lost = [row for row in found.items.to_pylist() if row["kind"] == "lost" and row["sha256"] in listed]
        assert [row for row in lost if row["reason_after"] is None] == []
