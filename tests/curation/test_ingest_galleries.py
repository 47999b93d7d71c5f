"""From lists of WikiArt and Pinterest to rows and blobs, by the real gallery-dl and the real client, on loopback."""

import io
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curation import collect, found, ingest
from curation.ingest import Ingested
from curation.store import Home
from tests import gallery_sites as sites
from tests import pictures
from tests.curation.gallery_child import means, rule_set
from tests.sites import Answer, Asked, Site, busy

ROOT = Path(__file__).parents[2]
PORTRAITS = "/en/paintings-by-genre/portrait"
FEED = "/resource/BoardFeedResource/get/"
SHARED = "thomas-cole/self-portrait-1836"  # both lists of WikiArt hold it


@pytest.fixture
def site() -> Iterator[Site]:
    with Site(otherwise=_picture) as site:
        portraits = [f"caravaggio/judith-{number}" for number in range(4)]
        sites.add_paintings(site, "paintings-by-genre/portrait", _paintings(site, [*portraits, SHARED]))
        entries = [sites.artist_entry("thomas-cole")]
        of_artist = {"thomas-cole": _paintings(site, [SHARED, "thomas-cole/the-oxbow"])}
        sites.add_artists(site, "painting-school", entries, of_artist)
        pins = [sites.pin(str(number), site) for number in range(1001, 1006)]
        sites.Pinterest(site, [*pins, sites.pin("1006", site, is_promoted=True)])
        yield site


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture(autouse=True)
def _here(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    sites.go_there(site.url, monkeypatch)
    web = site.web()
    monkeypatch.setattr("curation.web.of", lambda settings: web)


def _paintings(site: Site, slugs: list[str]) -> list[sites.Json]:
    return [sites.painting(slug, site, year="") for slug in slugs]


def _picture(asked: Asked) -> Answer:
    """Answer any address of a picture with one that no other address has."""
    if not asked.path.endswith(".jpg"):
        return 404, {}, b"not here"
    file = io.BytesIO()
    pictures.plain(tuple(asked.path.encode()[-7:-4]), size=(64, 64)).save(file, "JPEG", comment=asked.path.encode())
    return 200, {"Content-Type": "image/jpeg", "ETag": f'"{asked.path}"'}, file.getvalue()


def run(home: Home, site: Site, *named: str, **more: Any) -> list[Ingested]:
    return ingest.ingest(home, named or ("wikiart", "pinterest"), rule_set(), means(site.host), **more)


def rows(home: Home, source: str) -> dict[str, dict[str, Any]]:
    current = collect.current_items(home, collect.list_sources(home, [source])).to_pylist()
    return {row["url"].rpartition("/en/")[2].rpartition("/pin/")[2]: row for row in current}


def asked_pictures(site: Site) -> Counter[str]:
    return Counter(asked.path for asked in site.requests if asked.path.endswith(".jpg"))


def test_lists_become_rows_and_blobs(home: Home, site: Site) -> None:
    wikiart, pinterest = run(home, site)
    assert (wikiart.lists, wikiart.found, wikiart.ended.fetched, wikiart.failures) == (2, 6, 6, {})
    assert (pinterest.lists, pinterest.found, pinterest.ended.fetched, pinterest.failures) == (2, 6, 5, {})
    assert pinterest.refused == {"not_media": 1}
    shared = rows(home, "wikiart")[SHARED]
    assert {tag["value"] for tag in shared["tags"]} == {"Portrait", "Landscape"}
    assert (shared["title"], shared["creator"]) == ("Self portrait 1836", "Thomas Cole")
    blob = home.blob(shared["sha256"]).read_bytes()
    assert f"/images/{SHARED}.jpg".encode() in blob
    assert rows(home, "pinterest")["1006/"]["reason"] == "not_media"
    seen = [row for each in found.read(home, "pinterest") for row in each.rows.to_pylist()]
    about = {row["source_id"]: json.loads(row["about"]) for row in seen}
    assert about["1001"]["link"] == "https://artblog.example/1001"


def test_a_second_ingest_asks_for_nothing_that_is_known(home: Home, site: Site) -> None:
    run(home, site)
    first = rows(home, "wikiart") | rows(home, "pinterest")
    site.requests.clear()
    for result in run(home, site):
        assert (result.ended.count, result.updated, result.waiting) == (0, 0, 0)
    assert asked_pictures(site) == {}
    assert rows(home, "wikiart") | rows(home, "pinterest") == first


def test_a_list_that_breaks_off_gives_what_it_held_and_the_rest_later(home: Home, site: Site) -> None:
    whole = site.routes[PORTRAITS]
    assert callable(whole)
    site.routes[PORTRAITS] = lambda asked: whole(asked) if asked.query["page"] == ["1"] else busy("30")
    (result,) = run(home, site, "wikiart")
    failures = {name: failure.reason for name, failure in result.failures.items()}
    assert failures == {"category: paintings-by-genre/portrait": "rate_limited"}
    assert result.ended.fetched == 3 + 2
    site.routes[PORTRAITS] = whole
    (result,) = run(home, site, "wikiart")
    assert (result.failures, result.ended.fetched) == ({}, 1)
    assert set(asked_pictures(site).values()) == {1}


def test_a_picture_that_is_a_page_is_a_row_with_its_reason(home: Home, site: Site) -> None:
    site.routes[f"/images/{SHARED}.jpg"] = (200, sites.PAGE, b"<!doctype html><html>Log in</html>")
    (result,) = run(home, site, "wikiart")
    assert (result.ended.fetched, result.ended.failed) == (5, {"not_media": 1})
    assert rows(home, "wikiart")[SHARED]["reason"] == "not_media"


@pytest.mark.parametrize(
    ("source", "moment"),
    [
        ("wikiart", f"{PORTRAITS} page 2"),
        ("wikiart", "/images/caravaggio/judith-3.jpg"),
        ("pinterest", f"{FEED} page 2"),
        ("pinterest", "/originals/1004.jpg"),
    ],
)
def test_an_ingest_that_is_killed_goes_on_where_it_ended(home: Home, site: Site, source: str, moment: str) -> None:
    path, _, is_second_page = moment.partition(" ")
    inner = site.routes.get(path, _picture)
    assert callable(inner)

    def kill_once(asked: Asked) -> Answer | bytes | None:
        is_moment = not is_second_page or "page=2" in asked.target or "%5B%223%22%5D" in asked.target
        if is_moment and child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        return inner(asked)

    site.routes[path] = kill_once
    command = [sys.executable, "-m", "tests.curation.gallery_child", str(home.root), site.url, source]
    child = subprocess.Popen(command, cwd=ROOT)
    assert child.wait() == -signal.SIGKILL
    (result,) = run(home, site, source)
    assert result.failures == {}
    held = rows(home, source)
    assert {row["reason"] for row in held.values()} <= {None, "not_media"}
    assert len(held) == 6
    assert all(home.blob(row["sha256"]).exists() for row in held.values() if row["sha256"])
    again = {path: times for path, times in asked_pictures(site).items() if times > 1}
    assert len(again) <= 2  # those that were on their way when it died
