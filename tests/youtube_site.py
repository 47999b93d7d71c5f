"""A YouTube on loopback: pages, player, searches, lists and recordings, in the shapes that its own clients get."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock
from urllib.parse import urlsplit, urlunsplit

from curation.sources import _yt_dlp
from curation.web import Surroundings, Web, WebSettings
from tests.sites import Answer, Asked, Haste, Site

CHANNEL_ID = "UCabcdefghijklmnopqrstuv"
WWW = "www.youtube.com"
MEDIA_HOST = "rr3---sn-test.googlevideo.com"
FIRST_ITAG = 250
PAGE_SIZE = 3  # of searches and lists
CC = "Creative Commons Attribution license (reuse allowed)"
ROBOTS = b"User-agent: *\nDisallow: /results\nDisallow: /youtubei/\n"
PIXEL = {"thumbnails": [{"url": "https://i.ytimg.com/vi/x/hqdefault.jpg", "width": 480, "height": 360}]}


@dataclass(frozen=True)
class Video:
    """One video: what the site says of it, and its audio stream.

    Attributes:
        status: of the player, with the reason that it gives: ("OK", "").
        streams: mime type -> bytes.
        live: is_live, is_upcoming or nothing.
        rows: what stands below the description: License, Artist, Song, Album.
    """

    id: str
    title: str = "Viderunt omnes"
    duration_s: int = 240
    streams: Mapping[str, bytes] = field(default_factory=dict)
    status: tuple[str, str] = ("OK", "")
    subreason: str = ""
    live: str = ""
    is_short: bool = False
    uploader: str = "Schola"
    description: str = "Sung at the abbey"
    rows: Mapping[str, str] = field(default_factory=dict)
    chapters: Sequence[tuple[int, str]] = ()
    is_drm: bool = False
    told_bytes: int | None = None
    badge: str = ""


class YouTubeSite(Site):
    """`routes` says what goes wrong, by host and path: "/www.youtube.com/watch"; `page` is what goes well."""

    def __init__(self, videos: Sequence[Video] = ()) -> None:
        super().__init__({"/robots.txt": ROBOTS}, self.page)
        self.videos = {video.id: video for video in videos}
        self.searches: dict[str, list[str]] = {}
        self.playlists: dict[str, list[str]] = {}
        self.channels: dict[str, list[str]] = {}

    @property
    def settings(self) -> WebSettings:
        """Allow this site, and ask what it stands for as fast as it answers."""
        return WebSettings("curator@example.org", frozenset({self.host, WWW, MEDIA_HOST}))

    def client(self, haste: Haste | None = None) -> Web:
        haste = haste or Haste()
        web = Web(self.settings, Surroundings(haste.now, haste.sleep))
        self._webs.append(web)
        return web

    def asked(self, path: str) -> list[Asked]:
        """Return the requests to what begins so, in order: /www.youtube.com/watch."""
        return [asked for asked in self.media_requests if asked.path.startswith(path)]

    def page(self, asked: Asked) -> Answer:
        _, host, *rest = asked.path.split("/")
        path = "/" + "/".join(rest)
        if host == MEDIA_HOST:
            return self._media(asked)
        if path == "/watch":
            return _page(*self._watch(asked.query["v"][0]))
        if path == "/playlist":
            name = asked.query["list"][0]
            return _page(self._list(self.playlists.get(name), name, "playlist"))
        if path.endswith("/videos"):
            name = path.removesuffix("/videos").rpartition("/")[2]
            return _page(self._list(self.channels.get(name), name, "channel"))
        if path.startswith("/youtubei/v1/"):
            return self._api(path.rpartition("/")[2], json.loads(asked.body))
        return _page({"contents": {}}) if path == "/" else (404, {}, b"")

    # ---- media

    def _media(self, asked: Asked) -> Answer:
        video, itag = self.videos[asked.query["id"][0]], int(asked.query["itag"][0])
        mime, body = list(video.streams.items())[itag - FIRST_ITAG]
        headers = {"Content-Type": mime.partition(";")[0], "Accept-Ranges": "bytes"}
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.headers.get("range", ""))
        if not span:
            return 200, headers, body
        first, last = int(span[1]), min(int(span[2] or len(body)), len(body) - 1)
        if first >= len(body):
            return 416, {"Content-Range": f"bytes */{len(body)}"}, b""
        return 206, headers | {"Content-Range": f"bytes {first}-{last}/{len(body)}"}, body[first : last + 1]

    # ---- one video

    def _watch(self, video_id: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        video = self.videos.get(video_id) or _gone(video_id)
        rows = [
            {"metadataRowRenderer": {"title": {"simpleText": name}, "contents": [{"runs": [{"text": text}]}]}}
            for name, text in video.rows.items()
        ]
        secondary = {
            "owner": {
                "videoOwnerRenderer": {
                    "title": {"runs": [{"text": video.uploader, "navigationEndpoint": {"clickTrackingParams": "x"}}]},
                    "subscriberCountText": {"simpleText": "1.2K subscribers"},
                }
            },
            "metadataRowContainer": {"metadataRowContainerRenderer": {"rows": rows, "collapsedItemCount": 0}},
        }
        initial: dict[str, Any] = {
            "responseContext": {"serviceTrackingParams": []},
            "contents": {
                "twoColumnWatchNextResults": {
                    "results": {
                        "results": {
                            "contents": [
                                {"videoPrimaryInfoRenderer": {"title": _text(video.title), "badges": []}},
                                {"videoSecondaryInfoRenderer": secondary},
                            ]
                        }
                    }
                }
            },
            "trackingParams": "CAAQ",
        }
        if video.chapters:
            chapters = [
                {"chapterRenderer": {"title": _text(title), "timeRangeStartMillis": 1000 * at, "thumbnail": PIXEL}}
                for at, title in video.chapters
            ]
            bar = {"playerBar": {"chapteredPlayerBarRenderer": {"chapters": chapters}}}
            initial["playerOverlays"] = {
                "playerOverlayRenderer": {"decoratedPlayerBarRenderer": {"decoratedPlayerBarRenderer": bar}}
            }
        return initial, self._player(video_id, "WEB")

    def _player(self, video_id: str, client: str) -> dict[str, Any]:
        """Give streams with addresses to one client only, as YouTube does: the page itself gets none."""
        video = self.videos.get(video_id) or _gone(video_id)
        status, reason = video.status
        playability: dict[str, Any] = {"status": status, "playableInEmbed": True, "contextParams": "Q0FFU0FnZ0M="}
        if reason:
            playability["reason"] = reason
            shown = {"reason": _text(reason), "proceedButton": {}, "icon": {"iconType": "ERROR_OUTLINE"}}
            if video.subreason:
                shown["subreason"] = _text(video.subreason)
            playability["errorScreen"] = {"playerErrorMessageRenderer": shown}
        answer: dict[str, Any] = {
            "responseContext": {"visitorData": "Cgt2aXNpdG9y"},
            "playabilityStatus": playability,
            "trackingParams": "CAAQ",
        }
        if status == "ERROR":
            return answer
        answer["videoDetails"] = {
            "videoId": video.id,
            "title": video.title,
            "lengthSeconds": str(video.duration_s),
            "channelId": CHANNEL_ID,
            "shortDescription": video.description,
            "author": video.uploader,
            "thumbnail": PIXEL,
            "viewCount": "4711",
            "isPrivate": False,
            "isLiveContent": bool(video.live),
            "isOwnerViewing": False,
        }
        if video.live:
            answer["videoDetails"]["isLive" if video.live == "is_live" else "isUpcoming"] = True
        answer["microformat"] = {
            "playerMicroformatRenderer": {
                "uploadDate": "2015-06-24T05:00:00-07:00",
                "publishDate": "2015-06-24T05:00:00-07:00",
                "category": "Music",
                "isFamilySafe": True,
                "isUnlisted": False,
                "ownerProfileUrl": "http://www.youtube.com/@schola",
                "isShortsEligible": video.is_short,
            }
        }
        if status == "OK" and video.streams and not video.live:
            answer["streamingData"] = {
                "expiresInSeconds": "21540",
                "adaptiveFormats": [_stream(video, number, client) for number in range(len(video.streams))],
                "serverAbrStreamingUrl": f"https://{MEDIA_HOST}/videoplayback?sabr=1",
            }
            if video.is_drm:
                answer["streamingData"]["licenseInfos"] = [{"drmFamily": "WIDEVINE", "url": "https://www.youtube.com/"}]
        return answer

    # ---- lists

    def _api(self, endpoint: str, body: Mapping[str, Any]) -> Answer:
        if endpoint == "player":
            return _json(self._player(body["videoId"], body["context"]["client"]["clientName"]))
        if endpoint == "search":
            return _json(self._search(body))
        if endpoint == "browse" and "continuation" in body:
            kind, name, first = json.loads(body["continuation"])
            items = self._items(
                (self.playlists if kind == "playlist" else self.channels)[name], first, kind, [kind, name]
            )
            more = {"appendContinuationItemsAction": {"continuationItems": items, "targetId": "feed"}}
            return _json({"responseContext": {}, "onResponseReceivedActions": [more]})
        if endpoint == "browse":  # of a playlist, with what is unavailable
            name = body["browseId"].removeprefix("VL")
            return _json(self._list(self.playlists.get(name), name, "playlist"))
        return _json({"error": {"code": 404, "message": "Requested entity was not found."}}, 404)

    def _search(self, body: Mapping[str, Any]) -> dict[str, Any]:
        query, first = json.loads(body["continuation"]) if "continuation" in body else (body["query"], 0)
        items = self._items(self.searches.get(query, []), first, "search", [query])
        section: list[dict[str, Any]] = [
            {"itemSectionRenderer": {"contents": [{"adSlotRenderer": {"slotId": "1"}}, *items[:PAGE_SIZE]]}},
            *items[PAGE_SIZE:],
        ]
        if "continuation" in body:
            action = {"appendContinuationItemsAction": {"continuationItems": section}}
            return {"estimatedResults": "12345", "onResponseReceivedCommands": [action]}
        shown = {"sectionListRenderer": {"contents": section, "hideBottomSeparator": True}}
        return {
            "estimatedResults": "12345",
            "contents": {"twoColumnSearchResultsRenderer": {"primaryContents": shown}},
            "refinements": ["gregorian chant"],
        }

    def _items(self, ids: Sequence[str], first: int, kind: str, token: list[str]) -> list[dict[str, Any]]:
        """Return a page of a list, and behind it the way to the next."""
        shown = [self._item(video_id, kind) for video_id in ids[first : first + PAGE_SIZE]]
        if first + PAGE_SIZE < len(ids):
            command = {"token": json.dumps([*token, first + PAGE_SIZE]), "request": "CONTINUATION_REQUEST_TYPE_BROWSE"}
            more = {
                "trigger": "CONTINUATION_TRIGGER_ON_ITEM_SHOWN",
                "continuationEndpoint": {"continuationCommand": command},
            }
            shown.append({"continuationItemRenderer": more})
        return shown

    def _item(self, video_id: str, kind: str) -> dict[str, Any]:
        video = self.videos.get(video_id) or _gone(video_id)
        style = "SHORTS" if video.is_short else "LIVE" if video.live == "is_live" else "DEFAULT"
        renderer: dict[str, Any] = {
            "videoId": video.id,
            "title": {"runs": [{"text": video.title}], "accessibility": {"accessibilityData": {"label": video.title}}},
            "thumbnail": PIXEL,
            "lengthText": None if video.live else _text(_clock(video.duration_s)),
            "shortBylineText": {
                "runs": [{"text": video.uploader, "navigationEndpoint": {"browseEndpoint": {"browseId": CHANNEL_ID}}}]
            },
            "thumbnailOverlays": [{"thumbnailOverlayTimeStatusRenderer": {"text": _text("LIVE"), "style": style}}],
            "viewCountText": _text("4,711 views"),
            "publishedTimeText": _text("10 years ago"),
            "badges": [{"metadataBadgeRenderer": {"style": video.badge, "label": ""}}] if video.badge else [],
            "trackingParams": "CAAQ",
        }
        if video.live == "is_upcoming":
            renderer["upcomingEventData"] = {"startTime": "4102444800"}
        if kind == "playlist":
            return {"playlistVideoRenderer": renderer | {"index": _text("1"), "isPlayable": True}}
        if kind == "channel":
            return {"richItemRenderer": {"content": {"videoRenderer": renderer}, "trackingParams": "CAAQ"}}
        return {"videoRenderer": renderer}

    def _list(self, ids: Sequence[str] | None, name: str, kind: str) -> dict[str, Any]:
        if ids is None:
            text = f"The {kind} does not exist." if kind == "playlist" else "This channel does not exist."
            return {"responseContext": {}, "alerts": [{"alertRenderer": {"type": "ERROR", "text": _text(text)}}]}
        items = self._items(ids, 0, kind, [kind, name])
        if kind == "playlist":
            shown = {"playlistVideoListRenderer": {"contents": items, "playlistId": name}}
            content: dict[str, Any] = {
                "sectionListRenderer": {"contents": [{"itemSectionRenderer": {"contents": [shown]}}]}
            }
            about = {"playlistMetadataRenderer": {"title": "A list"}}
            tab = {"selected": True, "content": content}
        else:
            about = {"channelMetadataRenderer": {"title": "Schola", "externalId": CHANNEL_ID}}
            address = {"commandMetadata": {"webCommandMetadata": {"url": f"/{name}/videos"}}}
            tab = {
                "selected": True,
                "title": "Videos",
                "endpoint": address,
                "content": {"richGridRenderer": {"contents": items}},
            }
        tabs = [{"tabRenderer": tab}, {"tabRenderer": {"title": "Shorts", "selected": False}}]
        return {
            "responseContext": {},
            "contents": {"twoColumnBrowseResultsRenderer": {"tabs": tabs}},
            "metadata": about,
            "microformat": {"microformatDataRenderer": {"title": "A list"}},
        }


def _gone(video_id: str) -> Video:
    return Video(
        video_id, status=("ERROR", "Video unavailable"), subreason="This video has been removed by the uploader"
    )


def _stream(video: Video, number: int, client: str) -> dict[str, Any]:
    mime, body = list(video.streams.items())[number]
    stream: dict[str, Any] = {
        "itag": FIRST_ITAG + number,
        "mimeType": mime,
        "bitrate": 130_000 + number,
        "averageBitrate": 128_000 + number,
        "contentLength": str(len(body) if video.told_bytes is None else video.told_bytes),
        "lastModified": "1719200000000000",
        "quality": "tiny",
        "audioQuality": "AUDIO_QUALITY_MEDIUM",
        "approxDurationMs": str(1000 * video.duration_s),
        "audioSampleRate": "48000",
        "audioChannels": 2,
        "loudnessDb": -3.5,
        "initRange": {"start": "0", "end": "258"},
    }
    if mime.startswith("video"):
        stream |= {"quality": "hd720", "qualityLabel": "720p", "width": 1280, "height": 720, "fps": 25}
        del stream["audioQuality"]
    if video.is_drm:
        stream["drmFamilies"] = ["WIDEVINE"]
    if client == "VISIONOS":
        query = f"id={video.id}&itag={FIRST_ITAG + number}&lmt=1719200000000000&expire=4102444800&sig=SECRET"
        stream["url"] = f"https://{MEDIA_HOST}/videoplayback?{query}"
    return stream


def _clock(duration_s: int) -> str:
    hours, minutes = divmod(duration_s // 60, 60)
    return f"{hours}:{minutes:02}:{duration_s % 60:02}" if hours else f"{minutes}:{duration_s % 60:02}"


def _text(text: str) -> dict[str, str]:
    return {"simpleText": text}


def _json(value: Mapping[str, Any], status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


def _page(initial: Mapping[str, Any], player: Mapping[str, Any] | None = None) -> Answer:
    configuration = {
        "INNERTUBE_CONTEXT": {
            "client": {"clientName": "WEB", "clientVersion": "2.20260708.00.00", "visitorData": "Cgt2"}
        },
        "VISITOR_DATA": "Cgt2",
        "STS": 20000,
        "PLAYER_JS_URL": "/s/player/0123abcd/player_ias.vflset/en_US/base.js",
    }
    scripts = [f"ytcfg.set({json.dumps(configuration)});", f"var ytInitialData = {json.dumps(initial)};"]
    if player:
        scripts.append(f"var ytInitialPlayerResponse = {json.dumps(player)};")
    body = "".join(f"<script>{script}</script>" for script in scripts)
    html = f"<!DOCTYPE html><html><head><title>YouTube</title></head><body>{body}</body></html>"
    return 200, {"Content-Type": "text/html; charset=utf-8"}, html.encode()


def handler(host: str) -> type[_yt_dlp.CheckedRH]:
    """Return a request handler for yt-dlp that asks the site on loopback for whatever YouTube is asked."""

    class LoopbackRH(_yt_dlp.CheckedRH):  # type: ignore[misc]
        def _send(self, request: Any) -> Any:
            asked = urlsplit(request.url)
            request = request.copy()
            request.url = urlunsplit(("http", host, f"/{asked.netloc}{asked.path}", asked.query, ""))
            response = super()._send(request)
            response.url = urlunsplit(asked)
            return response

    return LoopbackRH


@contextmanager
def pretend(host: str) -> Iterator[None]:
    """Let yt-dlp and whoever reads robots.txt ask a site on loopback for whatever YouTube is asked."""
    permit = Web.permit

    def permit_there(self: Web, address: str) -> None:
        parts = urlsplit(address)
        permit(self, urlunsplit(("http", host, parts.path, parts.query, "")))

    hasty = _yt_dlp.RETRYING.copy(sleep=lambda seconds: None)
    with (
        mock.patch.object(_yt_dlp, "CheckedRH", handler(host)),
        mock.patch.object(_yt_dlp, "RETRYING", hasty),
        mock.patch.object(Web, "permit", permit_there),
    ):
        yield


@contextmanager
def youtube(*videos: Video) -> Iterator[YouTubeSite]:
    """Serve these videos as YouTube."""
    with YouTubeSite(videos) as site, pretend(site.host):
        yield site
