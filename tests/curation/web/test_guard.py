import asyncio
import ipaddress

import pytest
from aiohttp.resolver import ThreadedResolver
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import ItemError
from curation.web import Download, guard
from tests.sites import Names, Site, redirect

NOBODY: frozenset[str] = frozenset()

PRIVATE = [
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.31.255.255", "192.168.1.1"),
    *("192.0.0.1", "192.88.99.1", "198.18.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
    *("2002:7f00:1::", "2001:0:1::1", "2001:db8::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1"),
    *("ff02::1", "100::1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_the_public_internets_is_refused(address):
    assert not guard.is_public(address)
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(ItemError, match="address_refused"):
        guard.checked(f"http://{host}/a.jpg", NOBODY)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "151.101.1.84", "2606:4700::1111", "2a00:1450:4001::1"])
def test_a_public_address_is_not_refused(address):
    assert guard.is_public(address)


@given(st.ip_addresses(v=4))
def test_whatever_python_calls_private_is_refused_in_each_of_its_disguises(ip):
    if not ip.is_global:
        assert not guard.is_public(str(ip))
    as_six = [
        ipaddress.IPv6Address((0xFFFF << 32) | int(ip)),
        ipaddress.IPv6Address(int(ip)),
        ipaddress.IPv6Address((0x64FF9B << 96) | int(ip)),
        ipaddress.IPv6Address((0x2002 << 112) | (int(ip) << 80)),
    ]
    assert not any(guard.is_public(str(six)) for six in as_six)


@given(st.ip_addresses(v=6))
def test_what_python_calls_private_in_six_is_refused(ip):
    if not ip.is_global or ip.is_multicast or ip.ipv4_mapped or ip.sixtofour or ip.teredo:
        assert not guard.is_public(str(ip))


@pytest.mark.parametrize(
    "address",
    [
        *("http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/"),
        *("http://127.0.0.1./", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://0/", "http://0x/"),
        *("http://１２７.0.0.1/", "http://127。0。0。1/", "http://①②⑦.0.0.1/"),
    ],
)
def test_no_odd_form_of_an_address_passes(address):
    with pytest.raises(ItemError) as raised:
        guard.checked(address, NOBODY)
    assert raised.value.reason == "address_refused"


@pytest.mark.parametrize(
    "address",
    [
        *("file:///etc/passwd", "ftp://example.org/a.jpg", "data:image/png;base64,AAAA", "gopher://example.org/"),
        *(
            "javascript:alert(1)",
            "//example.org/a.jpg",
            "/a.jpg",
            "",
            "http://",
            "http:///a.jpg",
            "http://[::1",
            "HTTP",
        ),
        *("http://user@example.org/", "http://user:secret@example.org/", "http://:secret@example.org/"),
        *("http://example.org:99999/", "http://exa mple.org/", "http://a\r\nHost:b/"),
        *("http://a..b/", "http://.example.org/", "http://./", "http://example.org../", "http://127.0.0.1../"),
        *(f"http://{'a' * 64}.org/", f"http://{'ü' * 60}.org/", f"http://{'a.' * 150}org/"),
    ],
)
def test_what_is_no_plain_web_address_is_refused_without_showing_a_password(address):
    with pytest.raises(ItemError) as raised:
        guard.checked(address, NOBODY)
    assert raised.value.reason == "address_refused"
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("address", ["http://example.org/a.jpg", "HTTPS://Example.org:8443/a b.jpg?x=1#part"])
def test_a_web_address_passes(address):
    assert guard.checked(address, NOBODY).host == "example.org"


@pytest.mark.parametrize(
    "address", ["http://example.org./", f"http://{'a' * 63}.org/", "http://xn--mnchen-3ya.de/", "http://a_b.c-d.org/"]
)
def test_an_odd_but_lawful_name_passes(address):
    assert guard.checked(address, NOBODY)


@given(st.text() | st.builds("{}://{}/{}".format, st.sampled_from(["http", "https"]), st.text(), st.text()))
def test_no_text_breaks_the_check(text):
    try:
        url = guard.checked(text, NOBODY)
    except ItemError:
        return
    assert url.scheme in ("http", "https")
    assert url.host
    assert url.user is url.password is None


def test_only_the_allowed_port_of_an_allowed_host_may_be_asked():
    assert guard.checked("http://127.0.0.1:8001/", frozenset({"127.0.0.1:8001"}))
    with pytest.raises(ItemError, match="address_refused"):
        guard.checked("http://127.0.0.1:8002/", frozenset({"127.0.0.1:8001"}))


def test_a_name_that_leads_to_loopback_is_refused_before_anything_is_connected(site, home):
    web = site.web(resolver=Names("127.0.0.1"))
    [(_, result)] = web.download_all([Download(f"http://innocent.test:{site.port}/a.jpg")], home)
    assert result.reason == "address_refused"
    assert site.requests == []


def test_a_name_that_is_public_when_checked_and_private_when_used_is_refused(site):
    web = site.web(resolver=Names("8.8.8.8", "127.0.0.1"))  # DNS rebinding
    with pytest.raises(ItemError, match="127.0.0.1, which is no public address"):
        web.permit(f"http://rebinding.test:{site.port}/a.jpg")
    assert site.requests == []


def resolved(answer):
    resolver = guard.PublicResolver(Names(answer), NOBODY)
    return [result["host"] for result in asyncio.run(resolver.resolve("example.org", 80))]


def test_of_a_mixed_answer_only_the_public_addresses_are_used():
    assert resolved("0.0.0.0 8.8.8.8 fd12::1 127.0.0.1 1.1.1.1") == ["8.8.8.8", "1.1.1.1"]


@pytest.mark.parametrize("answer", ["0.0.0.0", "::", "127.0.0.1 0.0.0.0", "0.0.0.0 127.0.0.1"])
def test_a_name_without_one_public_address_is_refused_in_the_same_words_whatever_the_order(answer):
    first = min(answer.split())
    with pytest.raises(ItemError, match=f"address_refused: example.org leads to {first}, which is no public address"):
        resolved(answer)


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_what_the_system_cannot_even_look_up_is_refused(host):
    async def resolve():
        await guard.PublicResolver(ThreadedResolver(), NOBODY).resolve(host, 80)

    with pytest.raises(ItemError, match="address_refused"):
        asyncio.run(resolve())


def test_a_host_that_is_no_name_harms_no_other_file(site, home):
    site.routes["/a.jpg"] = redirect("http://a..b/x.jpg")
    site.routes["/b.jpg"] = b"\xff\xd8\xff\xe0" + bytes(100)
    addresses = (f"{site.url}/a.jpg", "http://a..b/", f"http://{'a' * 64}.org/", f"{site.url}/b.jpg")
    results = dict(site.web().download_all([Download(address) for address in addresses], home))
    assert [results[index].reason for index in range(3)] == ["address_refused"] * 3
    assert results[3].size_bytes == 104


def test_the_name_that_is_looked_up_is_the_name_that_is_connected_to(site):
    names = Names("127.0.0.1")
    looked_up = []
    resolve = names.resolve
    names.resolve = lambda host, *rest: looked_up.append(host) or resolve(host, *rest)
    with pytest.raises(ItemError, match="address_refused"):
        site.web(resolver=names).permit("http://faß.test/")  # IDNA 2008; the codec of Python would look up fass.test
    assert looked_up == ["xn--fa-hia.test"]


def test_a_redirect_to_a_name_that_leads_to_loopback_is_refused(site, home):
    web = site.web(resolver=Names("127.0.0.1"))
    with Site({"/secret": b"\xff\xd8\xff\xe0"}) as private:
        site.routes["/a.jpg"] = redirect(f"http://innocent.test:{private.port}/secret")
        [(_, result)] = web.download_all([Download(f"{site.url}/a.jpg")], home)
        assert result.reason == "address_refused"
        assert private.requests == []


def test_localhost_is_refused_by_the_systems_resolver_too(site, home):
    [(_, result)] = site.web().download_all([Download(f"http://localhost:{site.port}/a.jpg")], home)
    assert result.reason == "address_refused"
    assert site.requests == []


def test_a_proxy_of_the_environment_is_not_used(site, home, monkeypatch):
    with Site() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        site.routes["/a.jpg"] = b"\xff\xd8\xff\xe0" + bytes(100)
        [(_, result)] = site.web().download_all([Download(f"{site.url}/a.jpg")], home)
        assert result.size_bytes == 104
        assert proxy.requests == []
