import hashlib
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from curation.errors import ItemError
from curation.sources import Fetched
from curation.web import Download
from tests.sites import Site, break_off, cut, in_turn, ranged, send

WANTED = "/song.flac"
SONG = b"fLaC" + random.Random(1).randbytes(3_000_000)
OTHER = b"fLaC" + random.Random(2).randbytes(3_000_000)


def fetch(web, site, home, path=WANTED):
    [(_, result)] = web.download_all([Download(site.url + path)], home)
    return result


def kept(home):
    return sorted(path.name for path in (home.root / "partial").glob("*"))


def assert_whole(home, result, body=SONG):
    assert isinstance(result, Fetched), result
    assert result.sha256 == hashlib.sha256(body).hexdigest()
    assert home.blob(result.sha256).read_bytes() == body
    assert kept(home) == []
    assert list((home.root / "tmp").glob("*")) == []


def asked_for(site):
    return [(asked.headers.get("range"), asked.headers.get("if-range")) for asked in site.media_requests]


def started_at(site):
    return [int(span.removeprefix("bytes=").removesuffix("-")) if span else 0 for span, _ in asked_for(site)]


@pytest.mark.parametrize("first_bytes", [1000, 2_000_000])  # few enough to be held in memory, and too many
def test_a_cut_download_goes_on_where_it_ended(site, web, home, haste, first_bytes):
    song = ranged(SONG)
    site.routes[WANTED] = in_turn(cut(song, first_bytes, haste), cut(song, 500_000, haste), song)
    assert_whole(home, fetch(web, site, home))
    none, first, second = started_at(site)
    assert none == 0 < first <= first_bytes < second <= first + 500_000
    assert [if_range for _, if_range in asked_for(site)] == [None, '"1"', '"1"']


@pytest.fixture
def parked(site, web, home, haste):
    """Give a home where the beginning of a song lies."""
    site.routes[WANTED] = in_turn(cut(ranged(SONG), 1_500_000, haste), cut(ranged(SONG), 0))
    assert fetch(web, site, home).reason == "incomplete"
    assert len(kept(home)) == 2
    site.requests.clear()
    site.routes[WANTED] = ranged(SONG)
    return home


def test_a_parked_download_goes_on_in_another_run(site, parked):
    assert_whole(parked, fetch(site.web(), site, parked))
    [start] = started_at(site)
    assert 0 < start <= 1_500_000


def test_what_was_kept_outlives_a_time_when_the_sites_rules_cannot_be_had(site, parked):
    site.routes["/robots.txt"] = 503, {}, b""
    assert fetch(site.web(), site, parked).reason == "server_error"
    assert len(kept(parked)) == 2


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(site, web, home, haste):
    site.routes[WANTED] = in_turn(cut(ranged(SONG), 2_000_000, haste), ranged(OTHER, '"2"'))
    assert_whole(home, fetch(web, site, home), OTHER)
    assert len(asked_for(site)) == 2


def test_a_server_that_knows_no_ranges_starts_over(site, web, home, haste):
    site.routes[WANTED] = in_turn(cut(ranged(SONG), 2_000_000, haste), (200, {"ETag": '"1"'}, SONG))
    assert_whole(home, fetch(web, site, home))
    assert asked_for(site)[1][1] == '"1"'


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ETag": 'W/"weak"'},
        {"ETag": '"1"', "Accept-Ranges": "none"},
        {"ETag": "no quotes"},
        {"Last-Modified": "Fri, 01 Jan 2100 00:00:00 GMT"},
        {"Last-Modified": "yesterday"},
    ],
)
def test_without_a_sure_sign_that_the_file_is_the_same_nothing_is_kept(site, web, home, haste, headers):
    site.routes[WANTED] = in_turn(cut((200, headers, SONG), 2_000_000, haste), SONG)
    assert_whole(home, fetch(web, site, home))
    assert asked_for(site) == [(None, None)] * 2


DATE, LATER = "Sun, 01 Nov 2015 00:00:00 GMT", "Tue, 01 Nov 2016 00:00:00 GMT"


def test_a_date_that_is_old_enough_is_sure_too(site, web, home, haste):
    site.routes[WANTED] = in_turn(cut(ranged(SONG, DATE), 2_000_000, haste), ranged(SONG, DATE))
    assert_whole(home, fetch(web, site, home))
    assert [if_range for _, if_range in asked_for(site)] == [None, DATE]
    assert 0 < started_at(site)[1] <= 2_000_000


@pytest.mark.parametrize("date", ["yesterday", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"])
def test_an_answer_whose_own_date_is_wild_is_nothing_to_go_on_from(site, web, home, haste, date):
    def undated(asked):
        asked.handler.send_response_only(200)
        for name, value in {"Date": date, "Last-Modified": DATE, "Content-Length": str(len(SONG))}.items():
            asked.handler.send_header(name, value)
        asked.handler.end_headers()
        haste.was_read.clear()
        asked.handler.wfile.write(SONG[:2_000_000])
        haste.was_read.wait(1)
        break_off(asked)

    site.routes[WANTED] = in_turn(undated, SONG)
    assert_whole(home, fetch(web, site, home))
    assert asked_for(site) == [(None, None)] * 2


def continued(body, **headers):
    """Give the rest of a file to whoever asks for it, whatever If-Range says."""

    def rest(asked):
        if "range" not in asked.headers:
            return 200, headers, body
        start = int(asked.headers["range"].removeprefix("bytes=").removesuffix("-"))
        span = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return 206, {"Content-Range": span} | headers, body[start:]

    return rest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"ETag": '"1"'}, {"ETag": '"2"'}),
        ({"ETag": '"1"'}, {}),
        ({"ETag": '"1"', "Last-Modified": DATE}, {"Last-Modified": DATE}),
        ({"Last-Modified": DATE}, {"Last-Modified": LATER}),
        ({"Last-Modified": DATE}, {"Last-Modified": LATER, "ETag": '"2"'}),
    ],
)
def test_no_two_versions_are_mixed_though_a_server_ignores_if_range(site, web, home, haste, before, after):
    site.routes[WANTED] = in_turn(cut((200, before, SONG), 2_000_000, haste), continued(OTHER, **after))
    assert_whole(home, fetch(web, site, home), OTHER)
    assert [bool(start) for start in started_at(site)] == [False, True, False]


@pytest.mark.parametrize("validator", [{"ETag": '"1"'}, {"Last-Modified": DATE}])
def test_a_part_of_a_file_of_another_size_is_of_another_version(site, web, home, haste, validator):
    site.routes[WANTED] = in_turn(
        cut((200, validator, SONG), 2_000_000, haste), continued(OTHER[:2_500_000], **validator)
    )
    assert_whole(home, fetch(web, site, home), OTHER[:2_500_000])
    assert [bool(start) for start in started_at(site)] == [False, True, False]


def test_a_part_that_does_not_repeat_the_date_is_taken(site, web, home, haste):  # RFC 9110, 15.3.7
    site.routes[WANTED] = in_turn(cut((200, {"Last-Modified": DATE}, SONG), 2_000_000, haste), continued(SONG))
    assert_whole(home, fetch(web, site, home))
    assert [bool(start) for start in started_at(site)] == [False, True]


def test_a_part_that_does_not_name_the_size_must_still_end_where_the_file_ended(site, web, parked):
    def part(asked):
        start = started_at(site)[-1]
        span = f"bytes {start}-{start + 499_999}/*"
        return 206, {"ETag": '"1"', "Content-Range": span}, SONG[start : start + 500_000]

    site.routes[WANTED] = in_turn(part, ranged(SONG))
    assert_whole(parked, fetch(web, site, parked))
    first, second = started_at(site)
    assert second == first + 500_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"Content-Range": "bytes 7-3000003/3000004"},
        {"Content-Range": "bytes {start}-3000003/3000004", "ETag": '"2"'},
        {"Content-Range": "bytes */3000004"},
        {"Content-Range": "bytes two million"},
        {"Content-Type": "multipart/byteranges; boundary=x"},
        {},
    ],
)
def test_a_part_that_does_not_fit_is_thrown_away_with_what_was_there(site, web, parked, wrong):
    def part(asked):
        start = started_at(site)[-1]
        headers = {name: value.replace("{start}", str(start)) for name, value in wrong.items()}
        return 206, {"ETag": '"1"'} | headers, SONG[start:]

    site.routes[WANTED] = in_turn(part, SONG)
    assert_whole(parked, fetch(web, site, parked))
    assert [bool(start) for start in started_at(site)] == [True, False]


def test_a_part_that_ends_too_early_is_no_whole(site, web, parked):
    def part(asked):
        start = started_at(site)[-1]
        span = f"bytes {start}-{start + 499_999}/{len(SONG)}"
        return 206, {"ETag": '"1"', "Content-Range": span}, SONG[start : start + 500_000]

    site.routes[WANTED] = in_turn(part, ranged(SONG))
    assert_whole(parked, fetch(web, site, parked))
    first, second = started_at(site)
    assert second == first + 500_000


def test_a_range_that_cannot_be_satisfied_starts_over(site, web, parked):
    site.routes[WANTED] = in_turn((416, {}, b""), SONG)
    assert_whole(parked, fetch(web, site, parked))
    assert asked_for(site)[1] == (None, None)


@pytest.mark.parametrize("refusal", [(404, {}, b""), (200, {"X-Robots-Tag": "noai"}, SONG), b"<html>log in</html>"])
def test_what_is_refused_in_the_end_leaves_nothing(site, web, parked, refusal):
    site.routes[WANTED] = refusal
    assert isinstance(fetch(web, site, parked), ItemError)
    assert [path for path in parked.root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "note", [b"", b'"1', b'"1"', b'W/"1"\n3000004', b'"1"\r\nX-Injected: 1', b'"1"\nmany', b'"\xff"\n3000004']
)
def test_a_damaged_note_about_what_is_there_is_not_trusted(site, web, parked, note):
    [path] = (parked.root / "partial").glob("*.validator")
    path.write_bytes(note)
    assert_whole(parked, fetch(web, site, parked))
    assert asked_for(site) == [(None, None)]


@pytest.mark.parametrize("suffix", ["", ".validator"])
def test_a_note_without_its_bytes_and_bytes_without_their_note_are_not_trusted(site, web, parked, suffix):
    [path] = (path for path in (parked.root / "partial").iterdir() if path.suffix == suffix)
    path.unlink()
    result = fetch(web, site, parked)
    assert asked_for(site) == [(None, None)]
    assert parked.blob(result.sha256).read_bytes() == SONG


def test_one_address_that_two_ask_for_at_once_is_fetched_by_both(site, web, home):
    both = threading.Barrier(2)

    def together(asked):
        send(asked, 200, {"Content-Length": str(len(SONG)), "ETag": '"1"'}, SONG[:2_000_000])
        both.wait()
        asked.handler.wfile.write(SONG[2_000_000:])

    site.routes[WANTED] = together
    results = dict(web.download_all([Download(site.url + WANTED)] * 2, home))
    assert_whole(home, results[0])
    assert_whole(home, results[1])


def test_what_a_killed_process_fetched_is_not_fetched_again(home):
    is_far = threading.Event()
    is_over = threading.Event()

    def stall(asked):
        send(asked, 200, {"Content-Length": str(len(SONG)), "ETag": '"1"'}, SONG[:2_000_000])
        is_far.set()
        is_over.wait()
        break_off(asked)

    with Site({WANTED: stall}) as site:
        child = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("fetching_child.py"), site.host, site.url + WANTED, home.root],
            cwd=Path(__file__).parents[3],
        )
        is_far.wait()
        while not any(path.stat().st_size for path in (home.root / "partial").glob("*") if not path.suffix):
            pass  # what the server sent is on its way to the disk
        child.kill()
        child.wait()
        is_over.set()
        site.routes[WANTED] = ranged(SONG)
        assert_whole(home, fetch(site.web(), site, home))
        assert started_at(site)[-1] >= 1 << 20
