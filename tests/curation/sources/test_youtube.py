"""What YouTube holds, against a site on loopback that answers as YouTube does."""

import hashlib
import json
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from curation.errors import ItemError
from curation.sources import Fetched, _yt_dlp, youtube
from tests import media
from tests.sites import Answer, Asked, Site, break_off, busy, send
from tests.youtube_fetching import (
    LIST,
    M4A,
    MP4,
    OPUS,
    STREAM,
    WATCH,
    WEBM,
    fetch,
    files_below,
    query,
    stored,
    tools,
    video,
)
from tests.youtube_site import CC, CHANNEL_ID, WWW
from tests.youtube_site import youtube as serve

# ---- lists


@pytest.mark.parametrize(("kind", "text"), [("search", "organum"), ("playlist", LIST), ("channel", "@schola")])
def test_every_recording_of_a_list_is_found_in_its_order_over_all_pages(kind: str, text: str, tmp_path: Path) -> None:
    videos = [video(number, title=f"Number {number}") for number in range(8)]
    with serve(*videos) as site:
        ids = [video.id for video in videos]
        site.searches["organum"], site.playlists[LIST], site.channels["@schola"] = ids, ids, ids
        listed = list(youtube.found(query(kind, text), tools(site, tmp_path)))
    assert [found.source_id for found in listed] == ids
    assert {found.refusal for found in listed} == {None}
    first = listed[0]
    assert first.address == first.facts.url == "https://www.youtube.com/watch?v=video000000"
    assert (first.facts.title, first.facts.creator, first.facts.license) == ("Number 0", "Schola", "unknown")
    assert first.about == {"duration_s": 240, "channel_id": CHANNEL_ID}


def test_a_list_is_asked_page_by_page(tmp_path: Path) -> None:
    videos = [video(number) for number in range(9)]
    with serve(*videos) as site:
        site.searches["organum"] = [video.id for video in videos]
        with closing(youtube.found(query("search", "organum"), tools(site, tmp_path))) as listed:
            assert len(list(islice(listed, 2))) == 2
            assert len(site.asked(f"/{WWW}/youtubei/v1/search")) == 1


def test_no_more_is_listed_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(youtube.MAX_LISTED, "search", 4)
    videos = [video(number) for number in range(9)]
    with serve(*videos) as site:
        site.searches["organum"] = [video.id for video in videos]
        assert len(list(youtube.found(query("search", "organum"), tools(site, tmp_path)))) == 4
        assert len(site.asked(f"/{WWW}/youtubei/v1/search")) == 2


def test_of_a_channel_only_the_videos_tab_is_asked(tmp_path: Path) -> None:
    with serve(video()) as site:
        site.channels[CHANNEL_ID] = ["video000000"]
        assert len(list(youtube.found(query("channel", CHANNEL_ID), tools(site, tmp_path)))) == 1
        assert {asked.path for asked in site.media_requests} == {f"/{WWW}/channel/{CHANNEL_ID}/videos"}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"duration_s": 59}, "duration"),
        ({"duration_s": 60}, None),
        ({"duration_s": 7200}, None),
        ({"duration_s": 36_000}, "duration"),
        ({"is_short": True, "duration_s": 170}, "duration"),
        ({"live": "is_live"}, "not_available"),
        ({"live": "is_upcoming"}, "not_available"),
        ({"title": "[Private video]"}, "not_available"),
        ({"title": "[Deleted video]"}, "gone"),
        ({"badge": "BADGE_STYLE_TYPE_MEMBERS_ONLY"}, "login_required"),
    ],
)
def test_a_list_says_what_will_not_be_collected(facts: dict[str, object], reason: str | None, tmp_path: Path) -> None:
    with serve(video(**facts)) as site:
        site.playlists[LIST] = ["video000000"]
        (found,) = youtube.found(query("playlist", LIST), tools(site, tmp_path))
    assert (found.refusal.reason if found.refusal else None) == reason


@pytest.mark.parametrize(("kind", "text"), [("playlist", LIST), ("channel", "@schola")])
def test_a_list_that_is_not_there_is_gone(kind: str, text: str, tmp_path: Path) -> None:
    with serve() as site, pytest.raises(ItemError, match="gone"):
        list(youtube.found(query(kind, text), tools(site, tmp_path)))


@pytest.mark.parametrize(
    ("answer", "times", "reason"),
    [
        (busy("3"), 1, "rate_limited"),
        (busy(status=503), 3, "server_error"),
        ((200, {"Content-Length": "9"}, b""), 3, "incomplete"),
    ],
)
def test_a_list_that_cannot_be_had_now_says_why(answer: Answer, times: int, reason: str, tmp_path: Path) -> None:
    def fail(asked: Asked) -> None:
        send(asked, *answer)
        break_off(asked)

    with serve() as site:
        site.routes[f"/{WWW}/youtubei/v1/search"] = fail
        with pytest.raises(ItemError, match=reason):
            list(youtube.found(query("search", "organum"), tools(site, tmp_path)))
        assert len(site.asked(f"/{WWW}/youtubei/v1/search")) == times


SHELF = ("contents", "twoColumnSearchResultsRenderer", "primaryContents", "sectionListRenderer", "contents")


@pytest.mark.parametrize("content", [7, "x", [1, None], [{"itemSectionRenderer": []}], [{"somethingNew": {}}], {}])
@pytest.mark.parametrize("depth", [1, len(SHELF)])
def test_a_search_whose_answer_is_of_a_new_form_invents_nothing(content: object, depth: int, tmp_path: Path) -> None:
    answer = content
    for key in reversed(SHELF[:depth]):
        answer = {key: answer}
    with serve() as site:
        body = json.dumps(answer).encode()
        site.routes[f"/{WWW}/youtubei/v1/search"] = (200, {"Content-Type": "application/json"}, body)
        try:
            listed = list(youtube.found(query("search", "organum"), tools(site, tmp_path)))
        except ItemError as error:
            listed = [] if error.reason == "changed_site" else [error]  # type: ignore[list-item]
    assert listed == []


def test_an_answer_that_is_no_json_is_a_changed_site(tmp_path: Path) -> None:
    with serve() as site:
        site.routes[f"/{WWW}/youtubei/v1/search"] = b"<html>something new"
        with pytest.raises(ItemError, match="changed_site"):
            list(youtube.found(query("search", "organum"), tools(site, tmp_path)))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("search", "Gregorian chant schola"),
        ("playlist", LIST),
        ("playlist", f"https://www.youtube.com/playlist?list={LIST}"),
        ("playlist", f"https://music.youtube.com/watch?v=video000000&list={LIST}"),
        ("channel", "@bach"),
        ("channel", CHANNEL_ID),
    ],
)
def test_lists_that_there_can_be(kind: str, text: str) -> None:
    youtube.check(query(kind, text))


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("search", " ", "expected words"),
        ("search", "x" * 201, "at most 200"),
        ("playlist", "WL", "public playlist"),
        ("playlist", "RDabcdefghijkl", "public playlist"),
        ("playlist", "UUSHabcdefghijklmnopqrst", "public playlist"),
        ("playlist", f"https://youtube.com.example.org/playlist?list={LIST}", "public playlist"),
        ("playlist", f"{LIST}&x=../..", "public playlist"),
        ("channel", "bach", "expected @handle"),
        ("channel", "@bach/shorts", "expected @handle"),
        ("channel", "https://www.youtube.com/@bach", "expected @handle"),
        ("category", "baroque", "expected search, playlist or channel"),
    ],
)
def test_lists_that_there_cannot_be(kind: str, text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        youtube.check(query(kind, text))


def test_what_it_needs_is_there_for_these_tests() -> None:
    assert {need.what: need.ready for need in youtube.needs()} == {
        "yt-dlp": True,
        "yt-dlp-ejs": True,
        "deno, for YouTube's player": True,
    }


# ---- recordings


def test_the_audio_stream_is_stored_as_it_is_with_what_youtube_says_of_it(tmp_path: Path) -> None:
    song = video(
        title="Viderunt omnes",
        streams={MP4: b"pictures", M4A: b"\0\0\0\x18ftypdash" + b"m" * 9000, WEBM: OPUS},
        rows={"License": CC},
        chapters=[(0, "Kyrie"), (90, "Gloria")],
        description="Sung at the abbey",
    )
    with serve(song) as site:
        (result,) = fetch(site, tmp_path)
        streams = site.asked(STREAM)
    assert stored(tmp_path, result) == OPUS
    assert isinstance(result, Fetched)
    assert (result.modality, result.size_bytes) == ("music", len(OPUS))
    assert result.facts == youtube.Facts(
        "https://www.youtube.com/watch?v=video000000",
        "Viderunt omnes",
        "Schola",
        None,
        "CC-BY-3.0",
        "Viderunt omnes, Schola, https://www.youtube.com/watch?v=video000000",
    )
    assert result.about == {
        "uploader": "Schola",
        "channel": "Schola",
        "channel_id": CHANNEL_ID,
        "upload_date": "2015-06-24",
        "description_sha256": hashlib.sha256(b"Sung at the abbey").hexdigest(),
        "duration_s": 240,
        "license": CC,
        "format": {"format_id": "252", "acodec": "opus", "ext": "webm", "abr": 128.002},
        "chapters": [
            {"start_s": 0.0, "end_s": 90.0, "title": "Kyrie"},
            {"start_s": 90.0, "end_s": 240, "title": "Gloria"},
        ],
    }
    json.dumps(result.about)
    assert {asked.query["itag"][0] for asked in streams} == {"252"}, "the pictures were asked for"
    assert len(files_below(tmp_path)) == 1


def test_where_only_m4a_is_offered_m4a_is_stored(tmp_path: Path) -> None:
    body = b"\0\0\0\x18ftypdash" + b"m" * 9000
    with serve(video(streams={MP4: b"pictures", M4A: body})) as site:
        (result,) = fetch(site, tmp_path)
    assert stored(tmp_path, result) == body


def test_music_that_youtube_knows_has_its_artist_and_the_year_of_its_release(tmp_path: Path) -> None:
    description = (
        "Provided to YouTube by Harmonia\n\nKyrie · Pérotin · Choir\n\nNotre-Dame\n\n℗ 1998 Harmonia\n\n"
        "Released on: 1998-03-01\n\nAuto-generated by YouTube."
    )
    with serve(video(title="Kyrie", uploader="Pérotin - Topic", description=description)) as site:
        (result,) = fetch(site, tmp_path)
    assert isinstance(result, Fetched)
    assert result.facts
    assert (result.facts.title, result.facts.creator, result.facts.year) == ("Kyrie", "Pérotin, Choir", 1998)
    assert (result.facts.license, result.facts.attribution) == ("unknown", None)
    assert (result.about["track"], result.about["album"]) == ("Kyrie", "Notre-Dame")


def test_the_standard_license_is_called_by_its_name(tmp_path: Path) -> None:
    with serve(video(rows={"License": "Standard YouTube License"})) as site:
        (result,) = fetch(site, tmp_path)
    assert isinstance(result, Fetched)
    assert result.facts
    assert result.facts.license == "LicenseRef-YouTube-Standard"


def test_nobody_claims_to_be_of_age_or_to_be_a_browser_where_a_page_is_asked(tmp_path: Path) -> None:
    with serve(video()) as site:
        fetch(site, tmp_path)
        asked = site.media_requests
    (page,) = [asked for asked in asked if asked.path == WATCH]
    assert page.query == {"v": ["video000000"]}
    agents = {asked.headers["user-agent"] for asked in asked if asked.method == "GET"}
    assert all(agent.startswith("artune/") and "curator@example.org" in agent for agent in agents)
    assert not any(b"CheckOk" in asked.body for asked in asked)


WILD = "evil \u202e\x1b[2J \ud83d" + "A" * 200_000


def test_text_of_youtube_is_clean_and_bounded_wherever_it_goes(tmp_path: Path) -> None:
    song = video(
        title=WILD,
        uploader=WILD,
        description="Sung \ud800",
        rows={"License": WILD},
        chapters=[(0, WILD), (90, "Gloria")],
    )
    with serve(song) as site:
        site.searches["organum"] = ["video000000"]
        (listed,) = youtube.found(query("search", "organum"), tools(site, tmp_path))
        (result,) = fetch(site, tmp_path)
    assert stored(tmp_path, result) == OPUS
    assert isinstance(result, Fetched)
    assert result.facts
    clean = ("evil [2J ?" + "A" * 1_000)[:1_000]
    assert (listed.facts.title, listed.facts.creator) == (clean, clean)
    assert (result.facts.title, result.facts.creator) == (clean, clean)
    about = result.about
    chapters = [chapter["title"] for chapter in about["chapters"]]  # type: ignore[attr-defined]
    assert (about["uploader"], about["channel"], about["license"], chapters) == (clean, clean, clean, [clean, "Gloria"])
    json.dumps([listed.about, about], ensure_ascii=False).encode()
    assert len(str(about["description_sha256"])) == 64


def test_artists_of_a_release_are_clean_and_bounded(tmp_path: Path) -> None:
    artists = " · ".join(f"Choir\u200f {number}" for number in range(200))
    description = (
        f"Provided to YouTube by Harmonia\n\nKyrie\x1b · {artists}\n\nNotre\ud800-Dame\n\n℗ 1998 Harmonia\n\n"
        "Released on: 1998-03-01\n\nAuto-generated by YouTube."
    )
    with serve(video(title="Kyrie", uploader="Pérotin - Topic", description=description)) as site:
        (result,) = fetch(site, tmp_path)
    assert isinstance(result, Fetched)
    assert result.facts
    assert result.facts.creator
    assert result.facts.creator.startswith("Choir 0, Choir 1")
    assert len(result.facts.creator) <= 1_000
    assert (result.about["track"], result.about["album"]) == ("Kyrie", "Notre?-Dame")


# ---- yt-dlp's own way to a file, a page and a feed, with its own handler


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("recordings")
    waveform = media.sine(2.0)
    opus = media.encode(folder / "song.webm", waveform, "-c:a", "libopus", rate_hz=48_000)
    aac = media.encode(folder / "song.m4a", waveform, "-c:a", "aac", "-movflags", "+dash+faststart")
    return {path.name: path.read_bytes() for path in (opus, aac)}


@pytest.mark.parametrize("name", ["song.webm", "song.m4a"])
@pytest.mark.parametrize("way", ["file", "page", "feed"])
def test_what_yt_dlp_downloads_is_byte_for_byte_what_was_served(
    way: str, name: str, recordings: dict[str, bytes], tmp_path: Path
) -> None:
    from yt_dlp.extractor.generic import GenericIE
    from yt_dlp.extractor.genericembeds import HTML5MediaEmbedIE

    kind = "audio/webm" if name.endswith("webm") else "audio/mp4"
    with Site({f"/{name}": (200, {"Content-Type": kind}, recordings[name])}) as site:
        page = f"<!DOCTYPE html><title>A song</title><audio src='/{name}' type='{kind}'></audio>"
        feed = (
            '<?xml version="1.0"?><rss version="2.0"><channel><title>Songs</title><item><title>A song</title>'
            f'<enclosure url="{site.url}/{name}" type="{kind}" length="9"/></item></channel></rss>'
        )
        site.routes["/page"] = (200, {"Content-Type": "text/html"}, page.encode())
        site.routes["/feed"] = (200, {"Content-Type": "application/rss+xml"}, feed.encode())
        with _yt_dlp.Client(site.web()) as client:
            client.add_info_extractor(HTML5MediaEmbedIE())
            client.add_info_extractor(GenericIE())
            info = client.info(f"{site.url}/{name if way == 'file' else way}")
            while info.get("_type") == "playlist":
                info = list(info["entries"])[0]
            client.save(info, tmp_path / "saved", youtube.MAX_BYTES, youtube.MAX_SECONDS)
    assert (tmp_path / "saved").read_bytes() == recordings[name]


@pytest.mark.parametrize("name", ["song.webm", "song.m4a"])
def test_real_recordings_pass_whole(name: str, recordings: dict[str, bytes], tmp_path: Path) -> None:
    with serve(video(streams={WEBM if name.endswith("webm") else M4A: recordings[name]})) as site:
        assert stored(tmp_path, fetch(site, tmp_path)[0]) == recordings[name]
