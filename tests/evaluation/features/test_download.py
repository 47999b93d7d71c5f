"""Weights from the web: encrypted, fetched once, and of the hash that was asked for."""

import hashlib
from pathlib import Path

import pytest

from curation.errors import TransientError
from evaluation.features import wav2clip
from evaluation.features._download import downloaded
from evaluation.features._weights import Published
from rules.errors import ConfigurationError
from tests.evaluation.features.published_networks import loaded, save_wav2clip
from tests.sites import Site

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def trusted(tmp_path, monkeypatch):
    """Give a site that speaks TLS and is trusted, whose address is https://."""
    with Site() as site:
        site.encrypt(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "site.pem"))
        yield site


def test_a_file_is_fetched_once(hub_folder):
    with Site({"/a/w.pt": CONTENT}) as site:
        path = downloaded(f"{site.url}/a/w.pt", SHA256, is_official=False)
        assert path.read_bytes() == CONTENT
        assert downloaded(f"{site.url}/a/w.pt", SHA256[:8], is_official=False) == path
        assert len(site.requests) == 1
    assert kept(hub_folder) == [path.name]


def test_two_addresses_do_not_share_a_file(hub_folder):
    with Site({"/a/w.pt": CONTENT, "/b/w.pt": CONTENT}) as site:
        paths = {downloaded(f"{site.url}/{folder}/w.pt", SHA256, is_official=False) for folder in "ab"}
    assert len(paths) == 2


def test_what_a_library_has_fetched_already_is_taken(hub_folder):
    hub_folder.mkdir(parents=True)
    (hub_folder / "Wav2CLIP.pt").write_bytes(CONTENT)
    with Site() as site:
        assert downloaded(f"{site.url}/Wav2CLIP.pt", None, is_official=True) == hub_folder / "Wav2CLIP.pt"
        assert not site.requests


def test_a_damaged_file_is_fetched_anew(hub_folder):
    with Site({"/w.pt": CONTENT}) as site:
        path = downloaded(f"{site.url}/w.pt", SHA256, is_official=False)
        path.write_bytes(CONTENT[:100])
        assert downloaded(f"{site.url}/w.pt", SHA256, is_official=False).read_bytes() == CONTENT


def test_another_file_than_asked_for_is_not_kept(hub_folder):
    with (
        Site({"/w.pt": b"others"}) as site,
        pytest.raises(
            ConfigurationError, match=f"SHA-256 is .*, expected {SHA256}: there is another .* save it as {hub_folder}"
        ),
    ):
        downloaded(f"{site.url}/w.pt", SHA256, is_official=False)
    assert kept(hub_folder) == []


def test_a_file_that_nobody_vouches_for_is_not_even_asked_for(hub_folder):
    with Site() as site:
        with pytest.raises(ConfigurationError, match="expected sha256 beside it"):
            downloaded(f"{site.url}/w.pt", None, is_official=False)
        assert not site.requests


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        ((404, {}, b""), ConfigurationError, "does not give it .status 404."),
        ((503, {}, b""), TransientError, "is busy .status 503."),
        ((429, {}, b""), TransientError, "is busy .status 429."),
        ((200, {"Content-Length": "9000"}, CONTENT), TransientError, "cannot be fetched"),
        ((302, {"Location": "/w.pt"}, b""), ConfigurationError, "leads from one address to the next"),
        ((302, {"Location": "https://127.0.0.1/"}, b""), ConfigurationError, "it leads to https: expected http all"),
    ],
    ids=["gone", "broken", "patience", "cut", "circle", "elsewhere"],
)
def test_what_goes_wrong_is_told_with_what_to_do(answer, kind, told, hub_folder):
    with Site({"/w.pt": answer}) as site:
        if "Content-Length" in answer[1]:
            site.routes["/w.pt"] = _cut
        with pytest.raises(kind, match=f"{told}.*or get it elsewhere and save it as {hub_folder}"):
            downloaded(f"{site.url}/w.pt", SHA256, is_official=False)
    assert kept(hub_folder) == []


def _cut(asked):
    handler = asked.handler
    handler.send_response(200)
    handler.send_header("Content-Length", "9000")
    handler.end_headers()
    handler.wfile.write(b"half")
    handler.close_connection = True


def test_a_site_that_is_not_there_is_tried_again_later(hub_folder):
    with Site() as site:
        url = site.url
    with pytest.raises(TransientError, match="cannot be fetched .ConnectError."):
        downloaded(f"{url}/w.pt", SHA256, is_official=False)


def test_a_redirect_is_followed(hub_folder):
    with Site({"/a.pt": (302, {"Location": "/b.pt"}, b""), "/b.pt": CONTENT}) as site:
        assert downloaded(f"{site.url}/a.pt", SHA256, is_official=False).read_bytes() == CONTENT


def test_a_network_is_read_from_its_published_address(trusted, tmp_path, hub_folder, monkeypatch):
    content = save_wav2clip(tmp_path / "w.pt", width=2).read_bytes()
    trusted.routes["/Wav2CLIP.pt"] = content
    address = f"https://{trusted.host}/Wav2CLIP.pt"
    own = loaded("wav2clip", address, sha256=hashlib.sha256(content).hexdigest())
    assert own.name == "Wav2CLIP of Wav2CLIP.pt"
    monkeypatch.setattr(wav2clip, "PUBLISHED", (Published("Wav2CLIP", address),))
    assert loaded("wav2clip", address).name == "Wav2CLIP"
    assert len(trusted.requests) == 2
    assert "Wav2CLIP.pt" in kept(hub_folder)


def test_encryption_is_not_left(trusted, hub_folder):
    with Site({"/w.pt": CONTENT}) as plain:
        trusted.routes["/w.pt"] = (302, {"Location": f"{plain.url}/w.pt"}, b"")
        with pytest.raises(ConfigurationError, match="it leads to http: expected https all the way"):
            downloaded(f"https://{trusted.host}/w.pt", SHA256, is_official=False)
        assert not plain.requests


def test_a_file_without_end_is_left(hub_folder, monkeypatch):
    monkeypatch.setattr("evaluation.features._download.MAX_BYTES", 100)
    with Site({"/w.pt": CONTENT}) as site, pytest.raises(ConfigurationError, match="expected at most 100 bytes"):
        downloaded(f"{site.url}/w.pt", SHA256, is_official=False)
    assert kept(hub_folder) == []


def test_a_signature_in_an_address_is_not_told(trusted, tmp_path, hub_folder):
    content = save_wav2clip(tmp_path / "w.pt", width=2).read_bytes()
    address = f"https://{trusted.host}/w.pt?signature=SECRET"
    with pytest.raises(ConfigurationError, match="/w.pt: the site does not give it") as raised:
        loaded("wav2clip", address, sha256=SHA256)
    assert "SECRET" not in str(raised.value)
    trusted.routes["/w.pt"] = trusted.routes["/w.pt?signature=SECRET"] = content
    assert loaded("wav2clip", address, sha256=hashlib.sha256(content).hexdigest()).name == "Wav2CLIP of w.pt"
