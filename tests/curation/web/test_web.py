import gzip
import subprocess
import sys
import threading
import tracemalloc

import pytest

import curation.web
from curation.errors import ItemError
from curation.web import Download, Web, WebSettings
from rules.errors import ConfigurationError
from tests.sites import busy, drip, gzip_bomb, redirect, send

PAGE = b'{"images": []}'


def test_a_page_is_returned_whole(site, web):
    site.routes["/list"] = PAGE
    assert web.get(f"{site.url}/list?page=1", max_bytes=100) == PAGE
    assert site.media_requests[0].query == {"page": ["1"]}


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_a_page_that_is_packed_though_nobody_asked_is_unpacked(site, web, encoding):
    site.routes["/list"] = 200, {"Content-Encoding": encoding}, gzip.compress(PAGE)
    assert web.get(f"{site.url}/list", max_bytes=100) == PAGE


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (PAGE * 100, "too_many_bytes"),
        ((200, {"Content-Encoding": "br"}, PAGE), "changed_site"),
        ((200, {"Content-Encoding": "gzip"}, PAGE), "changed_site"),
        ((200, {"Content-Encoding": "gzip"}, gzip.compress(PAGE)[:-4]), "changed_site"),
        ((206, {}, PAGE), "changed_site"),
        ((404, {}, PAGE), "gone"),
        ((401, {}, PAGE), "login_required"),
        ((500, {}, PAGE), "server_error"),
        (busy("9999"), "rate_limited"),
        (redirect("http://127.0.0.1:1/"), "address_refused"),
    ],
)
def test_a_page_that_cannot_be_had_says_why(site, web, answer, reason):
    site.routes["/list"] = answer
    with pytest.raises(ItemError) as raised:
        web.get(f"{site.url}/list", max_bytes=100)
    assert raised.value.reason == reason


def test_a_bomb_is_not_unpacked_beyond_the_limit(site, web):
    site.routes["/list"] = gzip_bomb(1 << 28)
    tracemalloc.start()
    try:
        with pytest.raises(ItemError, match="too_many_bytes"):
            web.get(f"{site.url}/list", max_bytes=1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_a_packed_page_that_never_says_anything_is_not_read_without_end(site, web):
    empty_block = b"\x00\x00\x00\xff\xff"  # of deflate: stored, without bytes

    def endless(asked):
        send(asked, 200, {"Content-Encoding": "gzip", "Content-Length": "9" * 9}, gzip.compress(b"")[:10])
        while True:
            asked.handler.wfile.write(empty_block * 1000)

    site.routes["/list"] = endless
    with pytest.raises(ItemError, match="too_many_bytes"):
        web.get(f"{site.url}/list", max_bytes=100_000)


def test_a_page_that_comes_too_slowly_is_given_up(site, web, haste):
    site.routes["/list"] = drip(b" " * 100, 50, haste, each_s=5)
    with pytest.raises(ItemError, match="timed_out"):
        web.get(f"{site.url}/list", max_bytes=100_000)


def test_a_certificate_that_nobody_vouches_for_is_refused(site, home, tmp_path):
    site.routes["/a.jpg"] = b"\xff\xd8\xff\xe0"
    site.encrypt(tmp_path)
    [(_, result)] = site.web().download_all([Download(f"https://{site.host}/a.jpg")], home)
    assert result.reason == "unreachable"
    assert "certificate verify failed" in result.detail
    assert site.requests == []


def test_all_workers_of_a_process_share_one_client():
    settings = WebSettings("tester@example.org", frozenset({"127.0.0.1:1"}))
    clients: list[Web] = []
    threads = [threading.Thread(target=lambda: clients.append(curation.web.of(settings))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(client) for client in clients}) == 1
    assert curation.web.of(WebSettings("other@example.org")) is not clients[0]


@pytest.mark.parametrize("contact", ["", "  ", "a@b.c\r\nCookie: x", "tëster@example.org"])
def test_a_contact_that_cannot_be_sent_is_refused(contact):
    with pytest.raises(ConfigurationError, match="contact"):
        Web(WebSettings(contact))


def test_to_name_the_settings_costs_no_client():
    heavy = "aiohttp", "protego", "tenacity", "aiolimiter"
    code = f"import sys, curation.sources, curation.web; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_many_threads_download_at_once(site, web, home):
    site.otherwise = lambda asked: b"\xff\xd8\xff\xe0" + asked.path.encode() if "jpg" in asked.path else (404, {}, b"")
    counts: list[int] = []

    def work(thread):
        requests = [Download(f"{site.url}/{thread}-{number}.jpg") for number in range(40)]
        counts.append(len({result.sha256 for _, result in web.download_all(requests, home)}))

    threads = [threading.Thread(target=work, args=[number]) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [40] * 5
