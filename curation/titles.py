"""Composer, work and performer from the titles of recordings, as they stand on video sites and in tags.

Says nothing rather than something wrong. Every step looks at each character a bounded number of times.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from rules.spelling import fold

MAX_CHARS = 500  # longer ones are descriptions
MAX_NAME_WORDS = 6

# Spaces are single by then, so that no run of them is looked at twice.
_SEPARATOR = re.compile(r" [-/•·]+ |[–—:|~]")
_ASIDE = re.compile(r"\(([^()]*)\)|\[([^\[\]]*)\]")
_PLAYS = re.compile(r" (?:plays|spielt|joue|suona|conducts|dirigiert|sings|singt|chante) ", re.IGNORECASE)
_BY = re.compile(r"(?:^| )(performed |played |sung |conducted |arranged |recorded |covered |cover )?by ", re.IGNORECASE)
_PERFORMED = {"performed ", "played ", "sung ", "conducted "}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What follows is compared with folded text: no accents, capitals or punctuation.
_FORMS = _words(
    """
    symphony symphonies symphonie sinfonia sinfonie simfonia sonata sonatas sonate sonaten sonatina sonatine concerto
    concertos concerti concertino konzert quartet quartets quartett quatuor quartetto quintet quintett sextet octet
    trio suite suites partita partitas prelude preludes praeludium praludium fugue fugues fuga fuge toccata fantasia
    fantasie fantaisie variation variations variationen variazioni nocturne nocturnes notturno etude etudes waltz
    waltzes walzer valse valses mazurka mazurkas polonaise polonaises ballade ballades scherzo impromptu impromptus
    rhapsody rhapsodie serenade serenata serenata divertimento cantata kantate cantate mass messe missa requiem motet
    motets magnificat gloria stabat deum oratorio aria lied lieder overture ouverture minuet menuett menuet gavotte
    bourree sarabande gigue courante allemande chaconne ciaccona passacaglia adagio adagietto andante allegro
    allegretto largo larghetto presto moderato rondo bagatelle bagatelles intermezzo capriccio caprice caprices canon
    invention inventions ricercar madrigal madrigals chorale choral arabesque gymnopedie gymnopedies gnossienne
    gnossiennes barcarolle berceuse tarantella tombeau czardas
    соната симфония концерт ноктюрн прелюдия прелюд фуга реквием вальс этюд увертюра сюита
    """
)
_CATALOGS = _words("op opus no nr bwv kv k d rv hwv hob woo buxwv twv s wq l sz")
_KEYS = _words("major minor dur moll majeur mineur maggiore minore mayor menor")
_INSTRUMENTS = _words(
    """
    piano violin viola cello flute oboe clarinet bassoon horn trumpet trombone organ harp harpsichord guitar lute
    string strings orchestral wind brass keyboard klavier violin violoncello double choral brandenburg goldberg
    """
)
# One of these and the music is by somebody else, or there is none.
_TRAPS = _words(
    """
    tribute tributes homage hommage omaggio hommages inspired recomposed remix remixed mashup remedy remedies rescue
    playlist mix reaction reacts tutorial lesson masterclass lecture explained analysis documentary doku biography
    biographie film movie trailer episode podcast interview quiz effect effekt karaoke metal rock jazz techno dubstep
    lofi edm beatbox rap swing salsa synthwave electro disco trap story life doodle vs versus review unboxing cover
    covers style parody parodie hotel street train museum museo recipe news audiobook horbuch
    """
)
_THEMES = _words("theme thema tema")  # by one composer, in the work of another
_TRAP_PHRASES = (" lo fi ", " 8 bit ", " hip hop ", " how to ", " who was ")
_ENSEMBLES = _words(
    """
    orchestra orchestre orchester orchestr orquesta orkest philharmonic philharmonia philharmoniker filarmonica
    philharmonisches ensemble choir chor choeur chorus coro consort singers quartetto players sinfonietta camerata
    academy staatskapelle kammerorchester symphoniker concertgebouworkest
    """
)
# Names alone would not tell a performer from a nickname of the work ("Morning Mood"): these are known ones.
_NAMES = """
Alfred Brendel, Alfred Cortot, Alicia de Larrocha, András Schiff, Andrés Segovia, Angela Hewitt, Anna Netrebko,
Anne-Sophie Mutter, Arthur Rubinstein, Artur Rubinstein, Arthur Grumiaux, Arturo Benedetti Michelangeli, Arturo
Toscanini, Bruno Walter, Carlos Kleiber, Cecilia Bartoli, Christian Zacharias, Claudio Abbado, Claudio Arrau,
Daniel Barenboim, Daniil Trifonov, David Oistrakh, Dietrich Fischer-Dieskau, Dinu Lipatti, Emil Gilels, Enrico
Caruso, Eugene Ormandy, Evgeny Kissin, Fritz Reiner, Georg Solti, George Szell, Gidon Kremer, Glenn Gould, Grigory
Sokolov, Gustav Leonhardt, Hélène Grimaud, Herbert von Karajan, Hilary Hahn, Il Giardino Armonico, Isaac Stern,
Itzhak Perlman, Jacqueline du Pré, Janine Jansen, Jascha Heifetz, John Eliot Gardiner, Jordi Savall, Julian Bream,
Karl Böhm, Karl Richter, Khatia Buniatishvili, Krystian Zimerman, Lang Lang, Leif Ove Andsnes, Leonard Bernstein,
Luciano Pavarotti, Maria Callas, Maria João Pires, Mariss Jansons, Martha Argerich, Maurizio Pollini, Mischa
Maisky, Mitsuko Uchida, Mstislav Rostropovich, Murray Perahia, Neville Marriner, Nikolaus Harnoncourt, Otto
Klemperer, Pablo Casals, Pierre Boulez, Pierre Fournier, Plácido Domingo, Renée Fleming, Riccardo Muti, Seong-Jin
Cho, Simon Rattle, Sviatoslav Richter, The Hilliard Ensemble, The Tallis Scholars, Ton Koopman, Trevor Pinnock,
Valentina Lisitsa, Valery Gergiev, Vladimir Ashkenazy, Vladimir Horowitz, Wilhelm Furtwängler, Wilhelm Kempff,
William Christie, Yehudi Menuhin, Yo-Yo Ma, Yuja Wang
"""
_PERFORMERS = {fold(name): name for name in " ".join(_NAMES.split()).split(", ")}


@dataclass(frozen=True, slots=True)
class Piece:
    """What a title says; None where it does not say so clearly.

    Attributes:
        composer: a value of the names it was parsed with.
        work: in the words of the title.
        performer: in the usual spelling where it is a known one.
    """

    composer: str | None = None
    work: str | None = None
    performer: str | None = None


class Parser:
    """Reads titles.

    A composer is taken at its word in these places only: alone between separators ("Bach - Air", "Air (J. S. Bach)"),
    before a comma or directly before the form of the work ("Chopin, Nocturne", "Mozart Requiem"), after "by" or
    "plays". Two composers in one title, and words such as "tribute", say nothing.

    Args:
        names: folded spelling -> composer; see `rules.spelling.fold`.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._last_words = frozenset(spelling.split()[-1] for spelling in names)

    def parse(self, title: str) -> Piece:
        """Return composer, work and performer of a recording's title."""
        text = " ".join(unicodedata.normalize("NFKC", title[:MAX_CHARS]).split())
        folded = fold(text)
        words = folded.split()
        if self._last_words.isdisjoint(words) or not _TRAPS.isdisjoint(words):
            return Piece()
        if any(phrase in f" {folded} " for phrase in _TRAP_PHRASES):
            return Piece()
        asides = [_bare("".join(found)) for found in _ASIDE.findall(text)]
        segments = [_bare(part) for part in _SEPARATOR.split(" ".join(_ASIDE.sub(" ", text).split()))]
        parts = [part for part in [*segments, *asides] if part]
        if len(parts) == 1 and fold(parts[0]) in self._names:
            return Piece()  # a name alone may be a film, a cat or a channel
        found = {part: said for part in parts if (said := self._composer(part))}
        composers = {composer for composer, _ in found.values()}
        if len(composers) != 1 or not any(part == parts[0] or _is_sure(part, words) for part in found):
            return Piece()
        performers = {part: name for part in parts if (name := _performer(part))}
        works = [found[part][1] if part in found else part for part in parts if part in found or part not in performers]
        return Piece(composers.pop(), next(filter(None, works), None), next(iter(performers.values()), None))

    def _composer(self, part: str) -> tuple[str, str] | None:
        """Return the composer that a part of a title names and what it says of the work."""
        words = fold(part).split()
        if self._last_words.isdisjoint(words):
            return None
        if name := self._names.get(" ".join(words)):
            return name, ""
        before, comma, after = part.partition(",")
        if comma and (name := self._names.get(fold(f"{after} {before}"))):
            return name, ""
        if comma and (name := self._names.get(fold(before))) and _has_sign(fold(after).split()):
            return name, _bare(after)
        if plays := _PLAYS.search(part):
            return self._composer(part[plays.end() :])
        by = next((found for found in reversed(list(_BY.finditer(part))) if not found[1]), None)
        if by and _THEMES.isdisjoint(words) and (name := self._names.get(fold(part[by.end() :]))):
            return name, _bare(part[: by.start()])
        return self._before_a_form(part, words)

    def _before_a_form(self, part: str, words: list[str]) -> tuple[str, str] | None:
        """Read "Mozart Requiem" and "Beethoven's Symphony No. 5": the word after the name must belong to a work."""
        for count in range(min(MAX_NAME_WORDS, len(words) - 1), 0, -1):
            if name := self._names.get(" ".join(words[:count])):
                owns = words[count] == "s"
                rest = words[count + owns :]
                return (name, _ending(part, len(rest))) if _begins_a_work(rest) else None
        return None


def _bare(text: str) -> str:
    return text.strip(" ,.;\"'“”„«»")


def _ending(text: str, count: int) -> str:
    """Return the end of a text that folds to so many words."""
    tokens = text.split(" ")
    while len(fold(" ".join(tokens)).split()) > count:
        del tokens[0]
    return " ".join(tokens)


def _begins_a_work(words: list[str]) -> bool:
    begins = words and (words[0] in _FORMS or words[0] in _INSTRUMENTS or _has_sign(words[:2]))
    return bool(begins) and _has_sign(words)


def _is_sure(part: str, words: list[str]) -> bool:
    """Say whether a name that does not lead a title can be meant: one of several words, or beside a work's form."""
    return len(fold(part).split()) > 1 or _has_sign(words)


def _has_sign(words: list[str]) -> bool:
    """Say whether the words hold the form of a work, its number in a catalog, or a key."""
    if not _FORMS.isdisjoint(words) or not _KEYS.isdisjoint(words):
        return True
    after = [*words[1:], ""]
    return any(
        (word in _CATALOGS and number[:1].isdigit()) or (word[-1:].isdigit() and word.rstrip("0123456789") in _CATALOGS)
        for word, number in zip(words, after, strict=True)
    )


def _performer(part: str) -> str | None:
    """Return the performer that a part of a title names: a known one, an ensemble, or one who "plays"."""
    if plays := _PLAYS.search(part):
        return _PERFORMERS.get(fold(part[: plays.start()]), _bare(part[: plays.start()]))
    said = [found for found in _BY.finditer(part) if (found[1] or "").casefold() in _PERFORMED]
    if said:
        part = part[said[-1].end() :]
        return _PERFORMERS.get(fold(part), _bare(part)) or None
    words = fold(part).split()
    if not _ENSEMBLES.isdisjoint(words) and not _has_sign(words):
        return part
    before, comma, _ = part.partition(",")  # "Yo-Yo Ma, cello"
    return _PERFORMERS.get(fold(before if comma else part))
