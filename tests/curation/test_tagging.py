import pytest

from curation.tagging import fitting, is_detail, simplified, work_of
from rules import engine
from tests.curation.tables import items_table, picture, recording, tiny_rules


@pytest.mark.parametrize(
    ("text", "plain"),
    [("Caf\u00e9  Terrace,\tat Night!", "cafe terrace at night"), ("STRASSE", "strasse"), ("Stra\u00dfe", "strasse")],
)
def test_case_accents_and_marks_do_not_tell_works_apart(text, plain):
    assert simplified(text) == plain


@pytest.mark.parametrize(
    ("title", "detail"),
    [
        ("Lake (detail)", True),
        ("Lake (landscape detail)", True),
        ("Lake [Detail]", True),
        ("Lake, detail", True),
        ("Attention to Detail", False),
        ("Lake (details of a life)", False),
        ("", False),
        (None, False),
    ],
)
def test_title_says_whether_it_is_a_detail(title, detail):
    assert is_detail(title) is detail


@pytest.mark.parametrize(
    ("creator", "title", "work"),
    [
        ("Zo\u00eb", "The Lake (detail)", "zoe / the lake"),
        ("Zo\u00eb", "The lake", "zoe / the lake"),
        (None, "The lake", None),
        ("Zo\u00eb", None, None),
        ("Zo\u00eb", "(detail)", None),
        ("---", "Lake", None),
    ],
)
def test_work_is_told_by_creator_and_title(creator, title, work):
    assert work_of(creator, title) == work


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
