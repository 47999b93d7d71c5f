"""Pinterest boards, their sections, and searches. gallery-dl reads the lists.

A pin is somebody's bookmark: what it says of the work is hearsay, and only its link leads to where the picture is from.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import quote

from curation.errors import ItemError, attempt
from curation.sources import UNKNOWN_LICENSE, Facts, Found, Need, Tools
from curation.sources import _gallery_dl as gallery_dl
from curation.sources._gallery_dl import text, value
from rules.collecting import Query

ROOT = "https://www.pinterest.com"
HOMEPAGE = f"{ROOT}/"
LICENSE = UNKNOWN_LICENSE
TERMS = (
    "Pinterest's terms of service hold, which do not allow automated collecting without its permission: ask for that "
    "first. A picture belongs to the site that its pin links to, or to an artist: pass on its address, not the picture."
)
RATES = {"www.pinterest.com": 0.5, "i.pinimg.com": 4.0}

FORMS = "board: user/board, section: user/board/section, or search: words"
_PARTS = {"board": 2, "section": 3}
_NO_USERS, _NO_BOARDS = (
    {"pin", "search"},
    {"_created", "_saved", "pins"},
)  # what is no board, gallery-dl reads otherwise
_RESOURCES = {
    "board": ("Board", "BoardFeed"),
    "section": ("BoardSection", "BoardSectionPins"),
    "search": ("BaseSearch",),
}
_FIELDS = (
    "id",
    "type",
    "title",
    "grid_title",
    "description",
    "alt_text",
    "created_at",
    "link",
    "domain",
    "attribution",
    "board",
    "section",
    "pinner",
    "is_promoted",
    "promoter",
    "image_signature",
    "images",
    "videos",
    "story_pin_data",
    "carousel_data",
)


def needs() -> Sequence[Need]:
    """Return gallery-dl; what is public needs no login, and artune uses none."""
    return gallery_dl.needs()


def check(query: Query) -> None:
    """Raise ValueError with the forms that are expected, if there can be no such list."""
    parts = query.text.split("/")
    is_path = len(parts) == _PARTS.get(query.kind) and all(part.strip() not in ("", ".", "..") for part in parts)
    is_reserved = is_path and (parts[0].strip().lower() in _NO_USERS or parts[1].strip().lower() in _NO_BOARDS)
    if (not is_path or is_reserved) and not (query.kind == "search" and query.text.strip()):
        raise ValueError(f"expected {FORMS}")


def found(query: Query, tools: Tools) -> Iterator[Found]:
    """Yield the pins of a list; a board's are followed by those of its sections.

    Raises:
        ItemError: the list cannot be had, or not all of it.
        ConfigurationError: gallery-dl is missing.
    """
    check(query)
    path = f"search/pins/?q={quote(query.text, safe='')}" if query.kind == "search" else f"{quote(query.text)}/"
    tools.web.permit(f"{ROOT}/{path}")
    for resource in _RESOURCES[query.kind]:
        tools.web.permit(f"{ROOT}/resource/{resource}Resource/get/")
    for pin in gallery_dl.rows("pinterest", f"{ROOT}/{path}", "post", _FIELDS, tools):
        yield from _found(pin)


def _found(pin: Mapping[str, object]) -> Iterator[Found]:
    """Yield the picture of a pin, or each of a carousel."""
    source_id = text(pin, "id")
    if not source_id:
        raise ItemError("changed_site", "a pin of the list has no id")
    original = attempt(partial(gallery_dl.address, pin, "images", "orig", "url"))
    item = Found(
        source_id=source_id,
        address=original if isinstance(original, str) else "",
        facts=_facts(pin, source_id),
        state=text(pin, "image_signature") or "",
        about=_about(pin),
        refusal=_refusal(pin, original),
    )
    slots = value(pin, "carousel_data", "carousel_slots")
    if item.refusal or not slots or not isinstance(slots, list):
        yield item
        return
    for slot in slots:
        name, picture = text(slot, "media_id"), attempt(partial(gallery_dl.address, slot, "url"))
        if not name or not picture:
            raise ItemError("changed_site", f"a picture of the carousel {source_id} has no id or no address")
        yield replace(
            item,
            source_id=f"{source_id}-{name}",
            address="" if isinstance(picture, ItemError) else picture,
            state="",
            refusal=picture if isinstance(picture, ItemError) else None,
        )


def _facts(pin: Mapping[str, object], source_id: str) -> Facts:
    """Return what a pin says of the work; its pinner is no artist, only an attribution names one."""
    creator, provider = text(pin, "attribution", "author_name"), text(pin, "attribution", "provider_name")
    tags = {
        "board": text(pin, "board", "name"),
        "section": text(pin, "section", "title"),
        "description": text(pin, "description"),
    }
    return Facts(
        url=f"{HOMEPAGE}pin/{quote(source_id, safe='')}/",
        title=text(pin, "title") or text(pin, "grid_title") or text(pin, "attribution", "title"),
        creator=creator,
        attribution=", ".join(part for part in (creator, provider) if part) or None,
        tags=tuple((kind, words) for kind, words in tags.items() if words),  # kinds that no rule asks for
    )


def _about(pin: Mapping[str, object]) -> dict[str, object]:
    """Return where a pin is from."""
    about = {
        "link": text(pin, "link"),  # where the picture is from
        "domain": text(pin, "domain"),
        "board": text(pin, "board", "name"),
        "board_page": text(pin, "board", "url"),
        "section": text(pin, "section", "title"),
        "description": text(pin, "description"),
        "alt_text": text(pin, "alt_text"),
        "pinner": text(pin, "pinner", "username"),
        "pinned_at": text(pin, "created_at"),
        "attribution_page": text(pin, "attribution", "url"),
    }
    return {name: said for name, said in about.items() if said}


def _refusal(pin: Mapping[str, object], original: str | ItemError) -> ItemError | None:
    if pin.get("is_promoted") or pin.get("promoter"):
        return ItemError("not_media", "a promoted pin: an advertisement, not a part of the list")
    if pin.get("videos") or any(_is_video(block) for block in _blocks(pin)):
        return ItemError("not_media", "a video pin")
    if isinstance(original, ItemError):
        return original
    if not original:
        return ItemError("not_media", f"no picture in it: its type is {text(pin, 'type') or 'unknown'}")
    return None


def _blocks(pin: Mapping[str, object]) -> Iterator[object]:
    """Yield the parts of a pin that is a story of several pages."""
    for pages in (value(pin, "story_pin_data", "pages"), value(pin, "story_pin_data", "pages_preview")):
        for page in pages if isinstance(pages, list) else ():
            blocks = value(page, "blocks")
            yield from blocks if isinstance(blocks, list) else ()


def _is_video(block: object) -> bool:
    return value(block, "type") == "story_pin_video_block" or value(block, "video") is not None
