"""Overrides beside the items that they speak of."""

import pyarrow as pa
import pytest

from curation.overrides import Resolved, force, no_longer_matter, resolve
from curation.tagging import fitting
from rules.errors import ConfigurationError
from rules.overrides import Override, Overrides
from tests.curation.tables import Item, items_table, picture, recording, tiny_rules

WHY = "override of 2026-03-01: seen"
PICTURES = [picture("a", "Landscape"), picture("b", "Grid"), picture("c"), picture("copy", "Grid", blob="b")]
RECORDINGS = [recording("r", "Late", "Chamber"), recording("s", "Hum", "Popular"), recording("t", "Other")]
ITEMS = items_table([*PICTURES, *RECORDINGS])
KNOWN = pa.concat_tables([ITEMS, items_table([picture("gone"), picture("away")])])
SHA = {item.name: item.sha256 for item in (*PICTURES, *RECORDINGS)}


def rules_with(*overrides: dict[str, object]):
    entries = tuple(
        Override(**({"reason": "seen", "date": "2026-03-01", "where": f"o.csv:{line}"} | override))
        for line, override in enumerate(overrides, 2)
    )
    return tiny_rules().model_copy(update={"overrides": Overrides(entries=entries)})


def resolved(*overrides: dict[str, object], items: pa.Table = ITEMS, known: pa.Table = KNOWN) -> Resolved:
    return resolve(items, known, rules_with(*overrides))


def names(rows: object) -> list[str]:
    return ITEMS["source_id"].take(pa.array(rows, pa.int64())).to_pylist()


def refusal(*overrides: dict[str, object]) -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        resolved(*overrides)
    return str(error.value).splitlines()


@pytest.mark.parametrize("name", ["folder:a", SHA["a"], SHA["a"][:12], SHA["a"][:20]])
def test_an_item_is_found_by_its_id_or_its_hash(name):
    rows, why, kept = resolved({"item": name, "reject": True}).rejected()
    assert (names(rows), why.to_pylist(), kept.tolist()) == (["a"], [WHY], [-1])


def test_an_override_holds_for_every_item_with_the_same_bytes():
    assert names(resolved({"item": "folder:b", "reject": True}).rejected()[0]) == ["b", "copy"]


def test_a_duplicate_gives_way_to_the_item_that_stays_in_the_end():
    found = resolved({"item": "folder:a", "duplicate_of": "folder:b"}, {"item": "folder:b", "duplicate_of": "folder:c"})
    rows, _, kept = found.rejected()
    assert (names(rows), names(kept)) == (["a", "b", "copy"], ["c", "c", "c"])
    assert [names(link) for link in found.links()] == [["a", "c"], ["b", "c"], ["copy", "c"]]


def test_tags_say_where_they_are_from():
    tags = resolved({"item": "folder:c", "tags": (("genre", "Poster"), ("genre", "Grid"))}).tags().to_pylist()
    shared = {"kind": "genre", "source": WHY, "confidence": 1.0}
    expected = [{"value": "Poster", **shared}, {"value": "Grid", **shared}]
    assert tags == [expected if name == "c" else [] for name in ITEMS["source_id"].to_pylist()]


def test_tags_of_an_override_replace_those_of_its_kinds():
    rule_set = rules_with({"item": "folder:a", "tags": (("genre", "Poster"),)})
    tags = resolve(ITEMS, KNOWN, rule_set).tags()
    (fit,) = fitting(ITEMS, rule_set, "image", extra_tags=tags).of(ITEMS["source_id"].to_pylist().index("a"))
    assert (fit.label, fit.evidence) == ("Bills", f"genre Poster ({WHY})")


@pytest.mark.parametrize(
    ("item", "modality", "sub_genre", "expected"),
    [
        ("a", "image", None, [None]),
        ("c", "image", None, [None]),
        ("r", "music", None, ["Late"]),
        ("r", "music", "Song", ["Song"]),
        ("s", "music", None, ["Late", "Song"]),
    ],
)
def test_a_forced_label_is_the_only_one_that_fits(item, modality, sub_genre, expected):
    rule_set = rules_with({"item": f"folder:{item}", "label": "Faces", "sub_genre": sub_genre})
    found = force(fitting(ITEMS, rule_set, modality), resolve(ITEMS, KNOWN, rule_set), rule_set, modality)
    fits = found.of(ITEMS["source_id"].to_pylist().index(item))
    assert [(fit.label, fit.sub_genre, fit.rule, fit.evidence) for fit in fits] == [
        ("Faces", name, "override", WHY) for name in expected
    ]


def test_what_no_override_names_fits_as_before():
    rule_set = rules_with({"item": "folder:a", "label": "Faces"})
    before = fitting(ITEMS, rule_set, "image")
    after = force(before, resolve(ITEMS, KNOWN, rule_set), rule_set, "image")
    others = [row for row, name in enumerate(ITEMS["source_id"].to_pylist()) if name != "a"]
    assert [after.of(row) for row in others] == [before.of(row) for row in others]


def test_a_part_of_the_items_keeps_what_speaks_of_it():
    found = resolved(
        {"item": "folder:a", "duplicate_of": "folder:b"},
        {"item": "folder:c", "duplicate_of": "folder:a"},
        {"item": "folder:r", "reject": True},
    )
    order = ITEMS["source_id"].to_pylist()
    part = found.of(pa.array([order.index(name) for name in ("c", "r", "a")]).to_numpy())
    rows, _, kept = part.rejected()
    assert (rows.tolist(), kept.tolist()) == ([1], [-1])  # without b, the picture that stays, its duplicates stay


def test_nothing_is_resolved_without_overrides():
    found = resolved()
    assert (found.rejected()[0].tolist(), found.links().tolist(), found.tags().flatten().to_pylist()) == ([], [], [])


def test_an_item_that_nobody_has_seen_is_refused_with_those_like_it():
    assert refusal({"item": "folder:cipy", "reject": True}, {"item": "ffffffffffff", "reject": True}) == [
        "o.csv:2: folder:cipy: expected an item that a source has listed; "
        "did you mean folder:copy or folder:c or folder:away?",
        "o.csv:3: ffffffffffff: expected an item that a source has listed",
    ]


def test_digits_that_begin_several_hashes_are_refused():
    twins = items_table([Item("x", "image"), Item("y", "image")])
    shas = ["0123456789ab" + digit * 52 for digit in "cd"]
    twins = twins.set_column(twins.schema.get_field_index("sha256"), "sha256", pa.array(shas))
    with pytest.raises(ConfigurationError, match=f"enough digits for one of {shas[0]} and {shas[1]}"):
        resolved({"item": "0123456789ab", "reject": True}, items=twins, known=twins)


def test_an_item_named_in_two_ways_is_one_item():
    assert refusal({"item": "folder:b", "label": "Faces"}, {"item": SHA["copy"][:12], "reject": True}) == [
        f"o.csv:3: {SHA['copy'][:12]}: reject: expected nothing that contradicts label by line 2"
    ]


def test_a_circle_of_duplicates_named_in_two_ways_is_found():
    assert refusal(
        {"item": "folder:a", "duplicate_of": "folder:copy"}, {"item": SHA["b"], "duplicate_of": "folder:a"}
    ) == [f"o.csv:2: folder:a: expected one item to stay, not a circle: folder:a -> {SHA['b']} -> folder:a"]


def test_a_copy_of_the_same_bytes_is_no_duplicate_to_declare():
    (line,) = refusal({"item": "folder:b", "duplicate_of": "folder:copy"})
    assert line == "o.csv:2: folder:b: expected one item to stay, not a circle: folder:b -> folder:b"


def test_a_picture_has_no_sub_genre():
    assert refusal({"item": "folder:a", "label": "Faces", "sub_genre": "Late"}) == [
        "o.csv:2: folder:a: Faces / Late: expected a label alone: it is a picture"
    ]


def test_a_picture_is_no_duplicate_of_a_recording():
    assert refusal({"item": "folder:a", "duplicate_of": "folder:r"}) == [
        "o.csv:2: folder:a: duplicate of folder:r: expected two pictures or two recordings"
    ]


def test_an_item_that_is_gone_is_reported():
    found = resolved({"item": "folder:gone", "reject": True}, {"item": "folder:a", "duplicate_of": "folder:away"})
    assert found.gone == [
        f'o.csv:2: folder:gone: "{WHY}" no longer matters: no source lists folder:gone any more',
        f'o.csv:3: folder:a: "{WHY}" no longer matters: no source lists folder:away any more',
    ]
    assert found.rejected()[0].tolist() == []


@pytest.mark.parametrize(
    ("override", "modality", "matters"),
    [
        ({"item": "folder:a", "label": "Old views"}, "image", False),
        ({"item": "folder:a", "label": "Faces"}, "image", True),
        ({"item": "folder:a", "reject": True}, "image", True),
        ({"item": "folder:c", "reject": True}, "image", False),
        ({"item": "folder:c", "duplicate_of": "folder:a"}, "image", False),
        ({"item": "folder:a", "tags": (("genre", "Landscape"),)}, "image", False),
        ({"item": "folder:a", "tags": (("genre", "Poster"),)}, "image", True),
        ({"item": "folder:r", "label": "Faces", "sub_genre": "Late"}, "music", True),  # Old views fits as well
    ],
)
def test_an_override_that_changes_nothing_is_reported(override, modality, matters):
    rule_set = rules_with(override)
    chosen = [row for row, found in enumerate(ITEMS["modality"].to_pylist()) if found == modality]
    items = ITEMS.take(pa.array(chosen))
    found = resolve(ITEMS, KNOWN, rule_set).of(pa.array(chosen).to_numpy())
    without = fitting(items, rule_set, modality)
    forced = force(fitting(items, rule_set, modality, extra_tags=found.tags()), found, rule_set, modality)
    assert set(forced.combination.tolist()) == set(range(len(forced.fits)))  # none is left that no item has
    item = override["item"]
    reported = f'o.csv:2: {item}: "{WHY}" no longer matters: the rules alone do the same'
    assert no_longer_matter(found, without, forced) == ([] if matters else [reported])
