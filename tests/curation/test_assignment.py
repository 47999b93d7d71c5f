import random
from collections import defaultdict

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.assignment import Assignment
from curation.memory import NO_MEMORY
from curation.tables import pairs_table
from rules.overrides import Override, Overrides
from tests.curation import laws
from tests.curation.editions import made_of
from tests.curation.tables import (
    Item,
    items_table,
    picture,
    pictures,
    recording,
    recordings,
    tiny_rules,
)

RULES = tiny_rules()
SLOW = settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

sizes = st.lists(st.integers(1, 8), min_size=4, max_size=4)


def assigned(items: list[Item], rule_set=RULES) -> Assignment:
    return made_of(items, items, rule_set, NO_MEMORY)


def fates(items: list[Item]) -> dict[str, str]:
    """Return the reason of every rejected item, by its name."""
    rejected = assigned(items).rejections.to_pylist()
    return {row["source_id"]: row["reason"] for row in rejected if row["unit"] != "clip"}


@SLOW
@given(pictures(), recordings(), sizes, st.integers(0, 99))
def test_laws_hold_for_any_collection(pictures, recordings, sizes, seed):
    items, rule_set = [*pictures, *recordings], tiny_rules(sizes, seed)
    laws.check_all(items_table(items), assigned(items, rule_set), rule_set)


@settings(SLOW, max_examples=40)
@given(pictures(), recordings(), st.randoms(use_true_random=False))
def test_order_of_the_rows_changes_nothing(pictures, recordings, rng: random.Random):
    items = [*pictures, *recordings]
    first = assigned(items)
    rng.shuffle(items)
    second = assigned(items)
    assert pairs_table(first) == pairs_table(second)
    assert first.rejections == second.rejections
    assert first.candidates == second.candidates


@settings(SLOW, max_examples=40)
@given(st.integers(3, 8), st.integers(3, 8), st.integers(1, 3), st.integers(0, 99))
def test_label_with_three_groups_on_each_side_is_in_all_splits(images, music, clips, seed):
    items = [picture(f"p{n}", "Landscape") for n in range(images)]
    items += [recording(f"r{n}", "Early", "Chamber", clips=clips) for n in range(music)]
    rule_set = tiny_rules((8, 5, 4, 3), seed)
    assert {pair["split"] for pair in laws.pairs_of(assigned(items, rule_set))} == {"train", "validation", "test"}


@SLOW
@given(pictures(), recordings())
def test_no_two_of_a_cluster_are_released(pictures, recordings):
    items = [*pictures, *recordings]
    looks, sounds, blobs = defaultdict(list), defaultdict(list), defaultdict(list)
    by_name = {item.name: item for item in items}
    for pair in laws.pairs_of(assigned(items)):
        image, music = by_name[pair["image_source_id"]], by_name[pair["music_source_id"]]
        looks[image.look].append(image.name)
        blobs[image.sha256].append(image.name)
        for segment in music.sound:
            sounds[segment].append(music.name)
    assert all(len(found) == 1 for found in [*looks.values(), *blobs.values()])
    assert all(len(set(found)) == 1 for found in sounds.values())


def music(count: int = 3) -> list[Item]:
    return [recording(f"r{n}", "Early", "Chamber") for n in range(count)]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([picture("a", "Landscape", refusal="missing_file")], {"a": "missing_file"}),
        ([picture("a", "Landscape", damage="too_small")], {"a": "too_small"}),
        ([picture("a", "Landscape", blob="x"), picture("b", "Landscape", blob="x")], {"b": "exact_duplicate"}),
        (
            [picture("a", "Landscape", look=(1, 0), side_px=50), picture("b", "Landscape", look=(1, 1))],
            {"a": "near_duplicate"},
        ),
        (
            [
                picture("a", "Landscape", creator="Zo\u00eb", title="Lake"),
                picture("b", "Landscape", creator="zoe", title="Lake (Detail)"),
            ],
            {"b": "detail"},
        ),
        ([picture("a", "Landscape"), picture("b", "Still life")], {"b": "no_rule"}),
        ([picture(f"p{n}", "Grid") for n in range(2)], {"p0": "class_full", "p1": "class_full"}),
    ],
)
def test_pictures_are_left_out_for_their_reason(items, expected):
    assert {name: reason for name, reason in fates([*items, *music()]).items() if name[0] != "r"} == expected


def test_recording_without_a_kept_clip_and_its_clips_say_why():
    items = [
        *(picture(f"p{n}", "Landscape") for n in range(5)),
        recording("silent", "Early", "Chamber", windows=("silent", "clipped")),
        recording("long", "Early", "Chamber", clips=5, sound=("long", "longer")),
        recording("same", "Early", "Chamber", sound=("long",), clips=1),
        recording("odd", "Early", "Electronic"),
    ]
    rejected = assigned(items).rejections.to_pylist()
    found = {(row["unit"], row["source_id"], row["start_sample"], row["reason"]) for row in rejected}
    assert {
        ("recording", "silent", None, "no_clip_kept"),
        ("clip", "silent", 0, "silent"),
        ("clip", "silent", 8_000, "clipped"),
        ("clip", "long", 8_000, "clip_cap"),
        ("clip", "long", 24_000, "clip_cap"),
        ("recording", "odd", None, "no_rule"),
    } <= found
    assert {row[3] for row in found if row[1] in ("same", "long") and row[0] == "recording"} == {"acoustic_duplicate"}


def test_quota_and_class_that_are_full_are_told_apart():
    items = [picture(f"p{n}", "Landscape") for n in range(9)]
    items += [recording(f"r{n}", "Early", "Chamber") for n in range(9)]
    rejected = assigned(items).rejections.to_pylist()
    assert {row["reason"] for row in rejected if row["unit"] == "clip"} == {"quota_full"}
    assert {row["reason"] for row in rejected if row["unit"] == "image"} == {"class_full"}


def test_nearly_fitting_and_ambiguous_items_are_listed():
    items = [picture("both", "Landscape", "Portrait"), recording("odd", "Early", "Electronic"), *music()]
    candidates = {row["source_id"]: row for row in assigned(items).candidates.to_pylist()}
    assert candidates["both"]["kind"] == "ambiguous"
    assert candidates["both"]["labels"] == ["Old views", "Faces"]
    assert candidates["odd"]["kind"] == "near_miss"


def test_empty_collection_has_no_pairs():
    assert laws.pairs_of(assigned([])) == []
    assert isinstance(assigned([]).rejections, pa.Table)


def test_a_duplicate_by_override_names_what_stays_in_the_end():
    """p0 is called a copy of p1, which gives way to the larger p2 that looks like it."""
    items = [picture("p0"), picture("p1", look=(1, 0)), picture("p2", look=(1, 1), side_px=120), recording("r", "Song")]
    override = Override(item="folder:p0", duplicate_of="folder:p1", reason="the same print", date="2026-03-01")
    rules = tiny_rules().model_copy(update={"overrides": Overrides(entries=(override,))})
    rejected = {row["source_id"]: row for row in made_of(items, items, rules, NO_MEMORY).rejections.to_pylist()}
    assert (rejected["p1"]["reason"], rejected["p1"]["kept_source_id"]) == ("near_duplicate", "p2")
    assert (rejected["p0"]["reason"], rejected["p0"]["kept_source_id"]) == ("overridden", "p2")
    assert rejected["p0"]["detail"] == "override of 2026-03-01: the same print"
