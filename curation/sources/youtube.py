"""YouTube by yt-dlp: searches, playlists, channels; of each recording the best audio stream, as it is stored there."""

import functools
import hashlib
import importlib.util
import re
import shutil
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from curation import media_types
from curation.errors import PARKED, ItemError, attempt
from curation.sources import UNKNOWN_LICENSE, Facts, Fetched, Found, Need, Tools
from curation.sources import _metadata as metadata
from curation.store import digest, file_sha256
from rules.collecting import Query
from rules.errors import ConfigurationError

if TYPE_CHECKING:
    from curation.sources._yt_dlp import Client

HOMEPAGE = "https://www.youtube.com"
LICENSE = "per recording: CC-BY-3.0 where its owner chose that, else YouTube's standard license"
TERMS = (
    "YouTube's terms of service forbid downloading without the permission of YouTube or of the rights holder, and its "
    "robots.txt closes the searches and the player's interface that yt-dlp asks (/results, /youtubei/); artune asks it "
    "for the page of each recording. Use it for what you may: recordings of your own, CC BY, or analysis that the law "
    "of your country allows, such as text and data mining. Recordings under the standard license are for that "
    "analysis only: their media are never published, references to them may be; those under CC BY may be published "
    "with attribution."
)
# A session that is not logged in may ask for about 1,000 pages an hour, 300 recordings:
# https://github.com/yt-dlp/yt-dlp/wiki/Extractors#this-content-isnt-available-try-again-later
RATES: Mapping[str, float] = {".youtube.com": 0.25, ".googlevideo.com": 1.0}

BATCH_ITEMS = 8  # two minutes at this rate

MIN_DURATION_S = 60  # below are shorts and teasers; two clips of 30 s fit
MAX_DURATION_S = 2 * 3600  # a Passion or an act of an opera fits; loops of ten hours do not
MAX_BYTES = 512 << 20  # two hours at 512 kbit/s are 461 MB; YouTube's best audio stream has 256
MAX_SECONDS = 1800  # of one download; what came is kept, and `artune retry` goes on there
# A search goes on with what has ever less to do with it; no playlist is longer than 5,000.
MAX_LISTED = {"search": 300, "playlist": 5000, "channel": 5000}
MAX_SEARCH_CHARS = 200

VIDEO_ID = re.compile(r"[\w-]{11}", re.ASCII)
# Lists of a person's own (WL, LL, HL) need a login, mixes (RD, but for YouTube Music's own) differ at each visit,
# and UUSH are shorts.
PLAYLIST_ID = re.compile(r"(?:PL|UU(?!SH)|FL|OLAK5uy_|RDCLAK5uy_)[\w-]{10,60}", re.ASCII)
CHANNEL_ID = re.compile(r"UC[\w-]{22}", re.ASCII)
HANDLE = re.compile(r"@[\w.·-]{3,30}")

PRIVATE, DELETED = "[Private video]", "[Deleted video]"  # titles of what a playlist has lost
NOT_NOW = {"is_live": "a live stream", "is_upcoming": "not yet published", "post_live": "a live stream just ended"}


def needs() -> Sequence[Need]:
    advice = "pip install 'artune[sources]'"
    deno = shutil.which("deno", path=sysconfig.get_path("scripts")) or shutil.which("deno")
    return (
        Need("yt-dlp", importlib.util.find_spec("yt_dlp") is not None, advice=advice),
        Need("yt-dlp-ejs", importlib.util.find_spec("yt_dlp_ejs") is not None, required=False, advice=advice),
        Need("deno, for YouTube's player", deno is not None, required=False, advice=advice),
    )


def check(query: Query) -> None:
    _address(query)


def _address(query: Query) -> str:
    """Return what yt-dlp calls a list."""
    text = query.text.strip()
    if query.kind == "search":
        if not 0 < len(text) <= MAX_SEARCH_CHARS:
            raise ValueError(f"search: {text[:40]!r}: expected words, at most {MAX_SEARCH_CHARS} characters")
        return f"ytsearchall:{text}"
    if query.kind == "playlist":
        playlist = _playlist_id(text)
        if not playlist:
            raise ValueError(f"playlist: {text!r}: expected the id of a public playlist, PL..., or its address")
        return f"{HOMEPAGE}/playlist?list={playlist}"
    if query.kind == "channel":
        if HANDLE.fullmatch(text):
            return f"{HOMEPAGE}/{text}/videos"
        if CHANNEL_ID.fullmatch(text):
            return f"{HOMEPAGE}/channel/{text}/videos"
        raise ValueError(f"channel: {text!r}: expected @handle or the id of a channel, UC and 22 characters")
    raise ValueError(f"youtube has no lists of kind {query.kind!r}: expected search, playlist or channel")


def _playlist_id(text: str) -> str | None:
    parts = urlsplit(text)
    if parts.scheme:
        host = parts.hostname or ""
        if host != "youtube.com" and not host.endswith(".youtube.com"):
            return None
        text = parse_qs(parts.query).get("list", [""])[0]
    return text if PLAYLIST_ID.fullmatch(text) else None


def found(query: Query, tools: Tools) -> Iterator[Found]:
    """Yield the recordings of a list in its order; see WebSource."""
    with _client(tools) as client, closing(client.entries(_address(query))) as entries:
        yield from filter(None, map(_found, islice(entries, MAX_LISTED[query.kind])))


def _client(tools: Tools) -> "Client":
    try:
        from curation.sources._yt_dlp import Client
    except ImportError as error:
        raise ConfigurationError("youtube needs yt-dlp: pip install 'artune[sources]'") from error
    return Client(tools.web)


def _found(entry: Mapping[str, Any]) -> Found | None:
    video_id = entry.get("id")
    if not isinstance(video_id, str) or not VIDEO_ID.fullmatch(video_id):
        return None
    page = _page(video_id)
    facts = Facts(page, _text(entry.get("title")), _text(entry.get("uploader") or entry.get("channel")))
    told = {
        "channel_id": _text(entry.get("channel_id")),
        "live_status": _text(entry.get("live_status")),
        "duration_s": entry.get("duration"),
    }
    about = {name: value for name, value in told.items() if value}
    return Found(video_id, page, facts, about=about, refusal=_refusal(entry))


def _page(video_id: str) -> str:
    return f"{HOMEPAGE}/watch?v={video_id}"


def _text(value: object) -> str | None:
    return metadata.as_text(value) if isinstance(value, str) else None


def _refusal(told: Mapping[str, Any]) -> ItemError | None:
    """Return why a recording is not collected, as far as what YouTube told of it says."""
    if told.get("title") == DELETED:
        return ItemError("gone", "deleted")
    if told.get("title") == PRIVATE or told.get("availability") == "private":
        return ItemError("not_available", "private")
    if told.get("availability") in ("premium_only", "subscriber_only", "needs_auth"):
        return ItemError("login_required", "for members, for subscribers, or from a certain age on")
    if told.get("live_status") in NOT_NOW:
        return ItemError("not_available", NOT_NOW[told["live_status"]])
    if "/shorts/" in str(told.get("url")):
        return ItemError("duration", "a short")
    duration_s = told.get("duration")
    if duration_s is not None and not MIN_DURATION_S <= duration_s <= MAX_DURATION_S:
        return ItemError("duration", f"{duration_s:.0f} s; expected {MIN_DURATION_S} to {MAX_DURATION_S}")
    return None


def fetched(items: Sequence[Found], tools: Tools) -> Iterator[tuple[int, Fetched | ItemError]]:
    """Yield the index of each item and what became of it: one after the other, as YouTube is to be asked slowly."""
    with _client(tools) as client:
        for index, item in enumerate(items):
            yield index, attempt(functools.partial(_fetch, item, client, tools))


def _fetch(item: Found, client: "Client", tools: Tools) -> Fetched:
    if not VIDEO_ID.fullmatch(item.source_id) or item.address != _page(item.source_id):
        raise ItemError("address_refused", "no page of a recording on YouTube")  # it may come from a publication
    tools.web.permit(item.address)
    info = client.info(item.address)
    if info.get("_type", "video") != "video" or info.get("id") != item.source_id:
        raise ItemError("not_available", "YouTube shows another recording in its place")
    refusal = _refusal({**info, "url": None})
    if refusal:
        raise refusal
    partial = tools.home.local / "partial" / hashlib.sha256(item.address.encode()).hexdigest()
    try:
        sha256, size_bytes = _download(info, partial, client, tools)
    except ItemError as error:
        if error.reason not in PARKED:
            _remove(partial)
        raise
    _remove(partial)
    return Fetched("music", sha256, size_bytes, facts=_facts(info, item), about=_about(info))


def _remove(partial: Path, keep: str = "") -> None:
    """Remove what begins with a path, but for what begins with another."""
    for path in partial.parent.glob(f"{partial.name}*"):
        if not keep or not path.name.startswith(keep):
            path.unlink(missing_ok=True)


def _download(info: dict[str, Any], partial: Path, client: "Client", tools: Tools) -> tuple[str, int]:
    """Put the chosen stream into the blobs; a partial file is only gone on with if it is of the very same stream."""
    expected_bytes = info.get("filesize")
    if expected_bytes and expected_bytes > MAX_BYTES:
        raise ItemError("too_many_bytes", f"{expected_bytes:,} bytes; expected at most {MAX_BYTES:,}")
    changed = parse_qs(urlsplit(info["url"]).query).get("lmt")  # when YouTube last encoded it
    path = partial.with_name(f"{partial.name}.{digest([info.get('format_id'), expected_bytes, changed])[:16]}")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove(partial, keep=path.name)
    client.save(info, path, MAX_BYTES, MAX_SECONDS)
    size_bytes = path.stat().st_size
    if expected_bytes and size_bytes != expected_bytes:
        path.unlink()
        raise ItemError("incomplete", f"{size_bytes:,} bytes; YouTube told {expected_bytes:,}")
    with path.open("rb") as file:
        head = file.read(media_types.HEAD_BYTES)
    if media_types.modality(head) != "music":
        raise ItemError("not_media", f"begins with {head[:16]!r}")
    sha256 = file_sha256(path)
    tools.home.adopt_blob(path, sha256)
    return sha256, size_bytes


def _facts(info: Mapping[str, Any], item: Found) -> Facts:
    title = _text(info.get("title")) or item.facts.title
    uploader = _text(info.get("uploader") or info.get("channel")) or item.facts.creator
    people = [_text(name) for name in info.get("composers") or info.get("artists") or ()]
    creator = _text(", ".join(filter(None, people))) or uploader
    license_id = _license(info.get("license"))
    attribution = ", ".join(filter(None, (title, uploader, item.facts.url))) if license_id == "CC-BY-3.0" else None
    return Facts(item.facts.url, title, creator, info.get("release_year"), license_id, attribution)


def _license(told: object) -> str:
    """Return the license of what YouTube calls it; the link beside it leads to version 3.0."""
    text = str(told or "").lower()
    if "creative commons attribution" in text:
        return "CC-BY-3.0"
    return "LicenseRef-YouTube-Standard" if "standard youtube" in text else UNKNOWN_LICENSE


def _about(info: Mapping[str, Any]) -> dict[str, object]:
    """Return where a recording comes from. Its description stays there: a hash tells whether it changed."""
    uploaded, description = info.get("upload_date"), info.get("description")
    about = {
        "uploader": _text(info.get("uploader")),
        "channel": _text(info.get("channel")),
        "channel_id": _text(info.get("channel_id")),
        "upload_date": f"{uploaded[:4]}-{uploaded[4:6]}-{uploaded[6:]}" if uploaded else None,
        "description_sha256": hashlib.sha256(description.encode(errors="replace")).hexdigest() if description else None,
        "duration_s": info.get("duration"),
        "license": _text(info.get("license")),
        "track": _text(info.get("track")),
        "album": _text(info.get("album")),
        "format": {name: info.get(name) for name in ("format_id", "acodec", "ext", "abr")},
        "chapters": [
            {
                "start_s": chapter.get("start_time"),
                "end_s": chapter.get("end_time"),
                "title": _text(chapter.get("title")),
            }
            for chapter in info.get("chapters") or ()
        ],
    }
    return {name: value for name, value in about.items() if value}
