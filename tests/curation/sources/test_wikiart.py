"""WikiArt's lists by the real gallery-dl, from a WikiArt on loopback."""

import json
import threading
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from subprocess import Popen

import pytest

from curation.errors import ItemError
from curation.sources import Found, Tools, _gallery_dl, wikiart
from curation.store import Home
from rules.collecting import Query
from rules.errors import ConfigurationError
from tests import gallery_sites as sites
from tests.gallery_sites import PAGE, add_artists, add_paintings, painting
from tests.sites import Answer, Asked, Site, break_off, busy, in_turn, redirect

BAROQUE = "paintings-by-style/baroque"
BAROQUE_PATH = f"/en/{BAROQUE}"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with Site() as site:
        sites.go_there(site.url, monkeypatch)
        yield site


@pytest.fixture
def tools(site: Site, tmp_path: Path) -> Tools:
    return Tools(Home(tmp_path), site.web())


def found(tools: Tools, category: str = BAROQUE) -> Iterator[Found]:
    return wikiart.found(Query("wikiart", "category", category), tools)


def works(site: Site, number: int) -> list[sites.Json]:
    return [painting(f"caravaggio/judith-{number}", site) for number in range(number)]


def refusal(tools: Tools, category: str = BAROQUE) -> ItemError:
    with pytest.raises(ItemError) as raised:
        list(found(tools, category))
    return raised.value


def test_a_list_is_read_page_by_page_to_its_end(site: Site, tools: Tools) -> None:
    items = works(site, 7)
    add_paintings(site, BAROQUE, items)
    assert [item.source_id for item in found(tools)] == [item["id"] for item in items]
    assert [asked.query["page"] for asked in site.media_requests] == [["1"], ["2"], ["3"], ["4"]]


def test_an_item_says_what_the_list_says_of_it(site: Site, tools: Tools) -> None:
    add_paintings(site, BAROQUE, [painting("caravaggio/judith-1599", site)])
    (item,) = found(tools)
    assert item.address == f"{site.url}/images/caravaggio/judith-1599.jpg"
    assert (item.facts.title, item.facts.creator, item.facts.year) == ("Judith 1599", "Caravaggio", 1503)
    assert item.facts.url == "https://www.wikiart.org/en/caravaggio/judith-1599"
    assert (item.facts.license, item.facts.tags) == ("unknown", ())
    assert item.state == "634x750"
    assert item.about == {"date": "c.1503 - 1519", "artist_page": "/en/caravaggio"}
    assert item.refusal is None


def test_what_a_list_does_not_say_stays_unknown(site: Site, tools: Tools) -> None:
    unsaid = {
        "year": None,
        "artistName": "",
        "width": None,
        "height": None,
        "paintingUrl": None,
        "title": "\x1b[31mRed\u202e",
    }
    add_paintings(site, BAROQUE, [painting("caravaggio/judith", site, **unsaid)])
    (item,) = found(tools)
    assert (item.facts.title, item.facts.creator, item.facts.year, item.state) == ("[31mRed", None, None, "")
    assert item.facts.url == "https://www.wikiart.org/"


def test_an_odd_item_is_refused_and_the_others_stay(site: Site, tools: Tools) -> None:
    odd = painting("caravaggio/odd", site, image="", id="../../etc/passwd", paintingUrl="//elsewhere.example/x")
    add_paintings(site, BAROQUE, [odd, *works(site, 1)])
    first, second = found(tools)
    assert (first.source_id, first.facts.url) == ("../../etc/passwd", "https://www.wikiart.org/elsewhere.example/x")
    assert first.refusal is not None
    assert first.refusal.reason == "changed_site"
    assert second.refusal is None


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("judith.jpg!Large.jpg", "judith.jpg"),
        ("judith.jpg!PinterestSmall.jpg", "judith.jpg"),
        ("judith(1).jpeg!HD.jpeg", "judith(1).jpeg"),
        ("judith.jpg", "judith.jpg"),
        ("ah!ha.jpg", "ah!ha.jpg"),
        ("judith.jpg!Large.jpg/x.png", "judith.jpg!Large.jpg/x.png"),
    ],
)
def test_the_original_is_taken_and_no_smaller_one(site: Site, tools: Tools, name: str, original: str) -> None:
    add_paintings(site, BAROQUE, [painting("caravaggio/judith", site, image=f"{site.url}/{name}")])
    (item,) = found(tools)
    assert (item.address, item.refusal) == (f"{site.url}/{original}", None)


@pytest.mark.parametrize("image", ["https://a\u202e.example/x.jpg", " https://a.example/\n", "https://a/" + "x" * 1000])
def test_an_address_is_not_made_another_one(site: Site, tools: Tools, image: str) -> None:
    odd = painting("caravaggio/odd", site, image=image)
    add_paintings(site, BAROQUE, [odd, *works(site, 1)])
    first, second = found(tools)
    assert first.refusal is not None
    assert (first.refusal.reason, first.address) == ("changed_site", "")
    assert second.refusal is None


def test_works_of_the_artists_of_a_category_say_when_the_artist_lived(site: Site, tools: Tools) -> None:
    slugs = ["thomas-cole", "huang-shen"]
    items = {slug: [painting(f"{slug}/work-{number}", site) for number in range(4)] for slug in slugs}
    add_artists(site, "century", [sites.artist_entry(slug) for slug in slugs], items)
    listed = list(found(tools, "artists-by-century/19"))
    assert [item.source_id for item in listed] == [item["id"] for slug in slugs for item in items[slug]]
    assert {item.about["artist_born"] for item in listed} == {"February 1, 1801"}
    assert {item.about["artist_died"] for item in listed} == {"February 11, 1848"}
    assert site.media_requests[0].query["searchterm"] == ["19"]


def test_an_artist_who_is_gone_costs_only_that_artists_works(site: Site, tools: Tools) -> None:
    slugs = ["thomas-cole", "nobody", "huang-shen"]
    items = {slug: [painting(f"{slug}/work", site)] for slug in slugs if slug != "nobody"}
    add_artists(site, "nation", [sites.artist_entry(slug) for slug in slugs], items)
    listed, reading = [], found(tools, "artists-by-nation/american")
    with pytest.raises(ItemError, match=r"gone: HttpError: '404 .*/en/nobody") as raised:
        listed.extend(reading)
    assert raised.value.reason == "gone"
    assert [item.facts.creator for item in listed] == ["Thomas Cole", "Huang Shen"]


def test_items_come_while_the_list_is_still_read(site: Site, tools: Tools) -> None:
    is_seen = threading.Event()

    def page(asked: Asked) -> Answer:
        if asked.query["page"] == ["2"]:
            assert is_seen.wait(60)
        return sites.pages(asked, works(site, 5))

    site.routes[BAROQUE_PATH] = page
    reading = found(tools)
    first = next(reading)
    is_seen.set()
    assert len([first, *reading]) == 5


def test_whoever_has_enough_ends_the_program(site: Site, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Popen[bytes]] = []

    class Watched(Popen[bytes]):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[call-overload]
            started.append(self)

    monkeypatch.setattr(_gallery_dl, "Popen", Watched)
    endless = (painting(f"caravaggio/judith-{number}", site) for number in count())
    site.routes[BAROQUE_PATH] = lambda asked: sites.as_json({"Paintings": list(islice(endless, 1000))})
    reading = found(tools)
    assert len(list(islice(reading, 2))) == 2
    reading.close()  # type: ignore[attr-defined]
    assert [process.poll() for process in started] == [-9]
    assert next(found(tools)).source_id  # and the next may ask


def test_every_request_is_honest_whatever_a_person_has_configured(
    site: Site, tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "gallery-dl" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"extractor": {"user-agent": "Mozilla/5.0", "cookies": {"session": "1"}}}))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    add_paintings(site, BAROQUE, works(site, 1))
    list(found(tools))
    assert {asked.headers["user-agent"] for asked in site.requests} == {tools.web.user_agent}
    assert not any("cookie" in asked.headers for asked in site.requests)


def test_no_proxy_of_the_environment_is_used(site: Site, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    add_paintings(site, BAROQUE, works(site, 1))
    with Site() as other:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url)
        assert len(list(found(tools))) == 1
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "*")
        monkeypatch.setattr(_gallery_dl._Listener, "_obeys", lambda *_: True)
        site.routes[BAROQUE_PATH] = redirect(f"http://localhost:{other.port}/latest/meta-data")
        assert refusal(tools).reason == "address_refused"
        assert other.requests == []


PRIVATE = [
    "http://localhost:PORT/latest/meta-data",
    "http://127.0.0.1:PORT/x",
    "//127.0.0.1:PORT/x",
    "http://[::1]:PORT/",
    "http://2130706433:PORT/",
]


@pytest.mark.parametrize("to", PRIVATE)
@pytest.mark.parametrize("is_heard", [True, False])
def test_a_redirect_leads_to_no_private_host(
    site: Site, tools: Tools, to: str, is_heard: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_heard:  # gallery-dl may follow before anybody has read where it was led to
        monkeypatch.setattr(_gallery_dl._Listener, "_obeys", lambda *_: True)
        monkeypatch.setattr(tools.web, "permit", lambda address: None)
    with Site() as private:
        site.routes[BAROQUE_PATH] = redirect(to.replace("PORT", str(private.port)))
        assert refusal(tools).reason == "address_refused"
        assert private.requests == []
    assert [asked.path for asked in site.media_requests] == [BAROQUE_PATH]


@pytest.mark.parametrize(
    "to", ["http://[::1/", "//%", "http://a..b/", "http://x:99999/", "https://example.org/", "ftp://127.0.0.1/"]
)
def test_a_redirect_to_what_is_no_host_of_the_site_is_refused(site: Site, tools: Tools, to: str) -> None:
    site.routes[BAROQUE_PATH] = redirect(to)
    assert refusal(tools).reason == "address_refused"
    assert len(site.media_requests) == 1


def test_a_redirect_within_the_site_is_followed(site: Site, tools: Tools) -> None:
    add_paintings(site, "moved", works(site, 1))
    site.routes[BAROQUE_PATH] = lambda asked: redirect("/en/moved?" + asked.target.partition("?")[2])
    assert len(list(found(tools))) == 1


@pytest.mark.parametrize(
    "retry_after",
    [
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "Mon, 99 Foo 2026 99:99:99 +9999999999",
        "1 Jan 1 0:0 +2400",
        "\xb2",
        "soon",
        "9" * 400,
    ],
)
def test_a_wild_retry_after_is_no_crash(
    site: Site, tools: Tools, retry_after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_gallery_dl, "RETRIES", 0)
    site.routes[BAROQUE_PATH] = busy(retry_after)
    assert refusal(tools).reason == "rate_limited"


def test_a_list_that_repeats_itself_has_an_end(site: Site, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gallery_dl, "MAX_KNOWN_ROWS", 20)
    monkeypatch.setattr(_gallery_dl, "MAX_REMEMBERED_ROWS", 7)
    items = works(site, 7)
    site.routes[BAROQUE_PATH] = lambda asked: sites.as_json({"Paintings": items})
    listed, reading = [], found(tools)
    with pytest.raises(ItemError, match="changed_site: it repeats itself: 20 rows in a row"):
        listed.extend(reading)
    assert len({item.source_id for item in listed}) == 7
    assert len(listed) == 27


def test_what_stands_in_a_list_twice_is_no_end(site: Site, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gallery_dl, "MAX_KNOWN_ROWS", 3)
    items = works(site, 9)
    add_paintings(site, BAROQUE, [*items[:3], *items[:4], *items[1:4], *items[4:]])
    assert len(list(found(tools))) == 15


@pytest.mark.parametrize(
    ("category", "path"),
    [(BAROQUE, "/en/paintings-by-style/"), ("artists-by-century/19", "/en/App/Search/")],
)
def test_robots_txt_is_obeyed(site: Site, tools: Tools, category: str, path: str) -> None:
    site.routes["/robots.txt"] = f"User-agent: *\nDisallow: {path}\n".encode()
    assert refusal(tools, category).reason == "robots_disallowed"
    assert site.media_requests == []


def test_robots_txt_is_obeyed_on_the_way(site: Site, tools: Tools) -> None:
    works_of = {slug: [painting(f"{slug}/work", site)] for slug in ("thomas-cole", "huang-shen")}
    add_artists(site, "century", [sites.artist_entry(slug) for slug in works_of], works_of)
    site.routes["/robots.txt"] = b"User-agent: *\nDisallow: /en/huang-shen\n"
    listed, reading = [], found(tools, "artists-by-century/19")
    with pytest.raises(ItemError, match="robots_disallowed"):
        listed.extend(reading)
    assert [item.facts.creator for item in listed] == ["Thomas Cole"]


@pytest.mark.parametrize(
    ("answer", "reason", "requests"),
    [
        ((404, PAGE, b"<html>not here"), "gone", 1),
        ((410, PAGE, b""), "gone", 1),
        ((401, PAGE, b""), "login_required", 1),
        ((403, PAGE, b"<html>no"), "forbidden", 1),
        ((451, PAGE, b""), "not_available", 1),
        ((200, PAGE, b"<html>Welcome"), "changed_site", 1),
        (sites.as_json([1, 2]), "changed_site", 1),
        (sites.as_json({"Paintings": [{"title": "no picture"}]}), "changed_site", 1),
        (sites.as_json({"Works": []}), "gone", 1),
        (sites.as_json({"Paintings": None}), "gone", 1),
        (busy("3600"), "rate_limited", 1),
        (busy("Fri, 31 Dec 9999 23:59:59 GMT"), "rate_limited", 1),
        ((500, PAGE, b"oops"), "server_error", 1 + _gallery_dl.RETRIES),
        ((200, {"Content-Length": "9000"} | sites.JSON, b"{"), "unreachable", 1 + _gallery_dl.RETRIES),
        (redirect("?loop=1"), "too_many_redirects", 31),
        (redirect("http://127.0.0.2:1/"), "address_refused", 1),
    ],
)
def test_a_list_that_cannot_be_had_says_why(
    site: Site, tools: Tools, answer: Answer, reason: str, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_gallery_dl, "RETRY_AFTER_429_S", 600.0)  # gallery-dl would wait no longer

    def once(asked: Asked) -> Answer:
        if "Content-Length" in answer[1]:
            break_off(asked)  # before all is said
        return answer

    site.routes[BAROQUE_PATH] = once
    error = refusal(tools)
    assert error.reason == reason
    assert error.detail
    assert "Traceback" not in error.detail
    assert "--verbose" not in error.detail
    assert len(site.media_requests) == requests


@pytest.mark.parametrize(("status", "requests"), [(403, 1), (503, 1 + _gallery_dl.RETRIES)])
def test_a_challenge_to_browsers_is_not_taken_up(site: Site, tools: Tools, status: int, requests: int) -> None:
    def challenge(asked: Asked) -> Answer:
        assert asked.handler
        asked.handler.version_string = lambda: "cloudflare"  # type: ignore[method-assign]
        return status, PAGE | {"cf-mitigated": "challenge"}, b"<html>Just a moment"

    site.routes[BAROQUE_PATH] = challenge
    error = refusal(tools)
    assert (error.reason, error.detail[:36]) == ("forbidden", "ChallengeError: Cloudflare challenge")
    assert len(site.media_requests) == requests


def test_a_login_wall_is_told_as_such(site: Site, tools: Tools) -> None:
    site.routes[BAROQUE_PATH] = redirect("/login?returnUrl=%2Fen")
    site.routes["/login"] = (200, PAGE, b"<html>Log in to continue")
    assert refusal(tools).reason == "login_required"


def test_a_site_that_is_not_there_is_told_as_such(site: Site, tools: Tools) -> None:
    def hang_up(asked: Asked) -> None:
        break_off(asked)

    site.routes[BAROQUE_PATH] = hang_up
    assert refusal(tools).reason == "unreachable"


def test_what_was_read_before_a_failure_stays(site: Site, tools: Tools) -> None:
    items = works(site, 6)
    broken = [*items[:5], {key: value for key, value in items[5].items() if key != "image"}]
    add_paintings(site, BAROQUE, broken)
    listed, reading = [], found(tools)
    with pytest.raises(ItemError, match="changed_site: An unexpected error occurred: KeyError - 'image'$"):
        listed.extend(reading)
    assert len(listed) == 5


def test_a_short_trouble_is_waited_for(site: Site, tools: Tools) -> None:
    def good(asked: Asked) -> Answer:
        return sites.pages(asked, works(site, 1))

    site.routes[BAROQUE_PATH] = in_turn((500, PAGE, b""), busy(), good)
    assert len(list(found(tools))) == 1


def test_a_site_that_wants_to_be_left_alone_is(site: Site, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gallery_dl, "RETRY_AFTER_429_S", 600.0)
    site.routes[BAROQUE_PATH] = busy("3600")
    assert refusal(tools).reason == "rate_limited"
    assert refusal(tools).reason == "host_paused"
    assert len(site.media_requests) == 1


def test_a_server_that_will_be_back_later_is_not_asked_sooner(
    site: Site, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_gallery_dl, "FIRST_RETRY_S", 600.0)  # gallery-dl would wait no longer
    site.routes[BAROQUE_PATH] = busy("3600", 503)
    error = refusal(tools)
    assert (error.reason, error.detail) == ("server_error", "HTTP 503 with Retry-After: 3600")
    assert len(site.media_requests) == 1


def test_a_line_without_end_is_no_list(site: Site, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gallery_dl, "MAX_LINE_BYTES", 100_000)
    add_paintings(site, BAROQUE, [painting("caravaggio/judith", site, title="x" * 1_000_000)])
    assert refusal(tools).reason == "changed_site"


def test_a_site_that_never_answers_is_given_up(site: Site, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()
    site.routes[BAROQUE_PATH] = lambda asked: b"{}" if is_over.wait(60) else b""
    monkeypatch.setattr(_gallery_dl, "MAX_SILENCE_S", 1.0)
    try:
        assert refusal(tools).reason == "timed_out"
    finally:
        is_over.set()


def test_gallery_dl_that_is_missing_is_asked_for(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [(need.what, need.ready) for need in wikiart.needs()] == [("gallery-dl", True)]
    monkeypatch.setattr(_gallery_dl.importlib.util, "find_spec", lambda name: None)
    (need,) = wikiart.needs()
    assert (need.ready, need.required) == (False, True)
    with pytest.raises(ConfigurationError, match=r"artune\[sources\]"):
        next(found(tools))


def test_gallery_dl_that_does_not_work_is_a_mistake_of_this_machine(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_gallery_dl, "PROGRAM", (*_gallery_dl.PROGRAM, "--no-such-option"))
    with pytest.raises(ConfigurationError, match="ended with code 2 .*--no-such-option"):
        next(found(tools))


@pytest.mark.parametrize(
    "text", ["paintings-by-style/baroque", "paintings-by-genre/nude-painting-nu", "artists-by-painting-school/x_1"]
)
def test_a_category_of_wikiart_is_known(text: str) -> None:
    wikiart.check(Query("wikiart", "category", text))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("category", "Baroque"),
        ("category", "paintings-by-style/baroque/../../login"),
        ("category", "paintings-by-style/baroque?page=2"),
        ("category", "en/paintings-by-style/baroque"),
        ("category", "https://www.wikiart.org/en/paintings-by-style/baroque"),
        ("category", "paintings-by-style/"),
        ("search", "paintings-by-style/baroque"),
    ],
)
def test_what_is_no_category_of_wikiart_is_refused_with_one_that_is(kind: str, text: str) -> None:
    with pytest.raises(ValueError, match="paintings-by-style/baroque"):
        wikiart.check(Query("wikiart", kind, text))
