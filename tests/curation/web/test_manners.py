import gzip
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from curation.errors import ItemError
from curation.web import Download
from curation.web.manners import MAX_ROBOTS_BYTES, refuse_opt_outs, reservations
from tests.sites import Site, busy, gzip_bomb, in_turn, redirect

JPEG = b"\xff\xd8\xff\xe0" + bytes(600)
ROBOTS, TDMREP = "/robots.txt", "/.well-known/tdmrep.json"


def outcome(web, site, home, path="/art/a.jpg"):
    [(_, result)] = web.download_all([Download(site.url + path)], home)
    return result.reason if isinstance(result, ItemError) else "fetched"


@pytest.fixture(autouse=True)
def picture(site):
    site.routes["/art/a.jpg"] = JPEG


@pytest.mark.parametrize(
    ("robots", "expected"),
    [
        (b"User-agent: *\nDisallow: /art/", "robots_disallowed"),
        (b"User-agent: artune\nDisallow: /", "robots_disallowed"),
        (b"User-agent: *\nDisallow: /\n\nUser-agent: artune\nAllow: /", "fetched"),
        (b"User-agent: GPTBot\nDisallow: /", "fetched"),
        (b"User-agent: *\nDisallow: /\nAllow: /art/*.jpg$", "fetched"),
        (b"User-agent: *\nDisallow: /*.jpg$", "robots_disallowed"),
        (b"\xef\xbb\xbfUser-agent: *\r\nDisallow: /art", "robots_disallowed"),
        ("User-agent: *\nDisallow: /art".encode("utf-16"), "robots_disallowed"),
        (b"<html>not found</html>", "fetched"),
        (b"", "fetched"),
        (
            (200, {"Content-Encoding": "gzip"}, gzip.compress(b"User-agent: *\nDisallow: /", mtime=0)),
            "robots_disallowed",
        ),
        ((200, {"Content-Encoding": "utf-8"}, b"User-agent: *\nDisallow: /"), "robots_disallowed"),
        (
            (200, {"Content-Encoding": "gzip, identity"}, gzip.compress(b"User-agent: *\nDisallow: /", mtime=0)),
            "robots_disallowed",
        ),
        ((404, {}, b"User-agent: *\nDisallow: /"), "fetched"),
        ((403, {}, b""), "fetched"),
        (redirect("/other.txt"), "robots_disallowed"),
    ],
)
def test_robots_txt_is_obeyed(site, web, home, robots, expected):
    site.routes[ROBOTS] = robots
    site.routes["/other.txt"] = b"User-agent: *\nDisallow: /"
    assert outcome(web, site, home) == expected
    assert ("/art/a.jpg" in [asked.path for asked in site.requests]) == (expected == "fetched")


@pytest.mark.parametrize(
    ("answer", "reason"), [((503, {}, b""), "server_error"), (busy(), "rate_limited"), (busy("9999"), "rate_limited")]
)
def test_while_robots_txt_cannot_be_had_nothing_is_asked_and_the_host_is_left_alone(
    site, web, home, haste, answer, reason
):
    site.routes[ROBOTS] = answer
    assert outcome(web, site, home) == reason
    asked = len(site.requests)
    assert outcome(web, site, home) == "host_paused"
    assert len(site.requests) == asked
    assert {request.path for request in site.requests} == {ROBOTS}
    site.routes[ROBOTS] = b""
    haste.ahead_s += 10_000
    assert outcome(web, site, home) == "fetched"


@pytest.mark.parametrize("path", [ROBOTS, TDMREP])
@pytest.mark.parametrize(
    ("coding", "body"),
    [("br", b"\x0b\x02\x80"), ("zstd", b"x"), ("gzip", b"x"), ("gzip", gzip.compress(b"", mtime=0)[:-4])],
)
def test_while_rules_cannot_be_read_nothing_is_asked(site, web, home, haste, path, coding, body):
    site.routes[path] = 200, {"Content-Encoding": coding}, body
    assert outcome(web, site, home) == "unreachable"
    assert outcome(web, site, home) == "host_paused"
    assert site.media_requests == []
    site.routes[path] = b""
    haste.ahead_s += 60
    assert outcome(web, site, home) == "fetched"


def test_robots_txt_of_a_dead_host_is_not_waited_for_again_and_again(home):
    with Site() as site:
        web = site.web()
        dead = site.url
    with Site() as alive:
        web = alive.web(site)
        results = dict(web.download_all([Download(f"{dead}/{n}") for n in range(50)], home))
    assert {result.reason for result in results.values()} <= {"unreachable", "host_paused"}


def test_rules_are_asked_for_once_and_anew_after_a_day(site, web, home, haste):
    for _ in range(3):
        assert outcome(web, site, home) == "fetched"
    assert [asked.path for asked in site.requests].count(ROBOTS) == 1
    haste.ahead_s += 24 * 60 * 60
    site.routes[ROBOTS] = b"User-agent: *\nDisallow: /"
    assert outcome(web, site, home) == "robots_disallowed"


def test_rules_are_asked_for_once_though_many_downloads_wait_for_them(site, web, home):
    requests = [Download(f"{site.url}/art/a.jpg")] * 40
    assert len(dict(web.download_all(requests, home))) == 40
    assert [asked.path for asked in site.requests].count(ROBOTS) == 1


def test_the_rules_of_a_host_that_a_redirect_leads_to_are_obeyed(site, home):
    with Site({ROBOTS: b"User-agent: *\nDisallow: /", "/a.jpg": JPEG}) as other:
        site.routes["/art/a.jpg"] = redirect(f"{other.url}/a.jpg")
        assert outcome(site.web(other), site, home) == "robots_disallowed"
        assert [asked.path for asked in other.requests] == [ROBOTS, TDMREP]


def test_only_the_first_half_megabyte_of_robots_txt_is_read(site, web, home):
    site.routes[ROBOTS] = b"User-agent: *\n" + b"#" * MAX_ROBOTS_BYTES + b"\nDisallow: /"
    assert outcome(web, site, home) == "fetched"


def test_a_bomb_in_place_of_robots_txt_is_cut(site, web, home):
    site.routes[ROBOTS] = gzip_bomb(1 << 26)
    assert outcome(web, site, home) == "fetched"


@pytest.mark.parametrize("line", [b"Crawl-delay: 0.1", b"Request-rate: 10/1"])
def test_a_crawl_delay_is_obeyed(site, web, home, line):
    site.routes[ROBOTS] = b"User-agent: *\n" + line
    began = time.monotonic()
    assert len(dict(web.download_all([Download(f"{site.url}/art/a.jpg")] * 4, home))) == 4
    assert time.monotonic() - began > 0.38  # tdmrep.json and four pictures
    assert web.rate_hz(site.host) == 10


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([{"location": "/", "tdm-reservation": 1}], "opted_out"),
        ([{"location": "/art/*", "tdm-reservation": 1, "tdm-policy": "https://a.test/p"}], "opted_out"),
        ([{"location": "*.jpg$", "tdm-reservation": "1"}], "opted_out"),
        ([{"location": "/", "tdm-reservation": 1}, {"location": "/art/", "tdm-reservation": 0}], "fetched"),
        ([{"location": "/art/", "tdm-reservation": 1}, {"location": "/", "tdm-reservation": 0}], "opted_out"),
        ([{"location": "/music/", "tdm-reservation": 1}], "fetched"),
        ([{"location": "/", "tdm-reservation": 0}], "fetched"),
        ([{"location": "/x\nDisallow: /", "tdm-reservation": 1}], "fetched"),
        ([{"tdm-reservation": 1}, 7, None, {"location": 3}], "fetched"),
        ({"location": "/"}, "fetched"),
        ("[" * 100_000, "fetched"),
    ],
)
def test_a_reservation_in_tdmrep_json_is_obeyed_before_anything_is_asked(site, web, home, rules, expected):
    site.routes[TDMREP] = (rules if isinstance(rules, str) else json.dumps(rules)).encode()
    assert outcome(web, site, home) == expected
    assert bool(site.media_requests) == (expected == "fetched")


def test_a_site_that_has_no_page_for_tdmrep_json_but_an_error_reserves_nothing(site, web, home):
    site.routes[TDMREP] = 500, {}, b""
    assert outcome(web, site, home) == "fetched"


def test_while_a_site_asks_for_quiet_a_reservation_is_not_taken_for_absent(site, web, home):
    site.routes[TDMREP] = busy("9999")
    assert outcome(web, site, home) == "rate_limited"
    assert site.media_requests == []


@given(st.text())
def test_no_text_breaks_the_reading_of_reservations(text):
    reservations(text).can_fetch("http://a.test/x", "artune")


@pytest.mark.parametrize(
    ("headers", "is_refused"),
    [
        ([("X-Robots-Tag", "noai")], True),
        ([("X-Robots-Tag", "noimageai")], True),
        ([("X-Robots-Tag", "noindex")], True),
        ([("x-robots-tag", "NoIndex, NoFollow")], True),
        ([("X-Robots-Tag", "none")], True),
        ([("X-Robots-Tag", "nofollow"), ("X-Robots-Tag", "noai")], True),
        ([("X-Robots-Tag", "artune: noai")], True),
        ([("X-Robots-Tag", "*: noindex")], True),
        ([("X-Robots-Tag", "googlebot: nofollow, artune: noai, noimageai")], True),
        ([("X-Robots-Tag", "unavailable_after: 25 Jun 2030 15:00:00 PST, noai")], True),
        ([("X-Robots-Tag", "max-snippet: -1, max-image-preview: large, noindex")], True),
        ([("X-Robots-Tag", "googlebot: noindex"), ("X-Robots-Tag", "noai")], True),
        ([("X-Robots-Tag", "artune/1.0: noai")], True),
        ([("X-Robots-Tag", "googlebot/2.1: nofollow, artune/1.0: nofollow, noai")], True),
        ([("X-Robots-Tag", "noindex; noai")], True),
        ([("TDM-Reservation", "1")], True),
        ([("TDM-Reservation", "1, 1")], True),
        ([("TDM-Reservation", "0, 1")], True),
        ([("TDM-Reservation", "0"), ("TDM-Reservation", "1")], True),
        ([("TDM-Reservation", "1; policy=x")], True),
        ([("tdm-reservation", " 1 "), ("tdm-policy", "https://a.test/policy")], True),
        ([], False),
        ([("X-Robots-Tag", "googlebot: noindex")], False),
        ([("X-Robots-Tag", "googlebot: noindex, noai")], False),
        ([("X-Robots-Tag", "googlebot/2.1: noindex"), ("X-Robots-Tag", "otherbot: noai")], False),
        ([("X-Robots-Tag", "artune: noarchive, otherbot: noindex")], False),
        ([("X-Robots-Tag", "all")], False),
        ([("X-Robots-Tag", "noarchive, nosnippet, nofollow, noimageindex")], False),
        ([("TDM-Reservation", "0")], False),
        ([("TDM-Reservation", "10, 01")], False),
        ([("TDM-Reservation", "")], False),
    ],
)
def test_opt_out_headers(headers, is_refused):
    answer = CIMultiDictProxy(CIMultiDict(headers))
    if is_refused:
        with pytest.raises(ItemError, match="opted_out"):
            refuse_opt_outs(answer)
    else:
        refuse_opt_outs(answer)


@pytest.mark.parametrize("header", [{"X-Robots-Tag": "noai"}, {"TDM-Reservation": "1"}])
def test_what_opts_out_is_never_stored(site, web, home, header):
    site.routes["/art/a.jpg"] = 200, header, JPEG * 4000  # so large that it would be written while it comes
    assert outcome(web, site, home) == "opted_out"
    assert [path for path in home.root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("header", [{"X-Robots-Tag": "noai"}, {"TDM-Reservation": "1"}])
def test_who_opts_out_where_a_redirect_starts_is_obeyed(site, web, home, header):
    site.routes["/art/a.jpg"] = 302, {"Location": "/art/b.jpg"} | header, b""
    site.routes["/art/b.jpg"] = JPEG
    assert outcome(web, site, home) == "opted_out"
    assert [asked.path for asked in site.media_requests] == ["/art/a.jpg"]


def test_an_opt_out_of_a_page_or_of_the_rules_forbids_only_to_keep_them(site, web, home):
    site.routes[ROBOTS] = 302, {"Location": "/other.txt", "X-Robots-Tag": "noindex"}, b""
    site.routes["/other.txt"] = 200, {"X-Robots-Tag": "noindex"}, b""
    site.routes["/list"] = 302, {"Location": "/list/1", "X-Robots-Tag": "noindex"}, b""
    site.routes["/list/1"] = 200, {"X-Robots-Tag": "noindex"}, b"[]"
    assert web.get(f"{site.url}/list", max_bytes=10) == b"[]"
    assert outcome(web, site, home) == "fetched"


def test_permit_says_what_a_site_does_not_allow(site, web):
    site.routes[ROBOTS] = b"User-agent: *\nDisallow: /private"
    site.routes[TDMREP] = b'[{"location": "/reserved", "tdm-reservation": 1}]'
    web.permit(f"{site.url}/public")
    with pytest.raises(ItemError, match="robots_disallowed"):
        web.permit(f"{site.url}/private")
    with pytest.raises(ItemError, match="opted_out"):
        web.permit(f"{site.url}/reserved")
    with pytest.raises(ItemError, match="address_refused"):
        web.permit("http://127.0.0.1:1/")
    with pytest.raises(ItemError, match="address_refused"):
        web.permit("file:///etc/passwd")
    assert site.media_requests == []


def test_an_honest_name_with_a_contact_is_sent_with_every_request(site, web, home):
    site.routes[ROBOTS] = in_turn((500, {}, b""), b"")
    assert outcome(web, site, home) == "fetched"
    names = {asked.headers["user-agent"] for asked in site.requests}
    assert names == {web.user_agent}
    assert web.user_agent.startswith("artune/")
    assert web.user_agent.endswith(" (+tester@example.org)")
