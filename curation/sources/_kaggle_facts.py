"""What a data set of Kaggle, the tables in its archive and the names of folders and files say of the members."""

import csv
import functools
import io
import posixpath
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from curation.artists import FIRST_WORKING_AGE, LAST_WORKING_AGE
from curation.errors import ItemError
from curation.sources import UNKNOWN_LICENSE, Facts
from curation.sources import _metadata as metadata
from curation.sources._archive import Archive, Member
from rules.spelling import fold

if TYPE_CHECKING:
    from curation.sources._kaggle_api import DataSet

PAGE = "https://www.kaggle.com/datasets"
MAX_TABLE_BYTES = 64 << 20

# Here the name of the folder that a picture lies in is its style, and its file is called as WikiArt calls it:
# Post_Impressionism/vincent-van-gogh_the-starry-night-1889.jpg
STYLE_FOLDERS = frozenset({"trungit/wikiart25k"})
WIKIART_NAME = re.compile(r"([^_A-Z]+)_([^A-Z]+)")
YEAR_AT_END = re.compile(r"(.+?)-(1[0-9]{3}|20[0-9]{2})(?:-?\([0-9]+\)|-[0-9])?", re.ASCII)
BEFORE_A_YEAR = {"after", "anno", "before", "from", "in", "of", "since", "to", "until", "year"}  # that a title names

ARTISTS = "artists.csv"  # name, years, genre (a movement), nationality: of the artists whose works these are
NUMBER_AT_END = re.compile(r"_[0-9]+$", re.ASCII)  # Vincent_van_Gogh_12
YEAR = re.compile(r"[0-9]{4}", re.ASCII)
FILE_COLUMNS = (*metadata.FILE_COLUMNS, "image", "image_name", "image_path", "file_path", "filepath")
WRITTEN_LIST = re.compile(r"""\s*\[.*\]\s*""")  # as Python writes one: "['Cubism', 'Fauvism']"
IN_QUOTES = re.compile(r"""'([^']*)'|"([^"]*)\"""")

CREATIVE_COMMONS = re.compile(r"\bCC (BY(?:-NC)?(?:-SA|-ND)?) ([0-9]\.[0-9])( IGO)?\b")
LICENSES = {
    "CC0: Public Domain": "CC0-1.0",
    "ODC Public Domain Dedication and Licence (PDDL)": "PDDL-1.0",
    "ODC Attribution License (ODC-By)": "ODC-By-1.0",
    "MIT": "MIT",
    "Apache 2.0": "Apache-2.0",
}


@dataclass(frozen=True, slots=True)
class Artist:
    """One row of artists.csv: what is certain of every work, and all of it as it stands there."""

    facts: Facts
    about: Mapping[str, str]


class Said:
    """What is said of the members of one archive.

    Attributes:
        mistakes: why tables say nothing, by the name of their member.
    """

    def __init__(self, archive: Archive, name: str, data_set: "DataSet | None") -> None:
        self.mistakes: dict[str, ItemError] = {}
        self._of_all = _of_data_set(data_set, name)
        self._about: dict[str, object] = {"dataset": name} | ({"version": data_set.version} if data_set else {})
        self._has_style_folders = name in STYLE_FOLDERS
        self._artists: dict[str, Artist] = {}  # by folded name
        self._files: dict[str, Facts] = {}  # by the path that a table names
        for member in archive.members:
            if is_table(member) and not member.refusal:
                self._read(archive, member)

    def of(self, member: Member) -> tuple[Facts, dict[str, object]]:
        """Return the facts, and what stands beside them."""
        folder, file = posixpath.split(member.name)
        parent, stem = posixpath.basename(folder), posixpath.splitext(file)[0]
        about = self._about | {"folder": folder}
        said = [self._files.get(member.name) or self._files.get(file) or Facts()]
        if artist := self._artist(parent) or self._artist(NUMBER_AT_END.sub("", stem)):
            said.append(artist.facts)
            about["artist"] = artist.about
        if self._has_style_folders and parent:
            said.append(_by_wikiart_name(parent, stem))
        facts = functools.reduce(metadata.merged, [*said, self._of_all])
        return replace(facts, tags=tuple(dict.fromkeys(tag for one in said for tag in one.tags))), about

    def _artist(self, name: str) -> Artist | None:
        return self._artists.get(fold(mended(name)))

    def _read(self, archive: Archive, table: Member) -> None:
        try:
            rows = list(_rows(archive.read(table, MAX_TABLE_BYTES)))
        except ItemError as error:
            self.mistakes[table.name] = ItemError("invalid_metadata", str(error))
            return
        except csv.Error as error:
            self.mistakes[table.name] = ItemError("invalid_metadata", f"expected CSV: {error}")
            return
        if table.name == ARTISTS:
            self._artists = {fold(mended(row["name"])): _artist(row) for row in rows if row.get("name")}
            return
        for row in rows:
            path = next((row[column] for column in FILE_COLUMNS if row.get(column)), "")
            if path and (name := metadata.inside(path)):
                self._files.setdefault(name, _of_row(row))


def is_table(member: Member) -> bool:
    return "/" not in member.name and member.name.lower().endswith(".csv")


def _rows(data: bytes) -> Iterator[dict[str, str]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    lines = csv.reader(io.StringIO(text, newline=""))
    header = [column.strip().lower() for column in next(lines, [])]
    for cells in lines:
        yield dict(zip(header, cells, strict=False))


def _of_row(row: Mapping[str, str]) -> Facts:
    record = {column: _unwritten(text) for column, text in row.items()}
    facts = metadata.as_facts({"year": record.get("date", ""), **record})
    return replace(facts, url=facts.url if re.match("https?://", facts.url) else "")


def _unwritten(text: str) -> str:
    """Return a list that Python wrote as this project's tables write it; other text as it is."""
    if not WRITTEN_LIST.fullmatch(text):
        return text
    return ";".join(one or other for one, other in IN_QUOTES.findall(text))


def _artist(row: Mapping[str, str]) -> Artist:
    """Return what is true of all works of an artist: of several movements, each is only possible."""
    name = metadata.as_text(mended(row["name"]))
    nationalities, movements = (_words(row.get(column, "")) for column in ("nationality", "genre"))
    tags = [("nationality", word) for word in nationalities]
    if len(movements) == 1:
        tags.append(("style", movements[0]))
    if century := _century(row.get("years", "")):
        tags.append(("century", century))
    about = {column: metadata.as_text(row.get(column)) for column in ("name", "years", "genre", "nationality")}
    return Artist(Facts(creator=name, tags=tuple(tags)), {column: text for column, text in about.items() if text})


def _words(text: str) -> list[str]:
    return [word for part in text.split(",") if (word := metadata.as_text(part))]


def _century(years: str) -> str | None:
    """Return the one century in which an artist worked; None if there are several."""
    lived = [int(year) for year in YEAR.findall(years)]
    if len(lived) != 2 or lived[0] >= lived[1]:
        return None
    born, died = lived
    worked = min(born + FIRST_WORKING_AGE, died), min(born + LAST_WORKING_AGE, died)
    first, last = ((year - 1) // 100 + 1 for year in worked)
    return f"{first}{'st' if first == 21 else 'th'} century" if first == last else None


def _by_wikiart_name(folder: str, stem: str) -> Facts:
    facts = Facts(tags=(("style", folder.replace("_", " ")),))
    name = WIKIART_NAME.fullmatch(stem)
    if not name:
        return facts
    creator, title, year = name[1].replace("-", " ").title(), name[2], None
    dated = YEAR_AT_END.fullmatch(title)
    if dated and dated[1].rpartition("-")[2] not in BEFORE_A_YEAR:
        title, year = dated[1], int(dated[2])
    title = metadata.as_text(title.replace("-", " "))
    return replace(facts, creator=metadata.as_text(creator), title=title and title[0].upper() + title[1:], year=year)


def mended(name: str) -> str:
    """Return a name whose UTF-8 was read as code page 437, perhaps twice, as it was: "Du╠êrer" is "Dürer"."""
    try:
        while not name.isascii():
            name = name.encode("cp437").decode()
    except UnicodeError:
        pass
    return unicodedata.normalize("NFC", name)


def _of_data_set(data_set: "DataSet | None", name: str) -> Facts:
    facts = Facts(url=f"{PAGE}/{name}")
    if data_set is None:
        return facts
    title, owner = metadata.as_text(data_set.title), metadata.as_text(data_set.owner_name)
    attribution = f"{title or name}, a data set of {owner or data_set.owner} on Kaggle"
    return replace(facts, license=license_of(data_set.license), attribution=attribution)


def license_of(text: str | None) -> str:
    """Return a license as Kaggle writes it by its SPDX identifier; unknown where it is no license of the contents."""
    text = (text or "").strip()
    if terms := CREATIVE_COMMONS.search(text):
        return f"CC-{terms[1]}-{terms[2]}{'-IGO' if terms[3] else ''}"
    return LICENSES.get(text, UNKNOWN_LICENSE)
