import hashlib
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from curation.errors import PARKED, REASONS, ItemError
from curation.sources import Fetched
from curation.web import Download, Limits
from curation.web import download as downloading
from tests.sites import Names, Site, break_off, busy, cut, drip, gzip_bomb, in_turn, redirect, send

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8
FLAC = b"fLaC" + bytes(range(256)) * 8
WANTED = "/a.jpg"


def fetch(web, site, home, path=WANTED, **details):
    [(index, result)] = web.download_all([Download(site.url + path, **details)], home)
    assert index == 0
    return result


def files(home):
    return sorted(path for path in home.root.rglob("*") if path.is_file())


def assert_fetched(home, result, body):
    assert isinstance(result, Fetched), result
    assert result.sha256 == hashlib.sha256(body).hexdigest()
    assert result.size_bytes == len(body)
    assert files(home) == [home.blob(result.sha256)]
    assert home.blob(result.sha256).read_bytes() == body


def assert_refused(home, result, reason):
    assert isinstance(result, ItemError), result
    assert result.reason == reason
    assert files(home) == []


@pytest.mark.parametrize(("body", "modality"), [(JPEG, "image"), (FLAC, "music"), (JPEG * 2000, "image")])
def test_a_file_becomes_a_blob_and_its_type_is_told_by_its_content(site, web, home, body, modality):
    site.routes[WANTED] = (
        200,
        {"Content-Type": "text/html", "ETag": '"v1"', "Last-Modified": "Sun, 01 Nov 2026 00:00:00 GMT"},
        body,
    )
    result = fetch(web, site, home)
    assert_fetched(home, result, body)
    assert result.modality == modality
    assert (result.etag, result.last_modified) == ('"v1"', "Sun, 01 Nov 2026 00:00:00 GMT")


def test_a_body_of_unknown_length_is_fetched_to_its_end(site, web, home):
    def chunked(asked):
        send(asked, 200, {"Transfer-Encoding": "chunked"}, b"")
        asked.handler.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(JPEG), JPEG))

    site.routes[WANTED] = chunked
    assert_fetched(home, fetch(web, site, home), JPEG)


# The server is busy or broken


def test_a_429_with_retry_after_in_seconds_is_waited_for(site, web, home, haste):
    site.routes[WANTED] = in_turn(busy("17"), JPEG)
    assert_fetched(home, fetch(web, site, home), JPEG)
    assert sum(haste.slept) == pytest.approx(17, abs=0.5)


def test_a_429_with_retry_after_as_a_date_is_waited_for_by_the_servers_own_clock(site, web, home, haste):
    def wait(asked):
        send(asked, 429, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)}, b"")

    site.routes[WANTED] = in_turn(wait, JPEG)
    assert_fetched(home, fetch(web, site, home), JPEG)
    assert 35 < sum(haste.slept) < 42


@pytest.mark.parametrize(
    "retry_after", ["3600", "Wed, 01 Jan 2098 00:00:00 GMT", "9" * 400, "Mon, 01 Jan 9999 00:00:00 -2359"]
)
def test_a_long_retry_after_parks_the_item_at_once_and_pauses_the_host(site, web, home, haste, retry_after):
    site.routes[WANTED] = busy(retry_after)
    site.routes["/b.jpg"] = JPEG
    assert_refused(home, fetch(web, site, home), "rate_limited")
    assert_refused(home, fetch(web, site, home, "/b.jpg"), "host_paused")
    assert haste.slept == []
    assert [asked.path for asked in site.media_requests] == [WANTED]


@pytest.mark.parametrize(
    "retry_after",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "Wed, 99 Jan",
        "²",
        "Mon, 01 Jan 2025 00:00:00 +99999999999999999999",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    ],
)
def test_a_429_that_does_not_say_how_long_is_waited_for(site, web, home, haste, retry_after):
    def wait(asked):
        send(asked, 429, {"Retry-After": retry_after.encode().decode("latin-1")}, b"")

    site.routes[WANTED] = in_turn(wait, JPEG)
    assert_fetched(home, fetch(web, site, home), JPEG)
    assert sum(haste.slept) >= 9


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 408])
def test_a_server_that_fails_for_a_moment_is_asked_again_ever_later(site, web, home, haste, status):
    site.routes[WANTED] = in_turn((status, {}, b""), (status, {}, b""), (status, {}, b""), JPEG)
    assert_fetched(home, fetch(web, site, home), JPEG)
    first, second, third = haste.slept
    assert 1 <= first <= 2 <= second <= 3
    assert 4 <= third <= 5


def test_a_server_that_keeps_failing_parks_the_item(site, web, home):
    site.routes[WANTED] = 503, {}, b""
    result = fetch(web, site, home)
    assert_refused(home, result, "server_error")
    assert result.detail == "HTTP 503"
    assert len(site.media_requests) == 4


def test_a_host_that_keeps_failing_is_left_alone_and_asked_again_after_its_pause(site, web, home, haste):
    site.otherwise = lambda asked: (503, {}, b"") if asked.path.endswith(".jpg") else (404, {}, b"")
    requests = [Download(f"{site.url}/{number}.jpg") for number in range(100)]
    reasons = [result.reason for _, result in web.download_all(requests, home)]
    assert set(reasons) == {"server_error", "host_paused"}
    assert len(site.media_requests) < 40
    site.otherwise = lambda asked: JPEG
    haste.ahead_s += 60
    results = dict(web.download_all(requests, home))
    assert len(results) == 100
    assert all(isinstance(result, Fetched) for result in results.values())


def test_nobody_at_the_other_end_is_unreachable(home):
    with Site() as gone:
        pass
    with Site() as site:
        result = fetch(site.web(gone), gone, home)
    assert_refused(home, result, "unreachable")


def test_a_name_that_does_not_exist_is_unreachable(site, home):
    web = site.web(resolver=Names())
    web.set_rates({".invalid": 1000.0})
    [(_, result)] = web.download_all([Download("http://there-is-none.invalid/a.jpg")], home)
    assert_refused(home, result, "unreachable")


def test_what_is_no_http_is_a_failure_of_the_server(site, web, home):
    def babble(asked):
        asked.handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        break_off(asked)

    site.routes[WANTED] = babble
    assert_refused(home, fetch(web, site, home), "server_error")


def test_headers_without_end_are_a_failure_of_the_server(site, web, home):
    site.routes[WANTED] = 200, {"X-Long": "x" * 60_000}, JPEG
    assert_refused(home, fetch(web, site, home), "server_error")


# The server is slow


def test_a_slow_loris_is_given_up(site, web, home, haste):
    site.routes[WANTED] = drip(JPEG[:1000], 50, haste, each_s=5)
    assert_refused(home, fetch(web, site, home), "timed_out")


def test_a_file_that_comes_slowly_but_steadily_is_waited_for(site, web, home, haste):
    site.routes[WANTED] = drip(JPEG * 20, 20, haste, each_s=5)
    assert_fetched(home, fetch(web, site, home), JPEG * 400)


@pytest.mark.parametrize("begins", ["", "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n\xff\xd8\xff"])
def test_a_server_that_falls_silent_is_given_up(site, home, begins):
    is_over = threading.Event()

    def fall_silent(asked):
        asked.handler.wfile.write(begins.encode("latin-1"))
        is_over.wait()
        break_off(asked)

    site.routes[WANTED] = fall_silent
    web = site.web(limits=Limits(connect_s=0.05, silence_s=0.1))
    try:
        assert_refused(home, fetch(web, site, home), "timed_out")
    finally:
        is_over.set()


def test_headers_that_drip_are_given_up(site, home):
    is_over = threading.Event()

    def drip_headers(asked):
        asked.handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not is_over.wait(0.02):  # more often than a silence takes
            asked.handler.wfile.write(b"X-More: x\r\n")
        break_off(asked)

    site.routes[WANTED] = drip_headers
    web = site.web(limits=Limits(connect_s=0.05, silence_s=0.1))
    try:
        assert_refused(home, fetch(web, site, home), "timed_out")
    finally:
        is_over.set()


# The body is not what was promised


def test_a_body_that_is_cut_off_is_asked_for_again(site, web, home):
    site.routes[WANTED] = in_turn(cut(JPEG, 700), JPEG)
    assert_fetched(home, fetch(web, site, home), JPEG)


def test_a_content_length_that_is_too_large_is_a_cut(site, web, home):
    site.routes[WANTED] = cut(JPEG, len(JPEG) - 1)
    assert_refused(home, fetch(web, site, home), "incomplete")


def test_a_chunked_body_without_its_end_is_a_cut(site, web, home):
    def chunked(asked):
        send(asked, 200, {"Transfer-Encoding": "chunked"}, b"")
        asked.handler.wfile.write(b"%x\r\n%b\r\n" % (len(JPEG), JPEG))
        break_off(asked)

    site.routes[WANTED] = chunked
    assert_refused(home, fetch(web, site, home), "incomplete")


def test_a_content_length_that_is_too_small_harms_no_other_file(site, web, home):
    site.routes[WANTED] = 200, {"Content-Length": "1000"}, JPEG
    site.routes["/b.jpg"] = FLAC
    requests = [Download(site.url + path) for path in (WANTED, "/b.jpg") * 5]
    for index, result in web.download_all(requests, home):
        if index % 2:
            assert result.sha256 == hashlib.sha256(FLAC).hexdigest()
        elif isinstance(result, ItemError):  # what was too much came at once, in place of the next answer
            assert result.reason == "server_error"
        else:
            assert result.size_bytes == 1000  # the decoder will judge it


@pytest.mark.parametrize("length", ["-5", "ten", "5, 6"])
def test_a_content_length_that_is_no_number_is_a_failure_of_the_server(site, web, home, length):
    site.routes[WANTED] = 200, {"Content-Length": length}, JPEG
    assert_refused(home, fetch(web, site, home), "server_error")


@pytest.mark.parametrize(
    ("content_type", "body", "reason"),
    [
        ("text/html", b"<!DOCTYPE html><title>Log in</title>", "not_media"),
        ("image/jpeg", b"\xef\xbb\xbf\n  <html>", "not_media"),
        ("image/jpeg", b'{"error": "quota"}', "not_media"),
        ("application/json", b"null", "not_media"),
        ("image/jpeg", b"BM, what is this?", "unknown_type"),
        ("image/svg+xml", b"<svg/>", "not_media"),
        ("image/jpeg", b"", "empty_file"),
    ],
)
def test_what_is_no_picture_is_refused_whatever_it_is_called(site, web, home, content_type, body, reason):
    site.routes[WANTED] = 200, {"Content-Type": content_type}, body
    assert_refused(home, fetch(web, site, home), reason)
    assert len(site.media_requests) == 1


def test_a_recording_in_place_of_a_picture_is_refused(site, web, home):
    site.routes[WANTED] = FLAC
    assert_refused(home, fetch(web, site, home, modality="image"), "not_media")
    assert isinstance(fetch(web, site, home, modality="music"), Fetched)


def test_a_packed_body_that_nobody_asked_for_is_refused_unread(site, web, home):
    site.routes[WANTED] = gzip_bomb(1 << 24)
    assert_refused(home, fetch(web, site, home), "not_media")
    assert {asked.headers["accept-encoding"] for asked in site.requests} == {"identity"}


@pytest.mark.parametrize("coding", ["br", "zstd", "aes128gcm", "gzip, identity", "utf-8, gzip", "x" * 2000])
def test_no_coding_that_nobody_asked_for_is_taken(site, web, home, coding):
    site.routes[WANTED] = 200, {"Content-Encoding": coding}, JPEG
    assert_refused(home, fetch(web, site, home), "not_media")


@pytest.mark.parametrize("label", ["utf-8", "UTF-8", "none", "", "identity", "identity, utf-8"])
def test_a_label_that_is_no_coding_at_all_changes_nothing(site, web, home, label):
    site.routes[WANTED] = 200, {"Content-Encoding": label}, JPEG
    assert_fetched(home, fetch(web, site, home), JPEG)


def test_a_file_that_says_that_it_is_too_large_is_not_read(site, web, home, monkeypatch):
    monkeypatch.setitem(downloading.MAX_BYTES, "image", 1500)
    site.routes[WANTED] = cut(JPEG, 600)  # it would end as incomplete
    assert_refused(home, fetch(web, site, home), "too_many_bytes")
    assert len(site.media_requests) == 1


@pytest.mark.parametrize("body", [JPEG, JPEG * 2000])
def test_a_file_that_does_not_say_that_it_is_too_large_is_cut_off(site, web, home, monkeypatch, body):
    def endless(asked):
        send(asked, 200, {"Transfer-Encoding": "chunked", "ETag": '"1"'}, b"")
        for _ in range(1000):
            asked.handler.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))

    monkeypatch.setitem(downloading.MAX_BYTES, "image", 1_500_000)
    site.routes[WANTED] = endless
    assert_refused(home, fetch(web, site, home), "too_many_bytes")


# The server refuses


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        *((400, "forbidden"), (401, "login_required"), (402, "login_required"), (403, "forbidden"), (404, "gone")),
        *((405, "forbidden"), (410, "gone"), (418, "forbidden"), (451, "not_available"), (204, "changed_site")),
        *((300, "changed_site"), (304, "changed_site"), (206, "changed_site")),
    ],
)
def test_a_refusal_is_obeyed_at_once(site, web, home, status, reason):
    site.routes[WANTED] = status, {}, b"" if status in (204, 304) else b"no"
    assert_refused(home, fetch(web, site, home), reason)
    assert len(site.media_requests) == 1
    assert reason not in PARKED


# Redirects


def test_five_redirects_are_followed_and_six_are_not(site, web, home):
    for number in range(6):
        site.routes[f"/{number}"] = redirect(f"{number + 1}", 301 + number % 3)
    site.routes["/6"] = JPEG
    assert_fetched(home, fetch(web, site, home, "/1"), JPEG)
    assert fetch(web, site, home, "/0").reason == "too_many_redirects"


def test_a_redirect_to_itself_ends(site, web, home):
    site.routes[WANTED] = redirect(WANTED)
    assert_refused(home, fetch(web, site, home), "too_many_redirects")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_into_a_private_network_is_refused(site, web, home, status):
    with Site({"/secret": JPEG}) as private:
        site.routes[WANTED] = redirect(f"{private.url}/secret", status)
        assert_refused(home, fetch(web, site, home), "address_refused")
        assert private.requests == []


@pytest.mark.parametrize(
    "target",
    [
        *("file:///etc/passwd", "ftp://example.org/a.jpg", "http://user:secret@example.org/a.jpg", "//127.0.0.1:1/"),
        *(
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]/",
            "http://127.1/",
            "http://[",
            "data:,x",
        ),
    ],
)
def test_a_redirect_to_what_may_not_be_asked_is_refused(site, web, home, target):
    site.routes[WANTED] = redirect(target)
    result = fetch(web, site, home)
    assert_refused(home, result, "address_refused")
    assert "secret" not in result.detail


def test_a_redirect_without_an_address_is_a_changed_site(site, web, home):
    site.routes[WANTED] = 302, {}, b""
    assert_refused(home, fetch(web, site, home), "changed_site")


# What is known


def test_what_did_not_change_comes_back_as_it_was_known(site, web, home):
    def conditional(asked):
        return (304, {}, b"") if asked.headers.get("if-none-match") == '"v1"' else (200, {"ETag": '"v1"'}, JPEG)

    site.routes[WANTED] = conditional
    known = fetch(web, site, home)
    assert fetch(web, site, home, known=known) is known
    home.blob(known.sha256).unlink()
    again = fetch(web, site, home, known=known)
    assert again == known
    assert home.blob(known.sha256).exists()


def test_who_opts_out_later_is_obeyed_though_nothing_else_changed(site, web, home):
    site.routes[WANTED] = in_turn((200, {"ETag": '"v1"'}, JPEG), (304, {"X-Robots-Tag": "noai"}, b""))
    known = fetch(web, site, home)
    assert fetch(web, site, home, known=known).reason == "opted_out"


def test_the_date_is_asked_by_where_there_is_no_etag(site, web, home):
    date = "Sun, 01 Nov 2026 00:00:00 GMT"

    def conditional(asked):
        is_known = asked.headers.get("if-modified-since") == date
        return (304, {}, b"") if is_known else (200, {"Last-Modified": date}, JPEG)

    site.routes[WANTED] = conditional
    known = fetch(web, site, home)
    assert fetch(web, site, home, known=known) is known


def test_what_changed_is_fetched(site, web, home):
    known = Fetched("image", "0" * 64, 1, etag='"old"')
    home.blob(known.sha256).parent.mkdir(parents=True)
    home.blob(known.sha256).write_bytes(b"x")
    site.routes[WANTED] = JPEG
    assert fetch(web, site, home, known=known).sha256 == hashlib.sha256(JPEG).hexdigest()
    assert site.media_requests[0].headers["if-none-match"] == '"old"'


@pytest.mark.parametrize("text", ['"a"\r\nX-Injected: 1', "no quotes", "", '"ü"'])
def test_no_text_from_outside_becomes_a_header(site, web, home, text):
    known = Fetched("image", "0" * 64, 1, etag=text, last_modified=text)
    home.blob(known.sha256).parent.mkdir(parents=True)
    home.blob(known.sha256).write_bytes(b"x")
    site.routes[WANTED] = JPEG
    assert isinstance(fetch(web, site, home, known=known, page=f"http://a.test/{text}"), Fetched)
    [asked] = site.media_requests
    assert not {"if-none-match", "if-modified-since", "x-injected"} & set(asked.headers)


@pytest.mark.parametrize(
    ("page", "sent"),
    [
        ("https://a.test/page#part", "https://a.test/page"),
        *((page, None) for page in ("", "http://user:secret@a.test/", "file:///x", "http://[")),
    ],
)
def test_the_page_that_a_file_stands_on_is_named(site, web, home, page, sent):
    site.routes[WANTED] = JPEG
    fetch(web, site, home, page=page)
    assert site.media_requests[0].headers.get("referer") == sent


# Many


def test_each_of_many_ends_once_and_none_holds_up_another(site, web, home):
    def route(asked):
        number = int(asked.path.strip("/"))
        return [(404, {}, b""), b"<html>", JPEG + bytes([number % 256]), (302, {"Location": "file:///x"}, b"")][
            number % 4
        ]

    site.otherwise = lambda asked: route(asked) if asked.path.strip("/").isdecimal() else (404, {}, b"")
    results = list(web.download_all([Download(f"{site.url}/{number}") for number in range(400)], home))
    assert sorted(index for index, _ in results) == list(range(400))
    ends = {index: result.reason if isinstance(result, ItemError) else "fetched" for index, result in results}
    assert [ends[n] for n in range(4)] == ["gone", "not_media", "fetched", "address_refused"]
    assert all(ends[n] == ends[n % 4] for n in range(400))


def test_whoever_stops_listening_stops_the_fetching(site, web, home):
    is_closed = threading.Event()

    def picture(asked):
        if asked.path == "/0.jpg":
            return JPEG
        is_closed.wait()
        return JPEG

    site.otherwise = lambda asked: picture(asked) if asked.path.endswith(".jpg") else (404, {}, b"")
    results = web.download_all([Download(f"{site.url}/{number}.jpg") for number in range(500)], home)
    assert next(results)[0] == 0
    results.close()
    is_closed.set()
    assert web.get(f"{site.url}/500.jpg", max_bytes=10_000) == JPEG
    assert len(site.media_requests) < 20


def test_nothing_to_fetch_asks_nothing(site, web, home):
    assert list(web.download_all([], home)) == []
    assert site.requests == []


def test_a_mistake_of_ours_ends_the_run(site, web, home, monkeypatch):
    monkeypatch.setattr(downloading.media_types, "modality", lambda head: 1 / 0)
    site.routes[WANTED] = JPEG
    with pytest.raises(ZeroDivisionError):
        fetch(web, site, home)


def test_a_full_disk_ends_the_run_and_blames_no_item(site, web, home, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("curation.store.Home.put_blob", full)
    site.routes[WANTED] = JPEG
    with pytest.raises(OSError, match="No space left"):
        fetch(web, site, home)


def test_what_somebody_asked_to_remove_is_not_stored(site, web, home):
    folder = home.root / "tombstones" / hashlib.sha256(JPEG).hexdigest()
    folder.mkdir(parents=True)
    (folder / "a.json").write_text("{}")
    site.routes[WANTED] = JPEG
    assert fetch(web, site, home).reason == "removed"
    assert not (home.root / "blobs").exists()


def test_every_reason_that_a_fetch_may_end_with_is_one_of_the_closed_list():
    from curation.web import client

    assert {*client.REFUSALS.values(), *client.TROUBLES.values()} <= set(REASONS)
    assert set(client.TROUBLES.values()) <= PARKED
