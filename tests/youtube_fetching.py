"""Recordings of a YouTube on loopback, fetched by the source."""

from dataclasses import replace
from pathlib import Path

from curation.errors import ItemError
from curation.sources import Fetched, Found, Tools, youtube
from curation.store import Home
from rules.collecting import Query
from tests.youtube_site import MEDIA_HOST, WWW, Video, YouTubeSite

WEBM = 'audio/webm; codecs="opus"'
M4A = 'audio/mp4; codecs="mp4a.40.2"'
MP4 = 'video/mp4; codecs="avc1.4d401f"'
OPUS = b"\x1a\x45\xdf\xa3" + bytes(range(256)) * 800  # as a decoder would see it, only its first bytes are right
PLAYER = f"/{WWW}/youtubei/v1/player"
WATCH = f"/{WWW}/watch"
STREAM = f"/{MEDIA_HOST}/videoplayback"
LIST = "PLabcdefghijklm"


def video(number: int = 0, **facts: object) -> Video:
    return replace(Video(f"video{number:06}", streams={WEBM: OPUS}), **facts)  # type: ignore[arg-type]


def query(kind: str, text: str) -> Query:
    return Query("youtube", kind, text)


def item(number: int = 0) -> Found:
    address = f"https://www.youtube.com/watch?v=video{number:06}"
    return Found(f"video{number:06}", address, youtube.Facts(address, "As listed", "Lister"))


def tools(site: YouTubeSite, folder: Path) -> Tools:
    return Tools(Home(folder), site.client())


def fetch(site: YouTubeSite, folder: Path, *items: Found) -> list[Fetched | ItemError]:
    results = list(youtube.fetched(items or [item()], tools(site, folder)))
    assert [index for index, _ in results] == list(range(len(results)))
    return [result for _, result in results]


def refused(result: Fetched | ItemError) -> str:
    assert isinstance(result, ItemError), result
    assert "SECRET" not in result.detail
    assert "://" not in result.detail
    return result.reason


def stored(folder: Path, result: Fetched | ItemError) -> bytes:
    assert isinstance(result, Fetched), result
    return Home(folder).blob(result.sha256).read_bytes()


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
