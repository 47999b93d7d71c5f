"""What a creator's name and a title say of an item by the artists table."""

import pytest

import rules
from curation.artists import OF_TITLE, ONE_WORD, SEVERAL_WORDS, SURE, tags_of
from curation.schemas import DERIVED_TAG, ITEMS
from curation.tagging import fitting
from rules.artists import Artist, Artists
from tests.curation.tables import items_table, picture, recording, tiny_rules

MUSEART18 = rules.load("museart18")


def said(items, modality, rule_set=MUSEART18):
    """Return for each item word -> (kind, origin, confidence)."""
    lists = tags_of(items_table(items), rule_set, modality).to_pylist()
    return [{tag["value"]: (tag["kind"], tag["source"], tag["confidence"]) for tag in tags} for tags in lists]


def by(creator):
    return said([picture("p", creator=creator)], "image")[0]


def test_a_painter_says_nation_style_genre_and_centuries():
    assert by("Claude Monet") == {
        "French": ("nationality", "artists Claude Monet", SURE),
        "Impressionism": ("style", "artists Claude Monet", ONE_WORD),
        "Landscape": ("genre", "artists Claude Monet", ONE_WORD),
        # 20 years old in 1860 and 80 in 1920: of these 61 years, 41 lie in the 19th century
        "19th century": ("century", "artists Claude Monet", 0.67),
        "20th century": ("century", "artists Claude Monet", 0.33),
    }


def test_one_of_several_words_is_less_sure():
    assert by("Pablo Picasso")["Cubism"] == ("style", "artists Pablo Picasso", SEVERAL_WORDS)


def test_a_composer_says_nation_century_and_sub_genre():
    (tags,) = said([recording("r", "x", creator="Bach, Johann Sebastian")], "music")
    assert tags == {
        "German": ("nationality", "artists Johann Sebastian Bach", SURE),
        "Baroque": ("sub_genre", "artists Johann Sebastian Bach", ONE_WORD),
        "18th century": ("century", "artists Johann Sebastian Bach", SURE),
    }


@pytest.mark.parametrize(
    "creator",
    [
        "Vincent van Gogh",
        "VINCENT  VAN GOGH",
        "Vincent_van_Gogh",
        "van Gogh, Vincent",
        "Van Gogh",
        "Vincent van Gogh (Dutch, 1853–1890)",
        "Gogh, Vincent van (1853-1890)",
    ],
)
def test_a_name_may_be_written_in_several_ways(creator):
    assert "Post-Impressionism" in by(creator)


@pytest.mark.parametrize(
    "creator",
    [
        "Attributed to Rembrandt",
        "Rembrandt (attributed to)",
        "Workshop of Rembrandt",
        "Rembrandt, workshop of",
        "After Rembrandt",
        "Circle of Rembrandt (1606-1669)",
        "Rembrandt and workshop",
        "Rembrandt; Jan Steen",
        "Rembrandt (born 1950)",
        "Rembrandt Peale",
        "Johann Sebastian Bach",
        "",
        None,
    ],
)
def test_nobody_else_is_taken_for_an_artist(creator):
    assert by(creator) == {}


def test_the_title_names_the_composer_where_the_creator_does_not():
    (tags,) = said([recording("r", "x", creator="Some channel", title="Beethoven: Für Elise")], "music")
    assert tags["German"] == ("nationality", "title Ludwig van Beethoven", OF_TITLE)
    assert tags["Romantic"] == ("sub_genre", "title Ludwig van Beethoven", round(SEVERAL_WORDS * OF_TITLE, 2))


@pytest.mark.parametrize(
    ("creator", "title", "origin"),
    [
        ("Ludwig van Beethoven - Topic", "Für Elise", "artists Ludwig van Beethoven"),
        ("Ludwig van Beethoven", "Beethoven: Für Elise", "artists Ludwig van Beethoven"),
        ("Sergei Rachmaninoff", "Chopin - Nocturne op. 9 no. 2", "title Frédéric Chopin"),
        ("Johann Sebastian Bach, Glenn Gould", "Aria", "artists Johann Sebastian Bach"),
    ],
)
def test_a_composer_who_plays_another_one_is_not_the_composer(creator, title, origin):
    (tags,) = said([recording("r", "x", creator=creator, title=title)], "music")
    assert {source for _, source, _ in tags.values()} == {origin}


def test_titles_of_pictures_say_nothing():
    assert said([picture("p", title="Beethoven: a portrait")], "image") == [{}]


def test_every_item_has_its_own_list():
    creators = ["Claude Monet", None, "nobody", "Claude Monet", "Pablo Picasso"]
    items = [picture(f"p{number}", creator=creator) for number, creator in enumerate(creators)]
    assert [bool(tags) for tags in said(items, "image")] == [True, False, False, True, True]


def test_a_table_without_rows_gives_no_lists():
    tags = tags_of(ITEMS.empty_table(), MUSEART18, "music")
    assert len(tags) == 0
    assert tags.type.value_type == DERIVED_TAG


def test_a_rule_set_without_artists_says_nothing():
    assert said([picture("p", creator="Claude Monet")], "image", tiny_rules()) == [{}]


def test_what_the_table_says_decides_only_where_the_source_is_silent():
    known = Artists(entries=(Artist(name="Anna", genre=("Portrait",)),))
    rule_set = tiny_rules().model_copy(update={"artists": known})
    items = items_table([picture("a", creator="Anna"), picture("b", "Poster", creator="Anna")])
    found = fitting(items, rule_set, "image", extra_tags=tags_of(items, rule_set, "image"))
    assert [[fit.label for fit in found.of(row)] for row in range(2)] == [["Faces"], ["Bills"]]
