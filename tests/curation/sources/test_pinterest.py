"""Pinterest's boards, sections and searches by the real gallery-dl, from a Pinterest on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import ItemError, attempt
from curation.sources import Found, Tools, _gallery_dl, pinterest
from curation.store import Home
from rules.collecting import Query
from tests import gallery_sites as sites
from tests.gallery_sites import PAGE, Pinterest, pin
from tests.sites import Answer, Asked, Site, busy, redirect

FEED = "/resource/BoardFeedResource/get/"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with Site() as site:
        sites.go_there(site.url, monkeypatch)
        yield site


@pytest.fixture
def tools(site: Site, tmp_path: Path) -> Tools:
    return Tools(Home(tmp_path), site.web())


def found(tools: Tools, kind: str = "board", text: str = "collector/dark-fantasy") -> Iterator[Found]:
    return pinterest.found(Query("pinterest", kind, text), tools)


def pins(site: Site, number: int, first: int = 0) -> list[sites.Json]:
    return [pin(str(1000 + first + number), site) for number in range(number)]


def options(asked: Asked) -> dict[str, object]:
    return json.loads(asked.query["data"][0])["options"]  # type: ignore[no-any-return]


def test_a_board_is_read_page_by_page_and_then_its_sections(site: Site, tools: Tools) -> None:
    own, of_section = pins(site, 7), pins(site, 4, first=100)
    Pinterest(site, own, of_section)
    listed = list(found(tools))
    assert [item.source_id for item in listed] == [item["id"] for item in own + of_section]
    assert {dict(item.facts.tags).get("section") for item in listed[:7]} == {None}
    assert {dict(item.facts.tags).get("section") for item in listed[7:]} == {"Covers"}
    feeds = [options(asked) for asked in site.media_requests if asked.path == FEED]
    assert [feed["bookmarks"] for feed in feeds] == [None, ["3"], ["6"]]


def test_a_section_is_read_alone(site: Site, tools: Tools) -> None:
    of_section = pins(site, 4)
    Pinterest(site, pins(site, 2, first=100), of_section)
    listed = list(found(tools, "section", "collector/dark-fantasy/covers"))
    assert [item.source_id for item in listed] == [item["id"] for item in of_section]
    assert options(site.media_requests[0])["section_slug"] == "covers"


@pytest.mark.parametrize("words", ["heavy metal album cover art", "Motörhead & friends #1 100% 50/50?", "-x"])
def test_a_search_asks_for_just_these_words(site: Site, tools: Tools, words: str) -> None:
    Pinterest(site, pins(site, 4))
    listed = list(found(tools, "search", words))
    assert len(listed) == 4
    assert {options(asked)["query"] for asked in site.media_requests} == {words}
    assert dict(listed[0].facts.tags)["board"] == "Dark fantasy"


def test_names_of_a_board_are_those_of_the_board(site: Site, tools: Tools) -> None:
    Pinterest(site, pins(site, 1))
    assert len(list(found(tools, "board", "käthe/ünder 100%"))) == 1
    asked = options(site.media_requests[0])
    assert (asked["username"], asked["slug"]) == ("käthe", "ünder 100%")


def test_an_empty_board_is_a_list(site: Site, tools: Tools) -> None:
    Pinterest(site, [])
    assert list(found(tools)) == []


def test_a_pin_says_where_it_is_from_and_who_pinned_is_no_artist(site: Site, tools: Tools) -> None:
    Pinterest(site, [pin("1001", site)])
    (item,) = found(tools)
    assert item.address == f"{site.url}/originals/1001.jpg"
    assert item.facts.url == "https://www.pinterest.com/pin/1001/"
    assert (item.facts.title, item.facts.creator, item.facts.license) == ("Death dealer 1001", None, "unknown")
    assert item.facts.tags == (("board", "Dark fantasy"), ("description", "Frank Frazetta, oil on board"))
    assert item.state == sites.signature("1001")
    assert item.about == {
        "link": "https://artblog.example/1001",
        "domain": "artblog.example",
        "board": "Dark fantasy",
        "board_page": "/collector/dark-fantasy/",
        "description": "Frank Frazetta, oil on board",
        "pinner": "collector",
        "pinned_at": "Sun, 04 Apr 2021 05:43:58 +0000",
    }


def test_an_attribution_names_the_artist(site: Site, tools: Tools) -> None:
    attribution = {
        "author_name": "Frank Frazetta",
        "author_url": "https://deviantart.example/frazetta",
        "provider_name": "deviantart",
        "title": "Death Dealer",
        "url": "https://deviantart.example/art/1",
    }
    Pinterest(site, [pin("1001", site, attribution=attribution, title="", grid_title="")])
    (item,) = found(tools)
    assert (item.facts.title, item.facts.creator) == ("Death Dealer", "Frank Frazetta")
    assert item.facts.attribution == "Frank Frazetta, deviantart"
    assert item.about["attribution_page"] == "https://deviantart.example/art/1"


def story(block: dict[str, object]) -> dict[str, object]:
    return {"id": "5", "page_count": 1, "pages": [{"id": "6", "blocks": [block]}], "pages_preview": []}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_promoted": True}, "not_media"),
        ({"promoter": {"username": "shop"}}, "not_media"),
        ({"videos": {"video_list": {"V_720P": {"url": "https://v.pinimg.com/1.mp4", "width": 720}}}}, "not_media"),
        ({"story_pin_data": story({"type": "story_pin_video_block", "video": {"video_list": {}}})}, "not_media"),
        ({"story_pin_data": {"pages_preview": [{"blocks": [{"type": "story_pin_video_block"}]}]}}, "not_media"),
        ({"images": None}, "not_media"),
        ({"images": {"236x": {"url": "https://i.pinimg.com/236x/1.jpg"}}}, "not_media"),
        ({"type": "story", "images": {}, "title": "More like this"}, "not_media"),
        ({"story_pin_data": story({"type": "story_pin_image_block", "image": {}})}, None),
        ({"story_pin_data": "of another form", "carousel_data": {"carousel_slots": []}}, None),
    ],
)
def test_what_is_no_picture_is_refused(
    site: Site, tools: Tools, changes: dict[str, object], reason: str | None
) -> None:
    Pinterest(site, [pin("1001", site, **changes), pin("1002", site)])
    first, second = found(tools)
    assert (first.refusal.reason if first.refusal else None) == reason
    assert (first.source_id, second.source_id) == ("1001", "1002")
    assert second.refusal is None


def test_each_picture_of_a_carousel_is_an_item(site: Site, tools: Tools) -> None:
    slots = [
        {"id": number, "title": "", "images": {"750x": {"url": f"{site.url}/750x/{number}.jpg", "width": 750}}}
        for number in ("71", "72")
    ]
    Pinterest(site, [pin("1001", site, carousel_data={"id": "7", "carousel_slots": slots})])
    first, second = found(tools)
    assert (first.source_id, second.source_id) == ("1001-71", "1001-72")
    assert (first.address, second.address) == (f"{site.url}/originals/71.jpg", f"{site.url}/originals/72.jpg")
    assert first.facts == second.facts


def test_an_address_is_not_made_another_one(site: Site, tools: Tools) -> None:
    odd = {"orig": {"url": "https://i.pinimg.com/\u202egpj.1"}}
    slots = [
        {"id": str(number), "images": {"750x": {"url": url, "width": 750}}}
        for number, url in enumerate([f"{site.url}/750x/71.jpg\n", f"{site.url}/750x/72.jpg"])
    ]
    carousel = pin("1002", site, carousel_data={"id": "7", "carousel_slots": slots})
    Pinterest(site, [pin("1001", site, images=odd), carousel, pin("1003", site)])
    listed = {item.source_id: (item.address, item.refusal and item.refusal.reason) for item in found(tools)}
    assert listed == {
        "1001": ("", "changed_site"),
        "1002-0": ("", "changed_site"),
        "1002-1": (f"{site.url}/originals/72.jpg", None),
        "1003": (f"{site.url}/originals/1003.jpg", None),
    }


def test_a_board_of_empty_pages_has_an_end(site: Site, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gallery_dl, "MAX_BARREN_REQUESTS", 10)
    Pinterest(site, pins(site, 4))
    page = sites.as_json({"resource_response": {"data": []}, "resource": {"options": {"bookmarks": ["more"]}}})
    site.routes[FEED] = page
    with pytest.raises(ItemError, match="changed_site: it has no end: 10 requests"):
        list(found(tools))
    assert len(site.media_requests) <= 30


def test_a_pin_that_cannot_be_read_costs_only_that_pin(site: Site, tools: Tools) -> None:
    odd = pin("1001", site, carousel_data={"carousel_slots": [{"id": "71"}]})
    Pinterest(site, [odd, pin("1002", site)])
    listed, reading = [], found(tools)
    with pytest.raises(ItemError, match="changed_site: 1001: Error when extracting"):
        listed.extend(reading)
    assert [item.source_id for item in listed] == ["1002"]


def test_every_request_is_honest(site: Site, tools: Tools) -> None:
    Pinterest(site, pins(site, 4))
    list(found(tools))
    assert {asked.headers["user-agent"] for asked in site.requests} == {tools.web.user_agent}
    assert not any("_pinterest_sess" in asked.headers.get("cookie", "") for asked in site.requests)


@pytest.mark.parametrize("path", ["/collector/", "/resource/BoardFeedResource/"])
def test_robots_txt_is_obeyed(site: Site, tools: Tools, path: str) -> None:
    site.routes["/robots.txt"] = f"User-agent: *\nDisallow: {path}\n".encode()
    with pytest.raises(ItemError, match="robots_disallowed"):
        next(found(tools))
    assert site.media_requests == []


@pytest.mark.parametrize(
    ("resource", "answer", "reason"),
    [
        ("Board", sites.as_json({"resource_response": {"status": "failure", "code": 40}}, 404), "gone"),
        ("Board", sites.as_json({"resource_response": {"status": "failure", "code": 8}}, 403), "forbidden"),
        ("Board", sites.as_json({"resource_response": {"status": "failure"}}, 401), "login_required"),
        ("Board", (200, PAGE, b"<html>Log in to see more"), "changed_site"),
        ("Board", sites.as_json({"resource": {}}), "changed_site"),
        ("Board", sites.as_json({"resource_response": {"data": None}}), "changed_site"),
        ("BoardFeed", busy("3600"), "rate_limited"),
        ("BoardFeed", busy(), "rate_limited"),
        ("BoardFeed", (502, PAGE, b"bad gateway"), "server_error"),
        ("BoardFeed", sites.as_json({"resource_response": {"data": 7}}), "changed_site"),
        ("BoardFeed", sites.as_json({"resource_response": {"data": [{"title": "no id"}]}}), "changed_site"),
    ],
)
def test_a_list_that_cannot_be_had_says_why(
    site: Site, tools: Tools, resource: str, answer: Answer, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_gallery_dl, "RETRIES", 1)
    Pinterest(site, pins(site, 4))
    site.routes[f"/resource/{resource}Resource/get/"] = answer
    with pytest.raises(ItemError) as raised:
        list(found(tools))
    assert raised.value.reason == reason
    assert "Traceback" not in raised.value.detail
    assert "--verbose" not in raised.value.detail


def test_a_login_wall_is_told_as_such(site: Site, tools: Tools) -> None:
    Pinterest(site, pins(site, 4))
    site.routes[FEED] = redirect("/login/?next=/collector/")
    site.routes["/login/"] = (200, PAGE, b"<html>Log in to continue")
    with pytest.raises(ItemError, match="login_required"):
        list(found(tools))


def test_a_site_that_goes_away_in_the_middle_keeps_what_it_said(
    site: Site, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_gallery_dl, "RETRIES", 0)
    pinterest_here = Pinterest(site, pins(site, 5))

    def feed(asked: Asked) -> Answer | None:
        if options(asked)["bookmarks"]:
            assert asked.handler
            asked.handler.close_connection = True
            return None
        return pinterest_here.answer(asked, "BoardFeed")

    site.routes[FEED] = feed
    listed, reading = [], found(tools)
    with pytest.raises(ItemError, match="unreachable"):
        listed.extend(reading)
    assert len(listed) == 3


@pytest.mark.parametrize(
    ("kind", "text"),
    [("board", "collector/dark-fantasy"), ("section", "a/b/c"), ("search", "cover art"), ("search", "a/b")],
)
def test_a_list_of_pinterest_is_known(kind: str, text: str) -> None:
    pinterest.check(Query("pinterest", kind, text))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("board", "dark-fantasy"),
        ("board", "collector/dark-fantasy/covers"),
        ("board", "https://www.pinterest.com/collector/dark-fantasy/"),
        ("board", "collector/"),
        ("board", "../search"),
        ("board", "search/pins"),
        ("board", "pin/123"),
        ("board", "Pin/123"),
        ("board", "collector/_saved"),
        ("board", "collector/_created"),
        ("board", "collector/pins"),
        ("section", "pin/123/x"),
        ("section", "search/pins/x"),
        ("section", "collector/dark-fantasy"),
        ("search", "  "),
        ("user", "collector"),
    ],
)
def test_what_is_no_list_of_pinterest_is_refused_with_the_forms_that_are(kind: str, text: str) -> None:
    with pytest.raises(ValueError, match="expected board: user/board, section: user/board/section, or search: words"):
        pinterest.check(Query("pinterest", kind, text))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(pinterest._FIELDS), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(pinterest._FIELDS), VALUES))
def test_a_pin_of_any_form_is_read_or_refused(row: dict[str, object]) -> None:
    items = attempt(lambda: list(pinterest._found(row)))
    is_known = not isinstance(items, ItemError)
    assert all(item.address or item.refusal for item in items) if is_known else items.reason == "changed_site"
