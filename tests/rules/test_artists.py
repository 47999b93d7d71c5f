"""The artists table: what is refused at its line, and that the table of museart18 is plausible."""

import pytest

import rules
from tests.rules.tiny import mistakes, write

HEAD = "name,aliases,born,died,nationality,movement,genre,sub_genre,music_feature\n"
MUSEART18 = rules.load("museart18")
TABLE = MUSEART18.artists.entries
LONGEST_LIFE = 105  # years; nobody in the table has lived longer


def test_words_become_those_of_the_vocabulary(tmp_path):
    text = "# facts\nname,nationality,movement,born,genre\n\nAnna,japaneses,cubism,1900,marina; Poster\n"
    (write(tmp_path) / "artists.csv").write_text(text)
    (artist,) = rules.load(str(tmp_path)).artists.entries
    assert artist.model_dump(exclude_defaults=True) == {
        "name": "Anna",
        "born": 1900,
        "nationality": ("Japanese",),
        "movement": ("Cubism",),
        "genre": ("Marine painting", "Poster"),
    }


def test_the_table_counts_in_the_digest_but_not_its_order(tmp_path):
    digests = []
    for number, rows in enumerate(["", "A,,,,,,,,\nB,,,,,,,,\n", "B,,,,,,,,\nA,,,,,,,,\n"]):
        folder = write(tmp_path / str(number))
        (folder / "artists.csv").write_text(HEAD + rows)
        digests.append(rules.load(str(folder)).digest)
    assert digests[0] != digests[1] == digests[2]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("A,,,,,Kubism,,,", "Kubism: expected a style of vocabulary.yaml; did you mean Cubism?"),
        ("A,,1900,1900,,,,,", "1900, 1900: expected a year of birth before that of death"),
        ("A,,c. 1900,,,,,,", "born: c. 1900: expected a year of the common era, or nothing"),
        (",B,1900,,,,,,", "no name: expected a name with letters"),
        ("A,B;...,,,,,,,", "...: expected a name with letters"),
        ("A,,,,,,,", "8 cells: expected 9, as in the first line; quote a comma"),
    ],
)
def test_a_mistake_is_named_at_its_line(tmp_path, row, expected):
    (write(tmp_path) / "artists.csv").write_text(f"{HEAD}{row}\n")
    assert mistakes(tmp_path) == [f"artists.csv:2: {expected}"]


def test_a_name_means_one_artist(tmp_path):
    (write(tmp_path) / "artists.csv").write_text(f"{HEAD}Zoë,Z.,,,,,,,\nZoe,,,,,,,,\n")
    assert mistakes(tmp_path) == ["artists.csv:3: Zoe: expected a name of one artist only: it stands on line 2 already"]


def test_lives_have_a_plausible_length():
    lives = {artist.name: artist.died - artist.born for artist in TABLE if artist.born and artist.died}
    assert {name: years for name, years in lives.items() if not 20 < years < LONGEST_LIFE} == {}


# kind of word -> the years in which such works were made: an artist alive in none of them is a mistake
_TIMES = {
    "Proto-Renaissance": (1240, 1410),
    "Early Renaissance": (1400, 1530),
    "High Renaissance": (1480, 1580),
    "Late Renaissance": (1520, 1630),
    "Northern Renaissance": (1450, 1620),
    "Flemish school": (1400, 1600),
    "Baroque": (1580, 1770),
    "Rococo": (1700, 1830),
    "Neoclassicism": (1750, 1860),
    "Romanticism": (1780, 1910),
    "Impressionism": (1860, 1950),
    "Post-Impressionism": (1880, 1950),
    "Expressionism": (1885, 2020),
    "Surrealism": (1920, 2030),
    "Cubism": (1907, 1980),
    "Pop art": (1950, 2030),
    "Pre-Renaissance": (1100, 1460),
    "Flemish": (1410, 1700),
    "Renaissance": (1480, 1650),
    "Classical": (1730, 1840),
    "Romantic": (1800, 1900),
    "Late Romantic": (1850, 1950),
    "Traditional 20th century": (1900, 2000),
    "Experimental early 20th century": (1900, 1975),
    "Experimental 20th century": (1930, 2030),
    "Jazz": (1915, 2030),
}


@pytest.mark.parametrize("word", _TIMES)
def test_artists_worked_in_the_time_of_their_words(word):
    first, last = _TIMES[word]
    of_word = [a for a in TABLE if word in (*a.movement, *a.sub_genre) and a.born]
    working = [(a.name, a.born + 15, a.died or a.born + 80) for a in of_word]
    assert of_word
    assert [name for name, begin, end in working if end < first or begin > last] == []


def test_the_table_serves_every_label_and_sub_genre():
    said = {word for artist in TABLE for word in artist.sub_genre}
    assert {name for _, name in MUSEART18.quotas} - said == set()
    painters = [artist for artist in TABLE if artist.movement or artist.genre]
    composers = [artist for artist in TABLE if artist.sub_genre]
    assert len(painters) > 350
    assert len(composers) > 250


def test_every_artist_has_a_nationality():
    assert [artist.name for artist in TABLE if not artist.nationality] == []
