"""What a rule set knows of artists and composers: artists.csv, for sources that say no more than a name."""

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from rules.reading import Mistake
from rules.spelling import fold
from rules.tables import Row, read_rows, settle

FILE = "artists.csv"
# column -> the kind of tag that it gives
KIND_OF = {
    "nationality": "nationality",
    "movement": "style",
    "genre": "genre",
    "sub_genre": "sub_genre",
    "music_feature": "music_feature",
}
_COLUMNS = ("name", "aliases", "born", "died", *KIND_OF)
_YEAR = re.compile(r"[1-9][0-9]{0,3}")


class Artist(BaseModel):
    """One artist or composer; every word is one of the vocabulary's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    aliases: tuple[str, ...] = ()
    born: int | None = None
    died: int | None = None
    nationality: tuple[str, ...] = ()
    movement: tuple[str, ...] = ()
    genre: tuple[str, ...] = ()
    sub_genre: tuple[str, ...] = ()
    music_feature: tuple[str, ...] = ()


class Artists(BaseModel):
    """The artists table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entries: tuple[Artist, ...] = ()


def read(path: Path, spellings: Mapping[tuple[str, str], str]) -> tuple[Artists, list[Mistake]]:
    """Read the table.

    Args:
        spellings: (kind, folded spelling) -> word of the vocabulary; empty where it could not be read.

    Returns:
        the artists whose names can be used, and what is wrong in the file.
    """
    rows, mistakes = read_rows(path, _COLUMNS, ["name"])
    lines: dict[str, int] = {}
    entries = []
    for row in rows:
        claims = {fold(name): name for name in [row["name"], *row.parts("aliases")]}
        for folded, name in claims.items():
            if not folded:
                mistakes.append(row.mistake(name or "no name", "a name with letters"))
            elif lines.setdefault(folded, row.line) != row.line:
                expected = f"a name of one artist only: it stands on line {lines[folded]} already"
                mistakes.append(row.mistake(name, expected))
        entries.append(_artist(row, spellings, mistakes))
    return Artists(entries=tuple(sorted(entries, key=lambda artist: artist.name))), mistakes


def _artist(row: Row, spellings: Mapping[tuple[str, str], str], mistakes: list[Mistake]) -> Artist:
    born, died = (_year(row, column, mistakes) for column in ("born", "died"))
    if born is not None and died is not None and born >= died:
        mistakes.append(row.mistake(f"{born}, {died}", "a year of birth before that of death"))
    words: dict[str, tuple[str, ...]] = {}
    for column, kind in KIND_OF.items():
        settled = [settle(row, kind, part, spellings, mistakes) for part in row.parts(column)] if spellings else []
        words[column] = tuple(dict.fromkeys(word for word in settled if word))
    return Artist(name=row["name"], aliases=tuple(row.parts("aliases")), born=born, died=died, **words)


def _year(row: Row, column: str, mistakes: list[Mistake]) -> int | None:
    written = row[column]
    if not written:
        return None
    if _YEAR.fullmatch(written):
        return int(written)
    mistakes.append(row.mistake(f"{column}: {written}", "a year of the common era, or nothing"))
    return None
