"""Tags from the artists table: who made an item, by its creator's name or its title, and what that says of it."""

import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pyarrow as pa

from curation import titles
from curation.columns import Ints, flat
from curation.schemas import DERIVED_TAG
from rules.artists import KIND_OF, Artist
from rules.engine import ARTISTS, TITLE
from rules.schema import RuleSet
from rules.spelling import fold

# How sure a table's words are. Where someone is from is a fact. One movement or sub-genre is nearly one; of several,
# any may be the item's: each stays above the usual floor of 0.5, so that the build may choose among them.
SURE, ONE_WORD, SEVERAL_WORDS = 1.0, 0.9, 0.6
# A title names a composer in other roles too: of a theme, a play, a film. The parser avoids those it knows, and none
# of its tests is wrong; of what it does not know, we guess that one title in seven is.
OF_TITLE = 0.85

FIRST_WORKING_AGE, LAST_WORKING_AGE = 20, 80

_TOPIC = re.compile(r" - Topic$")  # a channel that a video site makes for an artist
_YEARS = re.compile(r"\(([^()]*[0-9]{4}[^()]*)\)$")  # "Claude Monet (French, 1840–1926)"
_YEAR = re.compile(r"[0-9]{4}")


def names_of(rule_set: RuleSet, modality: str) -> dict[str, Artist]:
    """Return folded spelling -> artist, of those who make pictures or of those who make music.

    An artist of whom the table says neither a movement or genre nor a sub-genre or feature may make both.
    """
    names = {}
    for artist in rule_set.artists.entries:
        paints, composes = bool(artist.movement or artist.genre), bool(artist.sub_genre or artist.music_feature)
        if paints == composes or (paints if modality == "image" else composes):
            names.update({fold(name): artist for name in (artist.name, *artist.aliases)})
    return names


def tags_of(items: pa.Table, rule_set: RuleSet, modality: str) -> pa.ListArray:
    """Return what the artists table says of each item; nothing where it does not know the creator for certain.

    A composer whom the title names wins over another one who is given as the creator: that one plays.

    Args:
        items: rows of ITEMS of one modality.

    Returns:
        a list of DERIVED_TAG for each item, in the order of items.
    """
    names = names_of(rule_set, modality)
    artists = list(rule_set.artists.entries)
    place = {artist.name: number for number, artist in enumerate(artists)}
    parser = titles.Parser({spelling: artist.name for spelling, artist in names.items()})

    def by_creator(creator: str) -> int:
        artist = _artist(creator, names, several=modality == "music")
        return place[artist.name] if artist else -1

    def by_title(title: str) -> int:
        composer = parser.parse(title).composer
        return place[composer] if composer else -1

    made = _by_distinct(items["creator"], by_creator)
    if modality == "music":
        named = _by_distinct(items["title"], by_title)
        made = np.where((named >= 0) & (named != made), named + len(artists), made)
    spoken, which = np.unique(made, return_inverse=True)
    said = [
        _tags(artists[number % len(artists)], rule_set, modality, number >= len(artists)) if number >= 0 else []
        for number in spoken.tolist()
    ]
    return pa.array(said, pa.list_(DERIVED_TAG)).take(pa.array(which.ravel()))


def _by_distinct(texts: pa.ChunkedArray, number_of: Callable[[str], int]) -> Ints:
    """Return the number of each text, asked for once for each distinct text; -1 for null."""
    encoded = flat(texts).dictionary_encode()
    numbers = np.array([*map(number_of, encoded.dictionary.to_pylist()), -1], np.int64)
    at: Ints = encoded.indices.fill_null(len(numbers) - 1).to_numpy()
    return numbers[at]


def _artist(creator: str, names: Mapping[str, Artist], several: bool) -> Artist | None:
    """Return the artist that a creator's name means, whole: "workshop of" and its like are nobody's name.

    Args:
        several: of several names, one that is known is enough: the others play.
    """
    name = _TOPIC.sub("", creator)
    years: list[str] = []
    if described := _YEARS.search(name):
        years = _YEAR.findall(described[1])
        name = name[: described.start()]
    last, comma, first = name.partition(",")
    found = names.get(fold(name)) or (names.get(fold(f"{first} {last}")) if comma else None)
    if found is None and several:
        parts = {artist.name: artist for part in re.split("[;,/&]", name) if (artist := names.get(fold(part)))}
        found = next(iter(parts.values())) if len(parts) == 1 else None
    if found and years and not {str(found.born), str(found.died)}.intersection(years):
        return None  # another one of that name
    return found


def _tags(artist: Artist, rule_set: RuleSet, modality: str, by_title: bool) -> list[dict[str, object]]:
    factor, origin = (OF_TITLE, TITLE) if by_title else (1.0, ARTISTS)
    said = [*_words(artist, modality), *_centuries(artist, rule_set)]
    return [
        {"kind": kind, "value": word, "source": f"{origin} {artist.name}", "confidence": round(sure * factor, 2)}
        for kind, word, sure in said
    ]


def _words(artist: Artist, modality: str) -> Iterable[tuple[str, str, float]]:
    others = {"sub_genre", "music_feature"} if modality == "image" else {"movement", "genre"}
    for column, kind in KIND_OF.items():
        words = getattr(artist, column) if column not in others else ()
        sure = SURE if kind == "nationality" else ONE_WORD if len(words) == 1 else SEVERAL_WORDS
        yield from ((kind, word, sure) for word in words)


def _centuries(artist: Artist, rule_set: RuleSet) -> Iterable[tuple[str, str, float]]:
    """Yield the centuries of the working life, each with its share of that life as confidence.

    It lasts from the age of 20 to death, or to 80 if that comes first or death is not known.
    """
    if artist.born is None:
        return
    last = min(artist.died or artist.born + LAST_WORKING_AGE, artist.born + LAST_WORKING_AGE)
    first = min(artist.born + FIRST_WORKING_AGE, last)
    for kind, word, begins, ends in rule_set.spans:
        years = min(last, ends) - max(first, begins) + 1
        if kind == "century" and years > 0:
            yield kind, word, years / (last - first + 1)
