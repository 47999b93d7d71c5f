"""WikiArt, by category: style, genre, nation, century, school. gallery-dl reads the lists.

A list names no style or genre of a work, so what is known of a work is the union of the lists that it was found in.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from curation.errors import ItemError, attempt
from curation.sources import UNKNOWN_LICENSE, Facts, Found, Need, Tools
from curation.sources import _gallery_dl as gallery_dl
from curation.sources._gallery_dl import text
from curation.sources._metadata import as_year
from rules.collecting import Query

ROOT = "https://www.wikiart.org"
HOMEPAGE = f"{ROOT}/"
LICENSE = UNKNOWN_LICENSE
TERMS = (
    "WikiArt's terms of use hold for its texts and scans, and each work has rights of its own: many are in the public "
    "domain, others are shown as fair use, and the lists do not say which. Good for study; before you pass a picture "
    "on, look at its page."
)
RATES = {"www.wikiart.org": 1.0, ".wikiart.org": 4.0}  # pages, and uploads1 to uploads9 with the pictures
LISTS_ADD_UP = True

FORMS = "category: paintings-by-style/baroque, or artists-by-nation/chinese"
_CATEGORY = re.compile(r"(?:paintings|artists)-by-[a-z-]+/[\w-]+", re.ASCII)
_SMALLER = re.compile(r"(\.\w{3,4})!\w+\.\w{3,4}$", re.ASCII)  # x.jpg!Large.jpg is made of the original x.jpg
_FIELDS = ("id", "title", "year", "width", "height", "artistName", "artistUrl", "paintingUrl", "image", "artist")


def needs() -> Sequence[Need]:
    """Return gallery-dl."""
    return gallery_dl.needs()


def check(query: Query) -> None:
    """Raise ValueError with the forms that are expected, if there can be no such list."""
    if query.kind != "category" or not _CATEGORY.fullmatch(query.text):
        raise ValueError(f"expected {FORMS}")


def found(query: Query, tools: Tools) -> Iterator[Found]:
    """Yield the works of a category, or all works of the artists of one.

    Raises:
        ItemError: the list cannot be had, or not all of it.
        ConfigurationError: gallery-dl is missing.
    """
    check(query)
    address = f"{ROOT}/en/{query.text}"
    tools.web.permit(_asked_first(query.text))
    is_empty = True
    for row in gallery_dl.rows("wikiart", address, "prepare", _FIELDS, tools):
        is_empty = False
        yield _found(row)
    if is_empty:
        raise ItemError("gone", f"no work stands in {address}: it is not called so, or no more")


def _asked_first(category: str) -> str:
    """Return what gallery-dl asks for: robots.txt may treat it otherwise than the page that a person opens."""
    what, _, group = category.partition("/")[0].partition("-by-")
    return f"{ROOT}/en/{category}?json=2" if what == "paintings" else f"{ROOT}/en/App/Search/Artists-by-{group}?json=3"


def _found(row: Mapping[str, object]) -> Found:
    source_id, page = text(row, "id"), text(row, "paintingUrl")
    if not source_id:
        raise ItemError("changed_site", "a work of the list has no id")
    about = {
        "date": text(row, "year"),
        "artist_page": text(row, "artistUrl"),
        "artist_born": text(row, "artist", "birthDayAsString"),
        "artist_died": text(row, "artist", "deathDayAsString"),
    }
    image = attempt(partial(gallery_dl.address, row, "image")) or ItemError("changed_site", "no picture of it is named")
    sides = text(row, "width"), text(row, "height")
    return Found(
        source_id=source_id,
        address=_SMALLER.sub(r"\1", image) if isinstance(image, str) else "",
        facts=Facts(
            url=HOMEPAGE + (page or "").lstrip("/"),  # wherever the list would lead to, it is a page of WikiArt
            title=text(row, "title"),
            creator=text(row, "artistName"),
            year=as_year(text(row, "year")),
        ),
        state="x".join(side for side in sides if side),
        about={name: said for name, said in about.items() if said},
        refusal=image if isinstance(image, ItemError) else None,
    )
