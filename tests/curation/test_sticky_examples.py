"""What was released stays: one example of each rule."""

from dataclasses import replace

import pytest

from curation.memory import SPLITS
from tests.curation.editions import Edition, Made, released
from tests.curation.tables import ROOMY, Item, picture, recording


def faces(count: int) -> list[Item]:
    return [picture(f"p{n}", "Portrait") for n in range(count)]


def songs(count: int) -> list[Item]:
    return [recording(f"r{n}", "Song", "Popular") for n in range(count)]


FIVE = Edition([*faces(5), *songs(5)], ROOMY)  # of one label, in all three splits


def by_picture(made: Made) -> dict[str, dict[str, object]]:
    return {pair["image_source_id"]: pair for pair in made.pairs}


def reasons(made: Made) -> dict[str, str]:
    rejected = made.assignment.rejections.to_pylist()
    return {row["source_id"]: row["reason"] for row in rejected if row["unit"] != "recording"}


def test_another_label_that_needs_it_more_does_not_get_a_released_picture():
    both = picture("both", "Portrait", "Grid")
    first = Edition([both, *songs(1)])
    second = Edition([both, *faces(2), *songs(1), recording("hum", "Hum", "Electronic")])
    one, two = released([first, second])
    assert by_picture(two)["both"] == by_picture(one)["both"]
    assert reasons(two)["hum"] == "class_full"


def test_partner_of_what_left_takes_a_free_one_of_its_split():
    three, six = [*faces(3), *songs(3)], [*faces(6), *songs(3)]
    one, two = released([Edition(three), Edition([item for item in six if item.name != "p0"])])
    left = by_picture(one)["p0"]
    taken = next(pair for pair in two.pairs if pair["music_sha256"] == left["music_sha256"])
    assert (taken["label"], taken["split"]) == (left["label"], left["split"])
    assert taken["image_source_id"] in ("p3", "p4", "p5")


def test_partner_of_what_left_is_left_out_without_a_free_one():
    one, two = released([Edition([*faces(3), *songs(3)]), Edition([*faces(3)[1:], *songs(3)])])
    name = by_picture(one)["p0"]["music_source_id"]
    assert reasons(two)[name] == "no_partner"
    assert {pair["pair_id"] for pair in two.pairs} < {pair["pair_id"] for pair in one.pairs}


@pytest.mark.parametrize("size", [1, 2, 4])
def test_class_that_shrinks_drops_its_latest(size):
    early, all_of_them = [*faces(2), *songs(2)], [*faces(4), *songs(4)]
    sizes = [(6, 6, 4, 3), (6, 6, 4, 3), (6, size, 4, 3)]
    one, two, three = released([Edition(*e) for e in zip([early, all_of_them, all_of_them], sizes, strict=True)])
    kept = set(by_picture(three))
    assert len(kept) == size
    assert set(by_picture(two)) == {"p0", "p1", "p2", "p3"}
    assert kept >= set(by_picture(one)) or kept < set(by_picture(one))


@pytest.mark.parametrize("name", [f"p{n}" for n in range(5)])
def test_picture_that_leaves_and_comes_back_keeps_its_split(name):
    full = [*faces(5), *songs(5)]
    collections = [full, [item for item in full if item.name != name], full]
    one, _, three = released([Edition(items, ROOMY) for items in collections])
    assert by_picture(three)[name]["split"] == by_picture(one)[name]["split"]


def test_link_between_splits_makes_leaks_of_the_others():
    pieces = [picture(f"p{n}", "Portrait", creator="Ida", title=f"Study {n}") for n in range(5)]
    first = next(released([Edition([*pieces, *songs(5)], ROOMY)]))
    by_split = {pair["split"]: pair["image_source_id"] for pair in first.pairs}
    linked = {by_split["train"], by_split["test"]}
    # The same pictures, of which the metadata now say that two are one work.
    again = [replace(piece, title="Study") if piece.name in linked else piece for piece in pieces]
    collections = [[*pieces, *songs(5)], [*again, *songs(5)], [*again, *songs(6)]]
    _, *later = released([Edition(items, ROOMY) for items in collections])
    for made in later:  # a leak is one for ever: it was in training once
        assert reasons(made)[by_split["train"]] == "leak"
        assert by_picture(made)[by_split["test"]]["split"] == "test"


def test_duplicate_of_a_released_picture_gives_way_however_large():
    small = picture("small", "Portrait", look=(5, 0), side_px=50)
    large = picture("large", "Portrait", look=(5, 1), side_px=500)
    one, two = released([Edition([small, *songs(1)]), Edition([small, large, *songs(1)])])
    assert by_picture(two) == by_picture(one)
    assert reasons(two)["large"] == "near_duplicate"


def first_and_last() -> tuple[dict[str, tuple[int, int]], str, str]:
    """Return looks for a picture of training and one of another split that only a third picture shows to be alike."""
    splits = {name: pair["split"] for name, pair in by_picture(next(released([FIVE]))).items()}
    first, *_, last = sorted(splits, key=lambda name: SPLITS.index(splits[name]))
    assert splits[first] != splits[last]
    return {first: (9, 0), last: (9, 2)}, first, last


def test_new_picture_that_looks_like_two_released_ones_does_not_tie_them_together():
    looks, *_ = first_and_last()
    full = [replace(item, look=looks.get(item.name, item.look)) for item in FIVE.items]
    bridge = picture("bridge", "Portrait", look=(9, 1))
    one, two = released([Edition(full, ROOMY), Edition([*full, bridge], ROOMY)])
    assert by_picture(two) == by_picture(one)
    assert reasons(two)["bridge"] == "near_duplicate"


def test_duplicates_in_two_splits_are_not_both_lost():
    """Where one work holds two released pictures that a third shows to be alike, that of the winning split stays."""
    looks, first, last = first_and_last()
    bridge = picture("bridge", "Portrait", look=(9, 1))
    full = [replace(item, look=looks.get(item.name, item.look)) for item in FIVE.items]
    tied = [replace(i, creator="Ida", title="Face") if i.name in looks else i for i in [*full, bridge]]
    one, two = released([Edition(full, ROOMY), Edition(tied, ROOMY)])
    assert by_picture(two)[last]["split"] == by_picture(one)[last]["split"]
    assert (reasons(two)[first], reasons(two)["bridge"]) == ("leak", "near_duplicate")


def test_copies_of_leaks_stay_where_their_group_is_now():
    """Nothing gives way to a leak. So its copy ties groups, and may make another leak, the copy of which stays too."""
    splits = {name: pair["split"] for name, pair in by_picture(next(released([FIVE]))).items()}
    one, other, *_ = (name for name in splits if splits[name] == "train")
    tested = next(name for name in splits if splits[name] == "test")
    looks, titles = {one: (8, 0), other: (9, 0)}, {one: "Face", tested: "Face", other: "Hand"}
    full = [replace(item, look=looks.get(item.name, item.look)) for item in FIVE.items]
    # The same pictures, of which the metadata now say that two are one work.
    tied = [replace(item, creator="Ida", title=titles.get(item.name)) for item in full]
    copy = picture("copy", "Portrait", look=(8, 1), creator="Ida", title="Hand")
    later = Edition([*tied, copy, picture("another", "Portrait", look=(9, 1)), *songs(7)[5:]], ROOMY)
    _, *made = released([Edition(full, ROOMY), later, later])
    for each in made:
        assert (reasons(each)[one], reasons(each)[other]) == ("leak", "leak")
        assert by_picture(each)["copy"]["split"] == by_picture(each)["another"]["split"] == "test"


def test_released_clip_keeps_its_start_where_today_s_windows_lie_elsewhere():
    """Other settings measure other windows: a released clip stays, and no new one shares sound with it."""
    song = recording("song", "Song", "Popular", clips=1)
    shifted = replace(song, windows=("fine",) * 3, first_sample=4_000)
    one, two = released([Edition([*faces(1), song], ROOMY), Edition([*faces(3), shifted], ROOMY)])
    (before,) = one.pairs
    starts = {pair["music_start_s"]: pair for pair in two.pairs}
    assert set(starts) <= {0.0, 1.5, 2.5}
    assert starts[0.0]["pair_id"] == before["pair_id"]
    assert {name: starts[0.0][name] for name in before if name != "split"} == {
        name: value for name, value in before.items() if name != "split"
    }
