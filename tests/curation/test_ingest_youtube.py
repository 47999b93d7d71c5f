"""From YouTube's lists to a release, by the real yt-dlp, on loopback."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from curation import building, collect, ingest
from curation.batches import in_threads
from curation.ingest import Ingested, Means
from curation.schemas import PAIRS
from curation.sources import youtube
from curation.store import Home, read_tables
from curation.web import WebSettings
from rules.schema import RuleSet
from tests import media
from tests.curation.collection import write_collection
from tests.curation.tables import FEATURES, ROOMY, SUB_GENRES, content
from tests.sites import Asked, busy, in_turn
from tests.youtube_site import CC, MEDIA_HOST, WWW, Video, YouTubeSite
from tests.youtube_site import youtube as serve

ROOT = Path(__file__).parents[2]
LIST = "PLabcdefghijklm"
SONGS = {"sub_genre": SUB_GENRES[2], "music_feature": FEATURES[1]}
ASKED = [
    {"tags": SONGS, "lists": [{"search": "songs"}, {"playlist": LIST}]},
    {"tags": {"sub_genre": SUB_GENRES[1], "music_feature": FEATURES[0]}, "lists": [{"channel": "@schola"}]},
]
OPUS = b"\x1a\x45\xdf\xa3" + bytes(range(256)) * 40
PLAYER = f"/{WWW}/youtubei/v1/player"


def rules() -> RuleSet:
    return RuleSet.model_validate(content(ROOMY) | {"collect": {"youtube": ASKED}})


def video(number: int, **facts: Any) -> Video:
    streams = {'audio/webm; codecs="opus"': OPUS + number.to_bytes(2)}
    return Video(f"video{number:06}", f"Song {number}", **{"streams": streams, "rows": {"License": CC}} | facts)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[YouTubeSite]:
    monkeypatch.setattr(youtube, "RATES", {})
    with serve(*(video(number) for number in range(10)), video(10, duration_s=20)) as site:
        site.searches["songs"] = [f"video{number:06}" for number in (0, 1, 2, 3, 4, 5, 99, 10)]
        site.playlists[LIST] = [f"video{number:06}" for number in (4, 5, 6, 7, 4)]
        site.channels["@schola"] = [f"video{number:06}" for number in (7, 8, 9)]
        monkeypatch.setattr("curation.web.of", lambda settings: web)
        web = site.client()
        yield site


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def means(settings: WebSettings) -> Means:
    return Means(settings, in_threads(2), lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))


def run(home: Home, site: YouTubeSite, **more: Any) -> Ingested:
    (result,) = ingest.ingest(home, ["youtube"], rules(), means(site.settings), **more)
    return result


def rows(home: Home) -> dict[int, dict[str, Any]]:
    current = collect.current_items(home, collect.list_sources(home, ["youtube"])).to_pylist()
    return {int(row["source_id"].removeprefix("video")): row for row in current}


def test_lists_become_rows_and_blobs(home: Home, site: YouTubeSite) -> None:
    result = run(home, site)
    assert (result.lists, result.found, result.failures) == (3, 12, {})
    assert (result.ended.fetched, result.ended.failed, result.refused) == (10, {"gone": 1}, {"duration": 1})
    held = rows(home)
    assert {number: row["reason"] for number, row in held.items() if row["reason"]} == {99: "gone", 10: "duration"}
    row = held[7]
    assert (row["title"], row["creator"], row["license"]) == ("Song 7", "Schola", "CC-BY-3.0")
    assert row["attribution"] == "Song 7, Schola, https://www.youtube.com/watch?v=video000007"
    assert {tag["value"] for tag in row["tags"]} == {SUB_GENRES[1], SUB_GENRES[2], FEATURES[0], FEATURES[1]}
    assert home.blob(row["sha256"]).read_bytes() == OPUS + (7).to_bytes(2)
    assert not list((home.root / "partial").iterdir())


def test_a_second_ingest_asks_for_no_recording_that_is_known(home: Home, site: YouTubeSite) -> None:
    run(home, site)
    first = rows(home)
    site.requests.clear()
    site.searches["songs"].append("video000011")
    site.videos["video000011"] = video(11)
    result = run(home, site)
    assert (result.ended.fetched, result.ended.failed) == (1, {})
    assert {asked.query["id"][0] for asked in site.asked(f"/{MEDIA_HOST}")} == {"video000011"}
    assert {number: row for number, row in rows(home).items() if number != 11} == first


def test_what_a_rate_limit_left_is_parked_and_a_retry_takes_it(
    home: Home, site: YouTubeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.routes[PLAYER] = in_turn(site.page, site.page, busy("3600"), site.page)
    result = run(home, site)
    assert set(result.ended.failed) <= {"rate_limited", "host_paused"}
    assert result.ended.fetched + result.ended.count + result.waiting >= 11
    left = [number for number, row in rows(home).items() if row["reason"] in ("rate_limited", "host_paused")]
    assert left
    later = site.client()  # as another process does, an hour later
    monkeypatch.setattr("curation.web.of", lambda settings: later)
    (again,) = ingest.retry(home, ["youtube"], means(site.settings))
    assert again.ended.count == len(left)
    run(home, site)
    assert {number for number, row in rows(home).items() if row["reason"]} == {99, 10}


KILLED = """
import os, signal, sys
from pathlib import Path
from curation import ingest
from curation.sources import youtube
from curation.store import Home
from curation.web import WebSettings
from tests.curation.test_ingest_youtube import means, rules
from tests.youtube_site import MEDIA_HOST, WWW, pretend

home, host, count = sys.argv[1:]
adopt, left = Home.adopt_blob, int(count)
def adopt_blob(*arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return adopt(*arguments)
Home.adopt_blob = adopt_blob
youtube.RATES = {}
with pretend(host):
    settings = WebSettings("curator@example.org", frozenset({host, WWW, MEDIA_HOST}))
    ingest.ingest(Home(Path(home)), ["youtube"], rules(), means(settings))
"""


def test_an_ingest_that_is_killed_goes_on_where_it_ended(home: Home, site: YouTubeSite) -> None:
    command = [sys.executable, "-c", KILLED, str(home.root), site.host, "4"]
    died = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert died.returncode == -signal.SIGKILL
    site.requests.clear()
    asked_before = sum(1 for row in rows(home).values() if row["sha256"])
    result = run(home, site)
    assert result.waiting == 0
    held = rows(home)
    assert {number for number, row in held.items() if row["sha256"]} == set(range(10))
    assert all(home.blob(row["sha256"]).exists() for row in held.values() if row["sha256"])
    fetched = {asked.query["id"][0] for asked in site.asked(f"/{MEDIA_HOST}")}
    assert len(fetched) <= 10 - asked_before
    assert not list((home.root / "partial").iterdir())


def test_what_was_ingested_fills_a_release(home: Home, site: YouTubeSite, tmp_path: Path) -> None:
    for number in range(10):
        path = media.encode(tmp_path / "song.webm", media.tune(2.0, seed=number), "-c:a", "libopus", rate_hz=44_100)
        streams = {'audio/webm; codecs="opus"': path.read_bytes()}
        site.videos[f"video{number:06}"] = video(number, streams=streams)
    pictures = write_collection(tmp_path / "pictures", range(12), ())
    run(home, site)

    def nobody(asked: Asked) -> None:
        raise AssertionError("a build asks no site")

    site.otherwise = nobody
    release = building.build(home, [f"folder:{pictures}", "youtube"], rules(), in_threads(2))
    assert release
    pairs = read_tables(release.folder / "metadata", PAIRS).to_pylist()
    assert pairs
    assert {(pair["music_source"], pair["music_license"]) for pair in pairs} == {("youtube", "CC-BY-3.0")}
    assert {pair["music_attribution"].partition(",")[0] for pair in pairs} <= {f"Song {n}" for n in range(10)}
