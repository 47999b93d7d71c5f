"""The proxy that gallery-dl asks through: what it lets pass, by real connections, and what it refuses."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from curation.errors import ItemError
from curation.sources import Tools, _gallery_dl, _gallery_gate
from curation.sources._gallery_gate import Gate
from curation.store import Home
from curation.web import WebSettings
from tests import gallery_sites as sites
from tests.sites import Answer, Asked, Site, break_off

PUBLIC, PRIVATE = "93.184.216.34", "10.0.0.1"


@pytest.fixture
def site() -> Iterator[Site]:
    with Site({"/a": b"here"}) as site:
        yield site


@pytest.fixture
def gate(site: Site) -> Iterator[Gate]:
    with Gate(site.url, site.settings) as gate:
        yield gate


def said(gate: Gate, request: str) -> bytes:
    """Return all that the gate answers."""
    with socket.create_connection(("127.0.0.1", gate.server_port)) as connection:
        connection.sendall(f"{request}\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def connected(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let names lead to these addresses, one answer after the other; return where a connection is tried to."""
    left, tried = list(answers), []

    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", (address, port)) for address in (left.pop(0) if len(left) > 1 else left[0])]

    def create_connection(place: tuple[str, int], *_: object) -> None:
        tried.append(place[0])
        raise OSError

    monkeypatch.setattr(_gallery_gate.socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(_gallery_gate.socket, "create_connection", create_connection)
    return tried


def test_a_request_passes_as_it_is(gate: Gate, site: Site) -> None:
    target = "/a?q=%7Bx%7d&y=//z"
    assert said(gate, f"GET {site.url}{target} HTTP/1.1\r\nHost: {site.host}\r\nX-Y: z").endswith(b"\r\n\r\nhere")
    assert [(asked.target, asked.headers["x-y"]) for asked in site.requests] == [(target, "z")]
    assert gate.refusal is None


def test_a_tunnel_passes_both_ways(gate: Gate, site: Site) -> None:
    with socket.create_connection(("127.0.0.1", gate.server_port)) as connection:
        connection.sendall(f"CONNECT {site.host} HTTP/1.1\r\n\r\n".encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.0 200 ")
        connection.sendall(f"GET /a HTTP/1.0\r\nHost: {site.host}\r\n\r\n".encode())
        assert b"".join(iter(lambda: connection.recv(1 << 16), b"")).endswith(b"here")


@pytest.mark.parametrize("ask", ["CONNECT {} HTTP/1.1", "GET http://{}/latest/meta-data HTTP/1.1"])
@pytest.mark.parametrize(
    "place", ["localhost:PORT", "127.0.0.1:PORT", "[::1]:PORT", "2130706433:PORT", "a..b:80", "user:pw@127.0.0.1:PORT"]
)
def test_nothing_private_is_asked(gate: Gate, ask: str, place: str) -> None:
    with Site() as private:
        answer = said(gate, ask.format(place.replace("PORT", str(private.port))))
        assert answer.startswith(b"HTTP/1.0 403 ")
        assert gate.refusal is not None
        assert gate.refusal.reason == "address_refused"
        assert gate.refusal.detail.encode() in answer
        assert private.requests == []


def test_only_the_hosts_of_the_site_are_asked() -> None:
    with Gate("https://www.wikiart.org/en/x", WebSettings("tester")) as gate:
        for host in ("wikiart.org", "www.wikiart.org", "uploads1.wikiart.org"):
            assert gate.judged(f"https://{host}/").host == host
        for host in ("notwikiart.org", "www.wikiart.org.example.org", "example.org", "org"):
            with pytest.raises(ItemError, match=f"{host} is no host of www.wikiart.org"):
                gate.judged(f"https://{host}/")


@pytest.mark.parametrize(
    ("answers", "tried"),
    [
        ([[PUBLIC]], [PUBLIC]),
        ([[PRIVATE, PUBLIC]], [PUBLIC]),
        ([[PRIVATE]], None),
        ([["::ffff:10.0.0.1", "fe80::1%eth0"]], None),
        ([[PUBLIC], [PRIVATE]], [PUBLIC]),  # it looks a name up only once, so that it cannot lead elsewhere then
    ],
)
def test_a_name_leads_to_public_addresses_only(
    answers: list[list[str]], tried: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate("https://www.wikiart.org/", WebSettings("tester"))
    was_tried = connected(monkeypatch, *answers)
    with gate, pytest.raises(OSError if tried else ItemError, match=r"cannot be reached|leads to .*no public address"):
        gate.connect("https://www.wikiart.org/")
    assert was_tried == (tried or [])


def test_a_site_that_cannot_be_reached_is_no_refusal() -> None:
    with Site() as site:
        pass
    with Gate(site.url, site.settings) as gate:
        assert said(gate, f"CONNECT {site.host} HTTP/1.1").startswith(b"HTTP/1.0 502 ")
        assert gate.refusal is None


def test_it_holds_only_so_many_connections(gate: Gate, site: Site) -> None:
    with ExitStack() as held:
        for _ in range(_gallery_gate.MAX_CONNECTIONS):
            held.enter_context(socket.create_connection(("127.0.0.1", gate.server_port)))
        assert ask(gate, site) == b""
    while not (answer := ask(gate, site)):  # until it has seen that they are gone
        pass
    assert answer.endswith(b"here")


def ask(gate: Gate, site: Site) -> bytes:
    with suppress(ConnectionError):
        return said(gate, f"GET {site.url}/a HTTP/1.1")
    return b""


def test_it_holds_no_connection_for_ever(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gallery_gate._Request, "timeout", 0.1)
    with socket.create_connection(("127.0.0.1", gate.server_port)) as connection:
        assert connection.recv(1) == b""


def test_it_holds_no_tunnel_for_ever(gate: Gate, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gallery_gate, "IDLE_S", 0.1)
    assert said(gate, f"CONNECT {site.host} HTTP/1.1").startswith(b"HTTP/1.0 200 ")


def test_it_is_gone_with_its_run(site: Site) -> None:
    with Gate(site.url, site.settings) as gate:
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gate.server_port))


def test_a_list_of_the_web_is_read_through_a_tunnel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Site() as site:
        site.encrypt(tmp_path)
        site.url = site.url.replace("http:", "https:")
        sites.go_there(site.url, monkeypatch)
        monkeypatch.setattr(_gallery_dl, "PROGRAM", (*_gallery_dl.PROGRAM, "--no-check-certificate"))
        web, permitted, told = site.web(), [], []
        monkeypatch.setattr(web, "permit", permitted.append)  # it trusts only certificates that somebody vouches for
        monkeypatch.setattr(web, "told", lambda *heard: told.append(heard))
        works = [sites.painting(f"caravaggio/judith-{number}", site) for number in range(4)]

        def page(asked: Asked) -> Answer:
            break_off(asked)  # so that there is a tunnel for each
            return sites.pages(asked, works)

        site.routes["/en/paintings-by-style/baroque"] = page
        address = f"{site.url}/en/paintings-by-style/baroque"
        read = list(_gallery_dl.rows("wikiart", address, "prepare", ["id"], Tools(Home(tmp_path / "home"), web)))
        assert [row["id"] for row in read] == [work["id"] for work in works]
        assert permitted == [f"{site.url}{asked.target}" for asked in site.requests]
        assert told == [(site.host, 200, None)] * 3
