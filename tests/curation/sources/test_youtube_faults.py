"""What YouTube refuses, and what goes wrong on the way: each ends as a row, and nothing is gone around."""

import gzip
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from curation.errors import PARKED, ItemError
from curation.sources import _yt_dlp, youtube
from curation.store import Home
from tests.sites import Answer, Asked, Handler, Site, break_off, busy, gzip_bomb, in_turn, redirect, send
from tests.youtube_fetching import (
    MP4,
    OPUS,
    PLAYER,
    STREAM,
    WATCH,
    WEBM,
    fetch,
    files_below,
    item,
    refused,
    stored,
    video,
)
from tests.youtube_site import MEDIA_HOST, WWW, YouTubeSite
from tests.youtube_site import youtube as serve

SIGN_IN = ("LOGIN_REQUIRED", "Sign in to confirm your age")


@pytest.mark.parametrize(
    ("status", "subreason", "reason"),
    [
        (("ERROR", "Video unavailable"), "This video has been removed by the uploader", "gone"),
        (("ERROR", "Video unavailable"), "", "gone"),
        (("ERROR", "This video isn't available anymore"), "", "gone"),
        (
            ("ERROR", "Video unavailable"),
            "This video is no longer available because the YouTube account associated with it has been terminated.",
            "gone",
        ),
        (
            ("LOGIN_REQUIRED", "Private video"),
            "Sign in if you've been granted access to this video",
            "not_available",
        ),
        (
            ("UNPLAYABLE", "Video unavailable"),
            "The uploader has not made this video available in your country",
            "not_available",
        ),
        (
            ("UNPLAYABLE", "Video unavailable"),
            "This video contains content from SME, who has blocked it in your country on copyright grounds",
            "not_available",
        ),
        (SIGN_IN, "This video may be inappropriate for some users.", "login_required"),
        (("AGE_VERIFICATION_REQUIRED", "This video is age-restricted"), "", "login_required"),
        (
            ("UNPLAYABLE", "Join this channel to get access to members-only content like this video"),
            "",
            "login_required",
        ),
        (("UNPLAYABLE", "This video requires payment to watch"), "", "login_required"),
        (("UNPLAYABLE", "This video is only available to Music Premium members"), "", "login_required"),
        (("LIVE_STREAM_OFFLINE", "Premieres in 5 hours"), "", "not_available"),
        (("LIVE_STREAM_OFFLINE", "This live event will begin in a few moments."), "", "not_available"),
        (("LOGIN_REQUIRED", "Sign in to confirm you’re not a bot"), "This helps protect our community", "rate_limited"),
        (("UNPLAYABLE", "Video unavailable"), "This content isn't available, try again later.", "rate_limited"),
        (("UNPLAYABLE", "Something that was never heard before"), "", "changed_site"),
    ],
)
def test_what_youtube_does_not_give_has_a_reason(
    status: tuple[str, str], subreason: str, reason: str, tmp_path: Path
) -> None:
    with serve(video(status=status, subreason=subreason)) as site:
        (result,) = fetch(site, tmp_path)
        assert refused(result) == reason
        assert site.asked(STREAM) == []
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"live": "is_live"}, "not_available"),
        ({"is_drm": True}, "not_available"),
        ({"streams": {MP4: b"pictures"}}, "not_available"),
        ({"streams": {}}, "not_available"),
        ({"duration_s": 30}, "duration"),
        ({"duration_s": 36_000}, "duration"),
        ({"told_bytes": youtube.MAX_BYTES + 1}, "too_many_bytes"),
        ({"streams": {WEBM: b"<!DOCTYPE html><title>Sorry</title>"}}, "not_media"),
    ],
)
def test_what_is_not_collected_has_a_reason(facts: dict[str, object], reason: str, tmp_path: Path) -> None:
    with serve(video(**facts)) as site:
        (result,) = fetch(site, tmp_path)
    assert refused(result) == reason
    assert files_below(tmp_path) == []


def test_an_age_check_is_not_gone_around(tmp_path: Path) -> None:
    with serve(video(status=SIGN_IN)) as site:
        assert refused(fetch(site, tmp_path)[0]) == "login_required"
        clients = {json.loads(asked.body)["context"]["client"]["clientName"] for asked in site.asked(PLAYER)}
        assert "WEB_EMBEDDED_PLAYER" not in clients
        assert site.asked(f"/{WWW}/embed") == []


@pytest.mark.parametrize("said", ["bot", "busy"])
def test_after_a_rate_limit_nothing_is_asked_for_a_while(said: str, tmp_path: Path) -> None:
    bot = ("LOGIN_REQUIRED", "Sign in to confirm you’re not a bot")
    with serve(video(status=bot if said == "bot" else ("OK", "")), video(1), video(2)) as site:
        if said == "busy":
            site.routes[PLAYER] = in_turn(busy("600"), site.page)
        results = fetch(site, tmp_path, item(0), item(1), item(2))
        assert [refused(result) for result in results] == ["rate_limited", "host_paused", "host_paused"]
        assert len(site.asked(WATCH)) == 1
    assert all(isinstance(result, ItemError) and result.reason in PARKED for result in results)


@pytest.mark.parametrize("retry_after", ["Mon, 22 Nov 2032 07:00:00 GMT", "9" * 400])
def test_youtube_is_left_alone_for_as_long_as_it_asks(retry_after: str, tmp_path: Path) -> None:
    with serve(video(), video(1)) as site:
        site.routes[PLAYER] = in_turn(busy(retry_after), site.page)
        results = fetch(site, tmp_path, item(0), item(1))
        assert [refused(result) for result in results] == ["rate_limited", "host_paused"]
        assert len(site.asked(WATCH)) == 1


@pytest.mark.parametrize(
    "retry_after",
    [
        "Mon, 22 Nov 2032 07:00:00 +9999999999999999999999",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "\xb2",
        "soon",
    ],
)
def test_a_wild_date_to_retry_after_is_no_date(retry_after: str, tmp_path: Path) -> None:
    with serve(video()) as site:
        site.routes[PLAYER] = in_turn(busy(retry_after, 503), site.page)
        assert stored(tmp_path, fetch(site, tmp_path)[0]) == OPUS


def test_a_server_that_fails_once_is_asked_again(tmp_path: Path) -> None:
    with serve(video()) as site:
        site.routes[WATCH] = in_turn(busy(status=500), site.page)
        site.routes[STREAM] = in_turn(busy(status=502), site.page)
        assert stored(tmp_path, fetch(site, tmp_path)[0]) == OPUS


@pytest.mark.parametrize("path", [WATCH, PLAYER, STREAM])
def test_a_server_that_goes_on_failing_is_asked_three_times(path: str, tmp_path: Path) -> None:
    with serve(video()) as site:
        site.routes[path] = busy(status=500)
        assert refused(fetch(site, tmp_path)[0]) == "server_error"
        assert len(site.asked(path)) == 3


@pytest.mark.parametrize(("status", "reason"), [(403, "forbidden"), (404, "gone"), (451, "not_available")])
def test_a_stream_that_is_refused_is_not_asked_for_again(status: int, reason: str, tmp_path: Path) -> None:
    with serve(video()) as site:
        site.routes[STREAM] = (status, {}, b"")
        assert refused(fetch(site, tmp_path)[0]) == reason
        assert len(site.asked(STREAM)) == 1


def test_a_host_that_does_not_answer_is_unreachable(tmp_path: Path) -> None:
    with serve(video()) as site:
        site.routes[STREAM] = lambda asked: break_off(asked)
        assert refused(fetch(site, tmp_path)[0]) == "unreachable"


@pytest.mark.parametrize("path", [WATCH, PLAYER])
def test_a_page_that_is_a_bomb_is_not_unpacked(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.sources._yt_dlp_requests.MAX_PAGE_BYTES", 1 << 20)
    with serve(video()) as site:
        site.routes[path] = gzip_bomb(2 << 20)
        assert refused(fetch(site, tmp_path)[0]) == "too_many_bytes"


def test_a_page_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.sources._yt_dlp.MAX_PAGE_BYTES", 1 << 20)
    with serve(video()) as site:
        site.routes[WATCH] = bytes(2 << 20)
        assert refused(fetch(site, tmp_path)[0]) == "too_many_bytes"


def test_a_packed_page_is_read(tmp_path: Path) -> None:
    with serve(video()) as site:

        def packed(asked: Asked) -> Answer:
            status, headers, body = site.page(asked)
            assert asked.headers["accept-encoding"] == "gzip"
            return status, {**headers, "Content-Encoding": "gzip"}, gzip.compress(body)

        site.routes[WATCH] = site.routes[PLAYER] = packed
        assert stored(tmp_path, fetch(site, tmp_path)[0]) == OPUS


@pytest.mark.parametrize("path", [WATCH, PLAYER, STREAM])
def test_a_host_that_goes_silent_is_timed_out(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_yt_dlp.PARAMETERS, "socket_timeout", 0.1)
    is_over = threading.Event()

    def silent(asked: Asked) -> None:
        status, headers, body = site.page(asked)
        send(asked, status, {**headers, "Content-Length": str(len(body))}, body[: len(body) // 2])
        is_over.wait()
        break_off(asked)

    with serve(video()) as site:
        site.routes[path] = silent
        try:
            assert refused(fetch(site, tmp_path)[0]) == "timed_out"
        finally:
            is_over.set()


def test_what_robots_txt_closes_is_not_asked_for(tmp_path: Path) -> None:
    with serve(video()) as site:
        site.routes["/robots.txt"] = b"User-agent: *\nDisallow: /watch\n"
        assert refused(fetch(site, tmp_path)[0]) == "robots_disallowed"
        assert site.media_requests == []


@pytest.mark.parametrize("path", [WATCH, STREAM])
def test_a_recording_that_must_not_be_used_is_not_stored(path: str, tmp_path: Path) -> None:
    with serve(video()) as site:

        def reserved(asked: Asked) -> Answer:
            status, headers, body = site.page(asked)
            return status, {**headers, "TDM-Reservation": "1"}, body

        site.routes[path] = reserved
        assert refused(fetch(site, tmp_path)[0]) == "opted_out"
    assert files_below(tmp_path) == []


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("http://127.0.0.1:9/secret", "address_refused"),
        ("http://169.254.169.254/latest/meta-data", "address_refused"),
        ("file:///etc/passwd", "address_refused"),
        ("ftp://example.org/song.webm", "address_refused"),
        ("https://example.org/song.webm", "address_refused"),
        ("https://user:pass@www.youtube.com/", "address_refused"),
        ("https://accounts.google.com/ServiceLogin", "login_required"),
        ("https://www.google.com/sorry/index", "rate_limited"),
    ],
)
@pytest.mark.parametrize("path", [WATCH, STREAM])
def test_a_redirect_out_of_youtube_is_not_followed(path: str, to: str, reason: str, tmp_path: Path) -> None:
    with serve(video()) as site:
        site.routes[path] = redirect(to)
        assert refused(fetch(site, tmp_path)[0]) == reason
        assert len(site.asked(path)) == 1


@pytest.mark.parametrize("host", ["127.0.0.1:9", "rebound.googlevideo.com.example.org", "[::1]"])
def test_a_stream_that_lies_elsewhere_is_not_asked_for(host: str, tmp_path: Path) -> None:
    with serve(video()) as site:

        def moved(asked: Asked) -> Answer:
            status, headers, body = site.page(asked)
            return status, headers, body.replace(MEDIA_HOST.encode(), host.encode())

        site.routes[PLAYER] = moved
        assert refused(fetch(site, tmp_path)[0]) == "address_refused"


def test_a_name_of_youtube_that_leads_into_a_private_network_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(video()) as site:
        monkeypatch.setattr(site.__class__, "settings", Site.settings)  # www.youtube.com may not be private here
        monkeypatch.setattr(_yt_dlp.socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("10.0.0.7", 443))])
        client = _yt_dlp.Client(site.client())
        with pytest.raises(_yt_dlp.Refused, match="10.0.0.7"):
            client._connect(("www.youtube.com", 443), 1.0)


def test_more_bytes_than_allowed_end_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(youtube, "MAX_BYTES", 1000)
    with serve(video(told_bytes=0)) as site:
        assert refused(fetch(site, tmp_path)[0]) == "too_many_bytes"
    assert files_below(tmp_path) == []


def cut_after(site: YouTubeSite, size_bytes: int) -> Handler:
    def handle(asked: Asked) -> None:
        status, headers, body = site.page(asked)
        send(asked, status, {**headers, "Content-Length": str(len(body))}, body[:size_bytes])
        break_off(asked)

    return handle


def starts(asked: list[Asked]) -> list[int]:
    return [int(asked.headers["range"].removeprefix("bytes=").partition("-")[0]) for asked in asked]


def test_a_body_that_was_cut_off_is_gone_on_with(tmp_path: Path) -> None:
    with serve(video()) as site:
        site.routes[STREAM] = in_turn(cut_after(site, 50_000), cut_after(site, 70_000), site.page)
        assert stored(tmp_path, fetch(site, tmp_path)[0]) == OPUS
        assert starts(site.asked(STREAM)) == [0, 50_000, 120_000]


def test_what_came_before_a_host_went_silent_is_kept_for_a_retry(tmp_path: Path) -> None:
    with serve(video()) as site:
        site.routes[STREAM] = in_turn(cut_after(site, 20_000), cut_after(site, 0))
        (result,) = fetch(site, tmp_path)
        assert refused(result) == "incomplete"
        (partial,) = files_below(tmp_path)
        assert partial.name.startswith(hashlib.sha256(item().address.encode()).hexdigest())
        had = partial.stat().st_size
        assert had == 20_000
        site.requests.clear()
        del site.routes[STREAM]
        assert stored(tmp_path, fetch(site, tmp_path)[0]) == OPUS
        assert starts(site.asked(STREAM)) == [had]
    assert len(files_below(tmp_path)) == 1


def test_a_stream_that_changed_meanwhile_is_fetched_from_its_beginning(tmp_path: Path) -> None:
    other = OPUS[:100] + bytes(len(OPUS))
    with serve(video()) as site:
        site.routes[STREAM] = in_turn(cut_after(site, 20_000), cut_after(site, 0))
        assert refused(fetch(site, tmp_path)[0]) == "incomplete"
        site.videos["video000000"] = video(streams={WEBM: other})
        site.requests.clear()
        del site.routes[STREAM]
        assert stored(tmp_path, fetch(site, tmp_path)[0]) == other
        assert starts(site.asked(STREAM)) == [0]
    assert len(files_below(tmp_path)) == 1


def test_a_download_that_takes_too_long_is_parked_with_what_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(youtube, "MAX_SECONDS", -1)
    with serve(video()) as site:
        assert refused(fetch(site, tmp_path)[0]) == "timed_out"
        (partial,) = files_below(tmp_path)
        had = partial.stat().st_size
        assert 0 < had < len(OPUS)


def test_a_stream_that_is_shorter_than_youtube_told_is_not_stored(tmp_path: Path) -> None:
    with serve(video(told_bytes=len(OPUS) + 50)) as site:
        assert refused(fetch(site, tmp_path)[0]) == "incomplete"
    assert files_below(tmp_path) == []


def test_a_download_that_was_whole_when_the_process_was_killed_is_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with serve(video()) as site:
        with monkeypatch.context() as patch:
            patch.setattr(Home, "adopt_blob", kill)
            with pytest.raises(Killed):
                fetch(site, tmp_path)
        site.requests.clear()
        assert stored(tmp_path, fetch(site, tmp_path)[0]) == OPUS
        assert site.asked(STREAM) == []


def test_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from yt_dlp.downloader.http import HttpFD

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(HttpFD, "sanitize_open", full)
    with serve(video()) as site, pytest.raises(OSError, match="No space left"):
        fetch(site, tmp_path)


def test_another_recording_in_its_place_is_not_taken(tmp_path: Path) -> None:
    trailer = {"playabilityStatus": {"status": "UNPLAYABLE", "reason": "This video requires payment to watch"}}
    trailer["playabilityStatus"]["errorScreen"] = {  # type: ignore[assignment]
        "playerLegacyDesktopYpcTrailerRenderer": {"trailerVideoId": "video000001"}
    }

    def player(asked: Asked) -> Answer:
        if b"video000001" in asked.body:
            return site.page(asked)
        details = {"videoDetails": {"videoId": "video000000", "title": "Opera"}}
        return 200, {"Content-Type": "application/json"}, json.dumps(trailer | details).encode()

    with serve(video(), video(1)) as site:
        site.routes[PLAYER] = player
        assert refused(fetch(site, tmp_path)[0]) == "not_available"


def test_a_failure_ends_one_item_only(tmp_path: Path) -> None:
    with serve(video(0), video(2, streams={WEBM: OPUS[:4000]})) as site:
        results = fetch(site, tmp_path, item(0), item(1), item(2))
    assert stored(tmp_path, results[0]) == OPUS
    assert refused(results[1]) == "gone"
    assert stored(tmp_path, results[2]) == OPUS[:4000]


def test_signed_addresses_are_in_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), serve(video()) as site:
        site.routes[STREAM] = in_turn(cut_after(site, 50_000), busy(status=500), site.page)
        fetch(site, tmp_path)
        site.routes[STREAM] = (403, {}, b"")
        fetch(site, tmp_path)
    assert "SECRET" not in caplog.text


KILLED = """
import os, sys
from curation.sources import Found, Tools, youtube
from curation.store import Home
from curation.web import Web, WebSettings
from tests.youtube_site import MEDIA_HOST, WWW, pretend
host, home = sys.argv[1:]
address = "https://www.youtube.com/watch?v=video000000"
with pretend(host):
    web = Web(WebSettings("curator@example.org", frozenset({host, WWW, MEDIA_HOST})))
    list(youtube.fetched([Found("video000000", address, youtube.Facts(address))], Tools(Home(home), web)))
"""


def test_a_killed_download_goes_on_where_it_ended(tmp_path: Path) -> None:
    body = OPUS * 12
    with serve(video(streams={WEBM: body})) as site:
        children: list[subprocess.Popen[bytes]] = []

        def kill(asked: Asked) -> None:
            status, headers, part = site.page(asked)
            send(asked, status, {**headers, "Content-Length": str(len(part))}, part[: len(part) // 2])
            assert asked.handler
            asked.handler.wfile.flush()
            partials = tmp_path / "partial"
            while not any(path.stat().st_size for path in partials.iterdir()):  # until some of it is on the disk
                os.sched_yield()
            children[0].send_signal(signal.SIGKILL)
            children[0].wait()
            break_off(asked)

        site.routes[STREAM] = kill
        code = KILLED.replace("Home(home)", "Home(__import__('pathlib').Path(home))")
        command = [sys.executable, "-c", code, site.host, str(tmp_path)]
        children.append(subprocess.Popen(command, cwd=Path(__file__).parents[3]))
        assert children[0].wait() == -signal.SIGKILL
        (partial,) = files_below(tmp_path)
        had = partial.stat().st_size
        assert 0 < had < len(body)
        site.requests.clear()
        site.routes[STREAM] = site.page
        assert stored(tmp_path, fetch(site, tmp_path)[0]) == body
        assert starts(site.asked(STREAM))[0] == had
    assert len(files_below(tmp_path)) == 1
