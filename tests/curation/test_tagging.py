"""The rules over a table of items: the same as item by item, but once for each distinct combination."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.schemas import IMAGES, ITEMS, RECORDINGS
from curation.tagging import facts_of, fitting
from rules import engine
from rules.engine import Facts, Tag, canonical_tags
from rules.schema import RuleSet
from tests.curation.tables import items_table, picture, recording, tiny_rules

EXTRA_TAGS = pa.list_(
    pa.struct([("kind", pa.string()), ("value", pa.string()), ("source", pa.string()), ("confidence", pa.float64())])
)
# Every kind of clause, with bounds that what is drawn below lies on and around.
RULES = RuleSet.model_validate(
    {
        "name": "every",
        "title": "Every kind of clause",
        "seed": 1,
        "labels": [
            {
                "name": "Old",
                "size": 1,
                "image": {
                    "all": [{"genre": ["Landscape"], "min_confidence": 0.8}, {"year": {"min": 1850, "max": 1900}}],
                    "none": [{"source": ["web"]}],
                },
                "music": {
                    "features": ["Chamber"],
                    "sub_genres": {"Early": 1},
                    "any": [{"loudness_lufs": {"max": -20}}, {"duration_s": {"min": 60, "max": 60}}],
                },
            },
            {
                "name": "Large",
                "size": 1,
                "image": {
                    "any": [{"width_px": {"min": 800}}, {"height_px": {"min": 800}}, {"century": ["19th century"]}]
                },
                "music": {
                    "features": ["Popular"],
                    "sub_genres": {"Early": 1, "Late": 1},
                    "none": [{"year": {"max": 1849}}],
                },
            },
        ],
        "vocabulary": {
            "genre": {"Landscape": None, "Portrait": None},
            "century": {"19th century": {"years": (1801, 1900)}},
            "sub_genre": {"Early": None, "Late": None},
            "music_feature": {"Chamber": None, "Popular": None},
        },
    }
)
WORDS = [(kind, word) for kind, words in RULES.vocabulary.items() for word in (*words, "unheard of")]
TAGS = st.lists(st.sampled_from(WORDS), max_size=4)
EXTRA = st.lists(
    st.tuples(
        st.sampled_from(WORDS),
        st.sampled_from(["override", "artists", "model m"]),
        st.sampled_from([0.4, 0.5, 0.7, 0.8, 1.0]),
    ),
    max_size=3,
)
SIZES = st.none() | st.sampled_from([799, 800, 801])
ITEM = st.fixed_dictionaries(
    {
        "tags": st.none() | TAGS,
        "extra": st.none() | EXTRA,
        "year": st.none() | st.sampled_from([1800, 1801, 1849, 1850, 1875, 1900, 1901]),
        "source": st.sampled_from(["folder", "web"]),
        "width_px": SIZES,
        "height_px": SIZES,
        "duration_s": st.none() | st.sampled_from([59.9, 60.0, 60.1]),
        "windows": st.none() | st.lists(st.none() | st.sampled_from([-30.0, -20.0, -19.0, -10.0]), max_size=4),
    }
)


def table_of(rows: list[dict], schema: pa.Schema) -> pa.Table:
    """Make a table in two chunks: that is how tables of several batches come."""
    half = len(rows) // 2
    return pa.concat_tables(pa.Table.from_pylist(part, schema) for part in (rows[:half], rows[half:]))


def tables(drawn: list[dict], modality: str) -> tuple[pa.Table, pa.Table, pa.ChunkedArray]:
    items = [
        {**item, "tags": item["tags"] and [dict(zip(("kind", "value"), tag, strict=True)) for tag in item["tags"]]}
        for item in drawn
    ]
    measured = [
        {**item, "windows": item["windows"] and [{"loudness_lufs": loudness} for loudness in item["windows"]]}
        for item in drawn
    ]
    extra = [
        item["extra"]
        and [{"kind": k, "value": v, "source": source, "confidence": sure} for (k, v), source, sure in item["extra"]]
        for item in drawn
    ]
    schema = IMAGES if modality == "image" else RECORDINGS
    columns = [{name: row[name] for name in schema.names if name in row} for row in measured]
    listed = [{name: row[name] for name in ITEMS.names if name in row} for row in items]
    return table_of(listed, ITEMS), table_of(columns, schema), pa.chunked_array([pa.array(extra, EXTRA_TAGS)])


def facts_by_hand(item: dict, modality: str) -> Facts:
    extra = [Tag(*word, source, confidence) for word, source, confidence in item["extra"] or ()]
    names = ("year", "width_px", "height_px") if modality == "image" else ("year", "duration_s")
    numbers = {name: item[name] for name in names}
    if modality == "music":
        heard = [loudness for loudness in item["windows"] or () if loudness is not None]
        numbers["loudness_lufs"] = float(np.median(heard)) if heard else None
    known = {name: number for name, number in numbers.items() if number is not None}
    return Facts(canonical_tags(RULES, item["tags"] or (), item["year"], extra), known, item["source"])


@pytest.mark.parametrize("modality", ["image", "music"])
@settings(deadline=None)
@given(st.lists(ITEM, max_size=12))
def test_a_table_fits_as_its_items_do_one_by_one(modality, drawn):
    items, measured, extra_tags = tables(drawn, modality)
    found = fitting(items, RULES, modality, measured, extra_tags)
    fit, miss = (
        (engine.image_fits, engine.image_near_misses)
        if modality == "image"
        else (engine.recording_fits, engine.recording_near_misses)
    )
    for row, item in enumerate(drawn):
        facts = facts_by_hand(item, modality)
        fits = fit(RULES, facts)
        assert found.of(row) == fits
        assert found.near_misses[found.combination[row]] == (() if fits else miss(RULES, facts))
    assert facts_of(items, RULES, measured, extra_tags) == [facts_by_hand(item, modality) for item in drawn]


def test_numbers_between_the_same_bounds_are_one_combination():
    items, measured, _ = tables(
        [
            {
                "tags": [],
                "extra": [],
                "year": year,
                "source": "folder",
                "width_px": width,
                "height_px": 5,
                "windows": [],
            }
            for year in range(1802, 1849)
            for width in (801, 999, 12_345)
        ],
        "image",
    )
    assert len(fitting(items, RULES, "image", measured).fits) == 1


def test_rules_run_once_for_each_combination_of_tags(monkeypatch):
    calls = []
    original = engine.image_fits
    monkeypatch.setattr(engine, "image_fits", lambda *a: calls.append(a) or original(*a))
    items = items_table([picture(f"p{n}", ["Poster", "Grid"][n % 2]) for n in range(50)])
    found = fitting(items, tiny_rules(), "image")
    assert len(calls) == 2
    assert [found.of(row)[0].label for row in range(50)] == [
        {"Poster": "Bills", "Grid": "Grids"}[tags[0]["value"]] for tags in items["tags"].to_pylist()
    ]


def test_features_are_kept_for_the_columns():
    found = fitting(items_table([recording("r", "Song", "Popular", "Chamber")]), tiny_rules(), "music")
    assert found.features == [["Chamber", "Popular"]]


def test_no_items_have_no_combinations():
    assert fitting(items_table([]), tiny_rules(), "image").combination.tolist() == []
