"""From Kaggle's archives to rows and blobs, by the real kagglehub, on loopback and from disk."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from curation import collect, ingest
from curation.batches import in_threads
from curation.ingest import Ingested, Means
from curation.store import Home
from rules.schema import RuleSet
from tests import pictures
from tests.archives import record, written, zipped
from tests.curation.tables import content
from tests.kaggle_site import KaggleSite

BEST, WIKIART, ASIAN = "ikarus777/best-artworks-of-all-time", "trungit/wikiart25k", "ajrhee/classical-asian-art"
COLLECT = {
    "kaggle": [
        {"lists": [{"dataset": WIKIART}, {"folder": f"{BEST}/images"}]},
        {"tags": {"genre": "Landscape"}, "lists": [{"dataset": ASIAN}, {"folder": f"{WIKIART}/Cubism"}]},
    ]
}
VAN_GOGH = f"{BEST}/images/images/Vincent_van_Gogh/Vincent_van_Gogh_1.jpg"
ARTISTS = b"id,name,years,genre,nationality\n0,Vincent van Gogh,1853 - 1890,Post-Impressionism,Dutch\n"
ROOT = Path(__file__).parents[2]


def jpeg(name: str) -> bytes:
    """Return a picture that no other name has."""
    file = io.BytesIO()
    pictures.plain("red", size=(64, 64)).save(file, "JPEG", comment=name.encode())
    return file.getvalue()


def members_of(name: str) -> dict[str, bytes]:
    files = {
        WIKIART: ["Cubism/pablo-picasso_guernica-1937.jpg", "Baroque/caravaggio_judith-1599.jpg"],
        BEST: ["images/images/Vincent_van_Gogh/Vincent_van_Gogh_1.jpg", "resized/resized/Vincent_van_Gogh_1.jpg"],
        ASIAN: [f"{number}.jpg" for number in range(40)],
    }
    return {file: jpeg(file) for file in files[name]} | ({"artists.csv": ARTISTS} if name == BEST else {})


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleSite]:
    with KaggleSite() as site, site.in_its_place(tmp_path / "user"):
        for name in (WIKIART, BEST, ASIAN):
            site.publish(name, members_of(name))
        web = site.api.web(site.storage)
        monkeypatch.setattr("curation.web.of", lambda settings: web)
        yield site


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def run(home: Home, site: KaggleSite, named: str = "kaggle", **more: Any) -> Ingested:
    means = Means(site.api.settings, in_threads(2), lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))
    (result,) = ingest.ingest(home, [named], RuleSet.model_validate(content() | {"collect": COLLECT}), means, **more)
    return result


def rows(home: Home) -> dict[str, dict[str, Any]]:
    current = collect.current_items(home, collect.list_sources(home, ["kaggle"])).to_pylist()
    return {row["source_id"]: row for row in current}


def test_archives_become_rows_and_blobs(home: Home, site: KaggleSite) -> None:
    result = run(home, site)
    assert (result.lists, result.found, result.ended.fetched, result.failures) == (4, 43, 43, {})
    held = rows(home)
    picasso = held[f"{WIKIART}/Cubism/pablo-picasso_guernica-1937.jpg"]
    assert [tag["value"] for tag in picasso["tags"]] == ["Cubism", "Landscape"]
    assert (picasso["creator"], picasso["title"], picasso["year"]) == ("Pablo Picasso", "Guernica", 1937)
    assert [tag["value"] for tag in held[VAN_GOGH]["tags"]] == ["Dutch", "Post-Impressionism", "19th century"]
    assert held[VAN_GOGH]["license"] == "CC0-1.0"
    assert home.blob(held[VAN_GOGH]["sha256"]).read_bytes() == jpeg(VAN_GOGH.removeprefix(f"{BEST}/"))
    assert sorted(site.asked) == ["DownloadDataset"] * 3 + ["GetDataset"] * 4


def test_a_second_ingest_fetches_nothing_and_a_new_version_only_what_changed(home: Home, site: KaggleSite) -> None:
    run(home, site)
    first = rows(home)
    site.storage.requests.clear()
    result = run(home, site)
    assert (result.ended.count, result.updated, site.storage.requests) == (0, 0, [])
    assert rows(home) == first
    site.publish(ASIAN, members_of(ASIAN) | {"0.jpg": jpeg("another"), "new.jpg": jpeg("new")}, version=2)
    result = run(home, site)
    assert result.ended.fetched == 2
    assert len(site.storage.requests) == 1
    now = rows(home)
    assert {name for name in now if now[name]["sha256"] != first.get(name, {}).get("sha256")} == {
        f"{ASIAN}/0.jpg",
        f"{ASIAN}/new.jpg",
    }


def test_a_list_that_cannot_be_had_leaves_the_others(home: Home, site: KaggleSite) -> None:
    site.storage.routes[f"/kaggle-data-sets/{BEST}/1/archive.zip"] = (503, {}, b"")
    result = run(home, site)
    assert {name: error.reason for name, error in result.failures.items()} == {f"folder: {BEST}/images": "server_error"}
    assert result.ended.fetched == 42


def test_bad_members_are_rows_with_their_reasons(home: Home, site: KaggleSite) -> None:
    picture = jpeg("x")
    bad = written(
        record(b"good.jpg", picture),
        record(b"../evil.jpg", picture),
        record(b"torn.jpg", picture, crc=1, local_crc=1),
        record(b"page.html", b"<html>"),
        record(b"good.jpg", picture),
        record(b"locked.jpg", picture, flags=1),
    )
    site.publish(ASIAN, bad)
    result = run(home, site)
    assert result.ended.failed == {"damaged_member": 1, "unknown_type": 1}
    assert result.refused == {"unsafe_name": 1, "duplicate_id": 1, "damaged_member": 1}
    reasons = {name.removeprefix(f"{ASIAN}/"): row["reason"] for name, row in rows(home).items() if ASIAN in name}
    assert reasons == {
        "good.jpg": None,
        "../evil.jpg": "unsafe_name",
        "torn.jpg": "damaged_member",
        "page.html": "unknown_type",
        "good.jpg//2": "duplicate_id",
        "locked.jpg": "damaged_member",
    }


def test_archives_on_disk_are_read_and_those_that_are_not_there_are_told(
    home: Home, site: KaggleSite, tmp_path: Path
) -> None:
    place = tmp_path / "downloads"
    place.mkdir()
    (place / "classical-asian-art.zip").write_bytes(zipped(members_of(ASIAN)))
    result = run(home, site, f"kaggle:{place}")
    assert (result.ended.fetched, len(result.failures)) == (40, 3)
    assert {error.reason for error in result.failures.values()} == {"missing_file"}
    assert site.asked == []


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from curation import ingest
from curation.batches import in_threads
from curation.store import Home
from curation.web import WebSettings
from rules.schema import RuleSet
from tests.curation.tables import content
from tests.curation.test_ingest_kaggle import COLLECT

home, place, count = sys.argv[1:]
put, left = Home.put_blob, int(count)
def put_blob(*arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return put(*arguments)
Home.put_blob = put_blob
means = ingest.Means(WebSettings("tester@example.org"), in_threads(1), lambda: datetime(2026, 11, 22, tzinfo=UTC))
ingest.ingest(Home(Path(home)), [f"kaggle:{place}"], RuleSet.model_validate(content() | {"collect": COLLECT}), means)
"""


def test_an_ingest_that_is_killed_goes_on_where_it_ended(home: Home, site: KaggleSite, tmp_path: Path) -> None:
    place = tmp_path / "downloads"
    place.mkdir()
    (place / "classical-asian-art.zip").write_bytes(zipped(members_of(ASIAN)))
    command = [sys.executable, "-c", KILLED, str(home.root), str(place), "25"]
    died = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert died.returncode == -signal.SIGKILL
    result = run(home, site, f"kaggle:{place}")
    assert (result.ended.fetched, result.waiting) == (15, 0)
    held = rows(home)
    assert len(held) == 40
    assert all(home.blob(row["sha256"]).exists() for row in held.values())
