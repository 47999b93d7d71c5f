"""WikiArt and Pinterest on loopback, as gallery-dl meets them, with the fields that artune does not need, too."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from curation.sources import _gallery_dl, pinterest, wikiart
from tests.sites import Answer, Asked, Site

JSON = {"Content-Type": "application/json; charset=utf-8"}
PAGE = {"Content-Type": "text/html; charset=utf-8"}
PER_PAGE = 3

Json = dict[str, Any]


def go_there(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let both sources take an address for theirs, and gallery-dl, which runs as it is, take it for theirs, too."""
    for source in (wikiart, pinterest):
        monkeypatch.setattr(source, "ROOT", url)
    extractors = Path(__file__).parent / "gallery_dl_here"
    monkeypatch.setattr(_gallery_dl, "PROGRAM", (*_gallery_dl.PROGRAM, "--extractors", str(extractors)))
    monkeypatch.setattr(_gallery_dl, "FIRST_RETRY_S", 0.0)
    monkeypatch.setattr(_gallery_dl, "RETRY_AFTER_429_S", 0.01)


def as_json(value: object, status: int = 200) -> Answer:
    return status, JSON, json.dumps(value).encode()


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


# WikiArt


def painting(slug: str, site: Site, **changes: object) -> Json:
    """Give a work as the lists say it, `slug` being `artist/title-year`."""
    artist, title = slug.split("/")
    return {
        "id": _digest(slug)[:24],
        "title": title.replace("-", " ").capitalize(),
        "year": "c.1503 - 1519",
        "width": 634,
        "height": 750,
        "artistName": artist.replace("-", " ").title(),
        "image": f"{site.url}/images/{slug}.jpg",
        "map": "0123**67*",
        "paintingUrl": f"/en/{slug}",
        "artistUrl": f"/en/{artist}",
        "albums": None,
        "flags": 2,
        "images": None,
    } | changes


def artist(slug: str) -> Json:
    return {
        "OriginalArtistName": slug.replace("-", " ").title(),
        "activeYearsCompletion": None,
        "activeYearsStart": None,
        "artistName": slug.replace("-", " ").title(),
        "biography": "Born in [url href=https://www.wikiart.org/en/paintings-by-genre/landscape]Lancashire[/url]. "
        * 50,
        "birthDay": "/Date(-5330448000000)/",
        "birthDayAsString": "February 1, 1801",
        "contentId": 254330,
        "deathDay": "/Date(-3846441600000)/",
        "deathDayAsString": "February 11, 1848",
        "dictonaries": [1368, 11415, 310],
        "gender": "male",
        "image": "https://uploads8.wikiart.org/temp/19f6a140.jpg!Portrait.jpg",
        "lastNameFirst": slug,
        "periodsOfWork": "",
        "relatedArtistsIds": [],
        "series": "The Cross and the World\r\nThe Course of Empire",
        "story": "http://en.wikipedia.org/wiki/Somebody",
        "themes": "",
        "url": slug,
        "wikipediaUrl": "http://en.wikipedia.org/wiki/Somebody",
    }


def artist_entry(slug: str) -> Json:
    return {
        "id": _digest(slug)[:24],
        "title": slug.replace("-", " ").title(),
        "year": "1801 - 1848",
        "nation": "American",
        "image": "https://uploads8.wikiart.org/temp/19f6a140.jpg!PortraitSmall.jpg",
        "artistUrl": f"/en/{slug}",
        "totalWorksTitle": "124 works",
    }


def pages(asked: Asked, items: Sequence[Json], key: str = "Paintings") -> Answer:
    """Answer with one page of a list; the one after the last holds nothing."""
    first = (int(asked.query["page"][0]) - 1) * PER_PAGE
    assert asked.query["json"]
    assert asked.headers["x-requested-with"] == "XMLHttpRequest"
    nothing = dict.fromkeys(("ArtistsHtml", "PaintingsHtml", "PaintingsHtmlBeta", "Paintings", "Artists"))
    counts = {"CanLoadMoreArtists": False, "AllArtistsCount": 0, "AllPaintingsCount": len(items)}
    rest = {"PageSize": PER_PAGE, "TimeLog": None}
    return as_json(nothing | counts | rest | {key: list(items[first : first + PER_PAGE]) or None})


def add_paintings(site: Site, category: str, items: Sequence[Json]) -> None:
    site.routes[f"/en/{category}"] = lambda asked: pages(asked, items)


def add_artists(site: Site, group: str, entries: Sequence[Json], works: Mapping[str, Sequence[Json]]) -> None:
    site.routes[f"/en/App/Search/Artists-by-{group}"] = lambda asked: pages(asked, entries, "Artists")
    for slug, items in works.items():
        site.routes[f"/en/{slug}"] = as_json(artist(slug))
        site.routes[f"/en/{slug}/mode/all-paintings"] = lambda asked, items=items: pages(asked, items)  # type: ignore[misc]


# Pinterest


def signature(pin_id: str) -> str:
    return _digest(f"picture of {pin_id}")


def pin(pin_id: str, site: Site, **changes: object) -> Json:
    sizes = {"236x": (236, 354), "736x": (736, 1104), "orig": (1000, 1500)}
    images = {
        name: {"width": width, "height": height, "url": f"{site.url}/{name.replace('orig', 'originals')}/{pin_id}.jpg"}
        for name, (width, height) in sizes.items()
    }
    return {
        "node_id": "cGluOjExMjU5Njg2NDc3NjE1NjQ=",
        "id": pin_id,
        "type": "pin",
        "access": [],
        "is_promoted": False,
        "promoter": None,
        "promoted_is_lead_ad": False,
        "title": f"Death dealer {pin_id}",
        "grid_title": f"Death dealer {pin_id} - Art blog",
        "description": "Frank Frazetta, oil on board ",
        "alt_text": None,
        "auto_alt_text": "a painting of a horseman",
        "created_at": "Sun, 04 Apr 2021 05:43:58 +0000",
        "dominant_color": "#d5b38d",
        "reaction_counts": {"1": 626, "5": 16},
        "board": {"node_id": "Ym9hcmQ6", "id": "77", "name": "Dark fantasy", "url": "/collector/dark-fantasy/"},
        "pinner": {
            "id": "1126106065277505",
            "username": "collector",
            "full_name": "A Collector",
            "follower_count": 246,
        },
        "native_creator": None,
        "attribution": None,
        "link": f"https://artblog.example/{pin_id}",
        "domain": "artblog.example",
        "link_domain": {"node_id": "ZG9tYWlu", "official_user": None},
        "rich_summary": {
            "site_name": "Art blog",
            "display_name": "Death dealer",
            "type_name": "article",
            "products": [],
        },
        "image_signature": signature(pin_id),
        "image_crop": {"min_y": 0, "max_y": 1},
        "images": images,
        "videos": None,
        "story_pin_data": None,
        "carousel_data": None,
        "embed": None,
        "tracking_params": "CwABAAAAEDMxMjE3Nzk5NTYyMzE1NzUGAAMACAsABwAAAApuZ2FwaS9wcm9kAA",
    } | changes


def board(sections: int = 0, **changes: object) -> Json:
    return {
        "id": "77",
        "name": "Dark fantasy",
        "url": "/collector/dark-fantasy/",
        "description": "",
        "privacy": "public",
        "pin_count": 5,
        "section_count": sections,
        "owner": {"id": "1126106065277505", "username": "collector", "full_name": "A Collector"},
        "images": {"170x": []},
        "collaborator_count": 0,
    } | changes


def section() -> Json:
    return {
        "id": "88",
        "slug": "covers",
        "title": "Covers",
        "type": "board_section",
        "pin_count": 2,
        "preview_pins": [],
        "user": {"id": "1126106065277505"},
        "board": board(1),
    }


class Pinterest:
    """The resources of a Pinterest that has one board with one section, and answers every search alike."""

    def __init__(self, site: Site, pins: Sequence[Json], of_section: Sequence[Json] = ()) -> None:
        self.pins, self.of_section = pins, of_section
        for name in ("Board", "BoardFeed", "BoardSections", "BoardSection", "BoardSectionPins", "BaseSearch"):
            site.routes[f"/resource/{name}Resource/get/"] = partial(self.answer, name=name)

    def answer(self, asked: Asked, name: str) -> Answer:
        options = json.loads(asked.query["data"][0])["options"]
        data: Any
        match name:
            case "Board":
                data = board(1 if self.of_section else 0)
            case "BoardSection":
                data = section()
            case "BoardSections":
                data = self._page(options, [section()])
            case "BoardSectionPins":
                data = self._page(options, self.of_section)
            case "BoardFeed":
                data = self._page(options, self.pins)
            case _:
                data = {"nag": {}, "should_append_global_search": False, "results": self._page(options, self.pins)}
        return as_json(
            {
                "resource_response": {
                    "status": "success",
                    "code": 0,
                    "message": "ok",
                    "endpoint_name": f"v3_{name}",
                    "data": data,
                    "http_status": 200,
                },
                "client_context": {"analysis_ua": {"app_type": 5}, "is_authenticated": False, "locale": "en-US"},
                "resource": {"name": f"{name}Resource", "options": options},
                "request_identifier": "3121779956231575",
            }
        )

    @staticmethod
    def _page(options: Json, items: Sequence[Json]) -> list[Json]:
        """Return one page, and write where the next begins."""
        first = int((options.get("bookmarks") or ["0"])[0])
        after = first + PER_PAGE
        options["bookmarks"] = [str(after) if after < len(items) else "-end-"]
        return list(items[first:after])
