"""Kaggle by the real kagglehub, from a Kaggle on loopback, and from archives on disk."""

import fcntl
import gzip
import io
import logging
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kagglesdk import kaggle_env

from curation import web
from curation.errors import ItemError
from curation.sources import Facts, Fetched, Found, Tools, _kaggle_api, _kaggle_requests, kaggle
from curation.sources._kaggle_facts import license_of
from curation.store import Home
from rules.collecting import Query
from rules.errors import ConfigurationError
from tests.archives import record, written, zipped
from tests.kaggle_site import API, SECRET, KaggleSite, answer
from tests.pictures import plain
from tests.sites import Answer, Asked, Route, Site, busy, cut, gzip_bomb, in_turn, ranged, redirect

JSON = {"Content-Type": "application/json"}
BEST, WIKIART, ASIAN = "ikarus777/best-artworks-of-all-time", "trungit/wikiart25k", "ajrhee/classical-asian-art"
ARTISTS = """id,name,years,genre,nationality,bio,wikipedia,paintings
0,Amedeo Modigliani,1884 - 1920,Expressionism,Italian,"Amedeo, a painter",http://en.wikipedia.org/wiki/M,193
1,Paul Klee,1879 \u2013 1940,"Expressionism,Abstractionism,Surrealism","German,Swiss",,,188
2,Albrecht Du\u0308rer,1471 - 1528,Northern Renaissance,German,,,328
3,Vincent van Gogh,1853 \u2013 1890,Post-Impressionism,Dutch,,,877
"""


def jpeg(color: str) -> bytes:
    data = io.BytesIO()
    plain(color).save(data, "JPEG")
    return data.getvalue()


RED, GREEN, BLUE = jpeg("red"), jpeg("green"), jpeg("blue")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[KaggleSite]:
    with KaggleSite() as site, site.in_its_place(tmp_path / "user"):
        yield site


@pytest.fixture
def tools(site: KaggleSite, tmp_path: Path) -> Tools:
    return Tools(Home(tmp_path / "home"), site.api.web(site.storage))


def at(place: Path, tmp_path: Path) -> Tools:
    """Give tools for archives on disk: nobody may be asked."""
    return Tools(Home(tmp_path / "home"), web.of(web.WebSettings("tester@example.org")), str(place))


def found(tools: Tools, text: str, kind: str = "dataset") -> list[Found]:
    return list(kaggle.found(Query("kaggle", kind, text), tools))


def refusal(tools: Tools, text: str = BEST, kind: str = "dataset") -> ItemError:
    with pytest.raises(ItemError) as raised:
        found(tools, text, kind)
    return raised.value


def fetched(tools: Tools, items: list[Found]) -> list[Fetched | ItemError]:
    ended = dict(kaggle.fetched(items, tools))
    return [ended[index] for index in range(len(items))]


def archives(tools: Tools) -> list[str]:
    folder = tools.home.root / "archives"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".zip", ".part"))


# What there may be


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("dataset", BEST),
        ("folder", f"{BEST}/images"),
        ("folder", f"{BEST}/images/images/Albrecht_Dürer"),
        ("folder", f"{WIKIART}/Mannerism(Late Renaissance)"),
    ],
)
def test_lists_are_data_sets_and_folders_of_them(kind: str, text: str) -> None:
    kaggle.check(Query("kaggle", kind, text))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("dataset", "best-artworks"),
        ("dataset", f"{BEST}/images"),
        ("dataset", "../etc"),
        ("dataset", "owner/na me"),
        ("dataset", "owner/"),
        ("folder", BEST),
        ("folder", f"{BEST}/"),
        ("folder", f"{BEST}/../other"),
        ("folder", f"{BEST}//images"),
        ("search", BEST),
    ],
)
def test_another_list_is_refused_with_the_forms_that_are_expected(kind: str, text: str) -> None:
    with pytest.raises(ValueError, match="expected `dataset: owner/name` or `folder: owner/name/path/in/archive`"):
        kaggle.check(Query("kaggle", kind, text))


def test_nothing_is_needed_for_archives_on_disk() -> None:
    assert not any(need.required for need in kaggle.needs())


def test_an_account_is_seen_but_not_shown(site: KaggleSite, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [need.ready for need in kaggle.needs()] == [True, False]
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_secret")
    assert [need.ready for need in kaggle.needs()] == [True, True]
    assert "KGAT" not in repr(kaggle.needs())


def test_the_source_is_imported_without_kagglehub() -> None:
    code = "import sys; from curation import sources; sources.get_web('kaggle'); assert 'kagglehub' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# What is said of the members


def test_the_artists_table_says_what_is_certain_of_their_works(tools: Tools, site: KaggleSite) -> None:
    site.publish(
        BEST,
        {
            "artists.csv": ARTISTS.encode(),
            "images/images/Vincent_van_Gogh/Vincent_van_Gogh_1.jpg": RED,
            "images/images/Paul_Klee/Paul_Klee_12.jpg": GREEN,
            "resized/resized/Amedeo_Modigliani_3.jpg": BLUE,
            "images/images/Nobody/Nobody_1.jpg": BLUE,
        },
    )
    van_gogh, klee, modigliani, nobody = found(tools, BEST)
    page = f"https://www.kaggle.com/datasets/{BEST}"
    attribution = "Best Artworks Of All Time, a data set of Ikarus777 on Kaggle"
    assert van_gogh.facts == Facts(
        url=page,
        creator="Vincent van Gogh",
        license="CC0-1.0",
        attribution=attribution,
        tags=(("nationality", "Dutch"), ("style", "Post-Impressionism"), ("century", "19th century")),
    )
    assert van_gogh.about == {
        "dataset": BEST,
        "version": 1,
        "folder": "images/images/Vincent_van_Gogh",
        "artist": {
            "name": "Vincent van Gogh",
            "years": "1853 \u2013 1890",
            "genre": "Post-Impressionism",
            "nationality": "Dutch",
        },
    }
    # Of several movements each is only possible, and he worked in two centuries.
    assert klee.facts.tags == (("nationality", "German"), ("nationality", "Swiss"))
    assert klee.about["artist"]["genre"] == "Expressionism,Abstractionism,Surrealism"  # type: ignore[index]
    assert modigliani.facts.creator == "Amedeo Modigliani"
    assert nobody.facts == Facts(url=page, license="CC0-1.0", attribution=attribution)


@pytest.mark.parametrize(
    "folder", ["Albrecht_Dürer", "Albrecht_Du\u0308rer", "Albrecht_Du╠êrer", "Albrecht_DuΓòá├¬rer", "Albrecht_Durer"]
)
def test_an_artist_is_known_by_a_folder_that_is_spelled_wrong(tools: Tools, site: KaggleSite, folder: str) -> None:
    site.publish(BEST, {"artists.csv": ARTISTS.encode(), f"images/images/{folder}/1.jpg": RED})
    (item,) = found(tools, BEST)
    assert item.facts.creator == "Albrecht Dürer"


@pytest.mark.parametrize(
    ("file", "creator", "title", "year"),
    [
        ("vincent-van-gogh_the-starry-night-1889.jpg", "Vincent Van Gogh", "The starry night", 1889),
        ("vincent-van-gogh_the-starry-night-1889(1).jpg", "Vincent Van Gogh", "The starry night", 1889),
        ("raphael_la-donna-velata-1516-1.jpg", "Raphael", "La donna velata", 1516),
        ("illarion-pryanishnikov_in-1812.jpg", "Illarion Pryanishnikov", "In 1812", None),
        ("illarion-pryanishnikov_in-1812-1874.jpg", "Illarion Pryanishnikov", "In 1812", 1874),
        ("claude-monet_untitled.jpg", "Claude Monet", "Untitled", None),
        ("IMG_2041.jpg", None, None, None),
        ("0001.jpg", None, None, None),
    ],
)
def test_wikiarts_names_say_style_creator_title_and_year(
    tools: Tools, site: KaggleSite, file: str, creator: str | None, title: str | None, year: int | None
) -> None:
    site.publish(WIKIART, {f"Art_Nouveau_Modern/{file}": RED})
    (item,) = found(tools, WIKIART)
    assert item.facts.tags == (("style", "Art Nouveau Modern"),)
    assert (item.facts.creator, item.facts.title, item.facts.year) == (creator, title, year)


def test_a_table_of_files_says_more_than_their_names(tools: Tools, site: KaggleSite) -> None:
    table = """Filename,Artist,Genre,Title,Date,url
Cubism/pablo-picasso_x-1910.jpg,pablo picasso,"['Portrait', 'Still life']",Girl,c. 1910,javascript:alert(1)
../outside.jpg,x,x,x,x,x
"""
    site.publish(WIKIART, {"classes.csv": table.encode(), "Cubism/pablo-picasso_x-1910.jpg": RED})
    (item,) = found(tools, WIKIART)
    assert item.facts.tags == (("genre", "Portrait"), ("genre", "Still life"), ("style", "Cubism"))
    assert (item.facts.creator, item.facts.title, item.facts.year) == ("pablo picasso", "Girl", 1910)
    assert item.facts.url == f"https://www.kaggle.com/datasets/{WIKIART}"


@pytest.mark.parametrize("table", [b'"' + b"x" * 200_000, b"filename\n" + bytes(9)])
def test_a_table_that_cannot_be_read_is_a_refusal_and_the_rest_is_found(
    tools: Tools, site: KaggleSite, table: bytes
) -> None:
    site.publish(ASIAN, {"list.csv": table, "a.jpg": RED})
    items = {item.source_id: item.refusal and item.refusal.reason for item in found(tools, ASIAN)}
    assert items[f"{ASIAN}/a.jpg"] is None
    assert items.get(f"{ASIAN}/list.csv") in (None, "invalid_metadata")


def test_what_is_neither_picture_nor_recording_by_its_place_is_no_item(tools: Tools, site: KaggleSite) -> None:
    hidden = ["README.md", "LICENSE", "artists.csv", ".DS_Store", "a/._1.jpg", "__MACOSX/a/1.jpg"]
    site.publish(ASIAN, {name: b"x" for name in hidden} | {"a/README.md": b"x", "a/1.jpg": RED})
    assert [item.source_id for item in found(tools, ASIAN)] == [f"{ASIAN}/a/README.md", f"{ASIAN}/a/1.jpg"]


def test_a_folder_is_what_lies_below_it(tools: Tools, site: KaggleSite) -> None:
    site.publish(BEST, {"images/a.jpg": RED, "images2/b.jpg": RED, "images/images/c.jpg": RED})
    items = found(tools, f"{BEST}/images", "folder")
    assert [item.source_id for item in items] == [f"{BEST}/images/a.jpg", f"{BEST}/images/images/c.jpg"]


def test_a_folder_that_is_not_there_is_told_with_those_that_are(tools: Tools, site: KaggleSite) -> None:
    site.publish(BEST, {"images/a.jpg": RED, "resized/b.jpg": RED})
    error = refusal(tools, f"{BEST}/image", "folder")
    assert str(error) == "missing_file: no folder image in the archive; it has images, resized"


@pytest.mark.parametrize(
    ("written", "spdx"),
    [
        ("CC0: Public Domain", "CC0-1.0"),
        ("CC BY-NC-SA 4.0", "CC-BY-NC-SA-4.0"),
        ("CC BY-SA 3.0", "CC-BY-SA-3.0"),
        ("Attribution 4.0 International (CC BY 4.0)", "CC-BY-4.0"),
        ("Attribution-NonCommercial-NoDerivatives 4.0 International (CC BY-NC-ND 4.0)", "CC-BY-NC-ND-4.0"),
        ("Attribution 3.0 IGO (CC BY 3.0 IGO)", "CC-BY-3.0-IGO"),
        ("MIT", "MIT"),
        ("Unknown", "unknown"),
        ("Other (specified in description)", "unknown"),
        ("Data files © Original Authors", "unknown"),
        ("Database: Open Database, Contents: © Original Authors", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_license_is_what_the_owner_declares(written: str | None, spdx: str) -> None:
    assert license_of(written) == spdx


# What is fetched


def test_members_become_blobs_by_their_content(tools: Tools, site: KaggleSite) -> None:
    site.publish(ASIAN, {"a.jpg": RED, "b.txt": b"hello", "c.png": b"", "d.zip": zipped({"x.jpg": RED}), "e": GREEN})
    ended = fetched(tools, found(tools, ASIAN))
    assert [end.reason if isinstance(end, ItemError) else end.modality for end in ended] == [
        "image",
        "unknown_type",
        "empty_file",
        "unknown_type",
        "image",
    ]
    assert isinstance(ended[0], Fetched)
    assert tools.home.blob(ended[0].sha256).read_bytes() == RED


def test_each_bad_member_is_a_refusal_and_the_good_ones_come(tools: Tools, site: KaggleSite) -> None:
    data = bytearray(zipped({"a.jpg": RED, "../b.jpg": RED, "c.jpg": GREEN}))
    data[data.index(GREEN[20:40]) if GREEN[20:40] in data else 60] ^= 0xFF
    site.publish(ASIAN, bytes(data))
    items = found(tools, ASIAN)
    assert [item.refusal and item.refusal.reason for item in items] == [None, "unsafe_name", None]
    ended = fetched(tools, [item for item in items if not item.refusal])
    assert sorted(end.reason if isinstance(end, ItemError) else "" for end in ended) == ["", "damaged_member"]


def test_too_large_a_picture_is_given_up(tools: Tools, site: KaggleSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kaggle, "MAX_IMAGE_BYTES", len(RED) - 1)
    site.publish(ASIAN, {"a.jpg": RED})
    (end,) = fetched(tools, found(tools, ASIAN))
    assert isinstance(end, ItemError)
    assert end.reason == "too_many_bytes"


def test_items_of_several_archives_are_fetched_together(tools: Tools, site: KaggleSite) -> None:
    site.publish(ASIAN, {"a.jpg": RED})
    site.publish(WIKIART, {"Cubism/b.jpg": GREEN, "Cubism/c.jpg": BLUE})
    one, two = found(tools, ASIAN), found(tools, WIKIART)
    ended = fetched(tools, [two[1], one[0], two[0]])
    assert [tools.home.blob(end.sha256).read_bytes() for end in ended if isinstance(end, Fetched)] == [BLUE, RED, GREEN]


def test_a_new_version_changes_only_the_state_of_what_changed(tools: Tools, site: KaggleSite) -> None:
    site.publish(ASIAN, {"a.jpg": RED, "b.jpg": GREEN})
    before = found(tools, ASIAN)
    site.publish(ASIAN, {"b.jpg": GREEN, "a.jpg": BLUE}, version=2)
    after = {item.source_id: item for item in found(tools, ASIAN)}
    assert [after[item.source_id].state == item.state for item in before] == [False, True]
    assert [item.about["version"] for item in after.values()] == [2, 2]
    old, kept = fetched(tools, before)
    assert isinstance(old, ItemError)
    assert old.reason == "gone"
    assert isinstance(kept, Fetched)
    assert archives(tools) == [f"kaggle/{ASIAN}@2.zip"]


# How the archive comes


def test_an_archive_comes_once_for_each_version(tools: Tools, site: KaggleSite) -> None:
    site.publish(BEST, {"images/a.jpg": RED})
    for text, kind in ((BEST, "dataset"), (f"{BEST}/images", "folder")):
        fetched(tools, found(tools, text, kind))
    assert site.asked == ["GetDataset", "DownloadDataset", "GetDataset"]
    assert archives(tools) == [f"kaggle/{BEST}@1.zip"]


def test_the_folders_of_a_data_set_are_listed_from_one_archive_whose_directory_is_read_once(
    tools: Tools, site: KaggleSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []

    class Counted(zipfile.ZipFile):
        def __init__(self, path: Path) -> None:
            opened.append(path)
            super().__init__(path)

    folders = [f"style {number}" for number in range(9)]
    site.publish(WIKIART, {f"{folder}/a.jpg": RED for folder in folders})
    monkeypatch.setattr("curation.sources._archive.zipfile.ZipFile", Counted)
    listed = [item.source_id for folder in folders for item in found(tools, f"{WIKIART}/{folder}", "folder")]
    assert listed == [f"{WIKIART}/{folder}/a.jpg" for folder in folders]
    assert site.asked.count("DownloadDataset") == 1
    assert len(opened) == 2  # the new one, to see that it is whole, and under its name


def test_two_threads_that_list_a_data_set_download_it_once(
    tools: Tools, site: KaggleSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = site.publish(BEST, {"a/1.jpg": RED, "b/2.jpg": RED})
    both_are_there = threading.Barrier(2, timeout=60)
    lock = fcntl.flock

    def together(file: IO[bytes], operation: int) -> None:
        both_are_there.wait()  # neither saw an archive
        lock(file, operation)

    monkeypatch.setattr("curation.sources.kaggle.fcntl.flock", together)
    with ThreadPoolExecutor(2) as threads:
        listed = list(threads.map(lambda name: found(tools, f"{BEST}/{name}", "folder"), ("a", "b")))
    assert [[item.source_id for item in items] for items in listed] == [[f"{BEST}/a/1.jpg"], [f"{BEST}/b/2.jpg"]]
    assert (site.asked.count("DownloadDataset"), len(site.storage.requests)) == (1, 1)
    assert archive


def test_an_archive_that_was_deleted_comes_again_when_it_is_needed(tools: Tools, site: KaggleSite) -> None:
    site.publish(BEST, {"images/a.jpg": RED})
    items = found(tools, BEST)
    (tools.home.root / f"archives/kaggle/{BEST}@1.zip").unlink()
    (end,) = fetched(tools, items)
    assert isinstance(end, Fetched)


def test_who_asks_is_told_and_credentials_go_to_kaggle_alone(
    tools: Tools, site: KaggleSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_secret")
    archive = site.publish(BEST, {"images/a.jpg": os.urandom(50_000)})
    site.store(BEST, 1, ranged(archive, cut_at=lambda asked: None if "range" in asked.headers else 20_000), archive)
    monkeypatch.setattr(_kaggle_api, "LEAST_PROGRESS_BYTES", 1)
    found(tools, BEST)
    assert {asked.headers.get("authorization") for asked in site.api.requests} == {"Bearer KGAT_secret"}
    assert len(site.storage.requests) == 3  # cut, asked anew, and the rest
    for asked in site.storage.requests:
        assert "authorization" not in asked.headers
        assert "KGAT" not in str(asked.headers)
    for asked in (*site.api.requests, *site.storage.requests):
        assert "(+tester@example.org)" in asked.headers["user-agent"]


def test_old_credentials_are_read_by_kagglehub(
    tools: Tools, site: KaggleSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "user" / ".kaggle"
    folder.mkdir(parents=True)
    (folder / "kaggle.json").write_text('{"username": "someone", "key": "secret"}')
    site.publish(BEST, {"a.jpg": RED})
    found(tools, BEST)
    assert site.api.requests[0].headers["authorization"].startswith("Basic ")


def test_credentials_that_cannot_be_read_are_told(tools: Tools, tmp_path: Path) -> None:
    folder = tmp_path / "user" / ".kaggle"
    folder.mkdir(parents=True)
    (folder / "kaggle.json").write_text('{"username": "someone"}')
    with pytest.raises(ConfigurationError, match=r"kaggle\.json is missing 'key'"):
        found(tools, BEST)


def test_no_proxy_of_the_environment_is_asked(tools: Tools, site: KaggleSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish(BEST, {"a.jpg": RED})
    with Site() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert len(found(tools, BEST)) == 1
        assert not proxy.requests


def test_no_credentials_of_netrc_are_sent(
    tools: Tools, site: KaggleSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr(_kaggle_api, "LEAST_PROGRESS_BYTES", 1)
    archive = site.publish(BEST, {"a.jpg": os.urandom(50_000)})
    site.store(BEST, 1, ranged(archive, cut_at=lambda asked: None if "range" in asked.headers else 20_000), archive)
    found(tools, BEST)
    assert not any("authorization" in asked.headers for asked in (*site.api.requests, *site.storage.requests))


def test_a_certificate_must_be_vouched_for(
    tools: Tools, site: KaggleSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish(BEST, {"a.jpg": RED})
    site.api.encrypt(tmp_path)
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, f"https://{site.api.host}")
    assert refusal(tools).reason == "unreachable"
    assert not site.api.requests
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "site.pem"))  # as this machine is told whom to believe
    assert len(found(tools, BEST)) == 1


def test_a_cut_archive_goes_on_where_it_ended(tools: Tools, site: KaggleSite, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = site.publish(BEST, {"a.jpg": os.urandom(50_000)})
    site.store(BEST, 1, ranged(archive, cut_at=lambda asked: 20_000), archive)
    assert refusal(tools).reason == "incomplete"  # so little progress is not worth another try at once
    (part,) = archives(tools)
    assert part.endswith(".part")
    site.store(BEST, 1, ranged(archive), archive)
    assert len(found(tools, BEST)) == 1
    assert site.storage.requests[-1].headers["range"] == "bytes=20000-"
    assert archives(tools) == [f"kaggle/{BEST}@1.zip"]


def test_a_cut_archive_that_grows_is_asked_for_again_at_once(
    tools: Tools, site: KaggleSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_kaggle_api, "LEAST_PROGRESS_BYTES", 10_000)
    archive = site.publish(BEST, {"a.jpg": os.urandom(50_000)})
    site.store(BEST, 1, ranged(archive, cut_at=lambda asked: 20_000), archive)
    assert len(found(tools, BEST)) == 1
    assert [asked.headers["range"] for asked in site.storage.requests if "range" in asked.headers] == [
        "bytes=20000-",
        "bytes=40000-",
    ]


def test_another_archive_under_the_same_version_begins_anew(tools: Tools, site: KaggleSite) -> None:
    first = site.publish(BEST, {"a.jpg": os.urandom(50_000)})
    site.store(BEST, 1, ranged(first, '"1"', cut_at=lambda asked: 20_000), first)
    refusal(tools)
    second = site.publish(BEST, {"b.jpg": os.urandom(50_000)})
    site.store(BEST, 1, ranged(second, '"2"'), second)
    assert [item.source_id for item in found(tools, BEST)] == [f"{BEST}/b.jpg"]
    assert "range" not in site.storage.requests[-1].headers


def test_a_server_without_ranges_begins_anew(tools: Tools, site: KaggleSite) -> None:
    archive = site.publish(BEST, {"a.jpg": os.urandom(50_000)})
    site.store(BEST, 1, in_turn(cut(archive, 20_000), (200, {}, archive)), archive)
    assert refusal(tools).reason == "incomplete"
    assert len(found(tools, BEST)) == 1


@pytest.mark.parametrize("status", [206, 200, 416, 403])
def test_a_wrong_rest_is_never_appended(tools: Tools, site: KaggleSite, status: int) -> None:
    archive = site.publish(BEST, {"a.jpg": os.urandom(50_000)})
    whole = ranged(archive, cut_at=lambda asked: 20_000)
    site.store(BEST, 1, whole, archive)
    refusal(tools)
    rest = status, {"Content-Range": f"bytes 0-9/{len(archive)}"} if status == 206 else {}, b"0123456789"
    site.store(BEST, 1, lambda asked: rest if "range" in asked.headers else ranged(archive)(asked), archive)
    refusal(tools)
    site.store(BEST, 1, ranged(archive), archive)
    assert fetched(tools, found(tools, BEST))[0].reason == "unknown_type"  # type: ignore[union-attr]


def test_an_archive_with_another_checksum_is_thrown_away(tools: Tools, site: KaggleSite) -> None:
    archive = site.publish(BEST, {"a.jpg": RED})
    site.store(BEST, 1, (200, {}, archive), b"another one")
    assert refusal(tools).reason == "incomplete"
    assert not archives(tools)


def test_an_archive_that_is_too_large_is_not_fetched(
    tools: Tools, site: KaggleSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = site.publish(BEST, {"a.jpg": os.urandom(50_000)})
    monkeypatch.setattr(_kaggle_api, "MAX_ARCHIVE_BYTES", 40_000)
    assert refusal(tools).reason == "too_many_bytes"
    assert not archives(tools)
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(archive), archive)
    site.store(BEST, 1, (200, {"Transfer-Encoding": "chunked"}, chunked), archive)
    assert refusal(tools).reason == "too_many_bytes"
    assert not archives(tools)


def test_an_archive_that_the_disk_has_no_room_for_is_not_begun(
    tools: Tools, site: KaggleSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish(BEST, {"a.jpg": RED})
    monkeypatch.setattr(_kaggle_api, "SPARE_DISK_BYTES", 1 << 60)
    error = refusal(tools)
    assert (error.reason, error.detail.endswith("the disk has room for 0")) == ("too_many_bytes", True)
    assert not archives(tools)


def test_an_archive_of_unknown_size_ends_before_the_disk_is_full(
    tools: Tools, site: KaggleSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = site.publish(BEST, {"a.jpg": os.urandom(500_000)})
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(archive), archive)
    site.store(BEST, 1, (200, {"Transfer-Encoding": "chunked"}, chunked), archive)
    monkeypatch.setattr(_kaggle_requests, "PIECE_BYTES", 10_000)
    written: list[int] = []

    def disk_usage(folder: Path) -> SimpleNamespace:
        written.append(sum(path.stat().st_size for path in folder.glob("*.part")))
        return SimpleNamespace(free=_kaggle_api.SPARE_DISK_BYTES + 100_000 - written[-1])

    monkeypatch.setattr("curation.sources._kaggle_api.shutil.disk_usage", disk_usage)
    error = refusal(tools)
    assert (error.reason, error.detail) == ("too_many_bytes", "the disk has no room for the rest of the archive")
    assert max(written) < 150_000
    assert not archives(tools)


def test_an_archive_may_come_from_kaggle_itself(tools: Tools, site: KaggleSite) -> None:
    archive = site.publish(BEST, {"a.jpg": os.urandom(50_000)})
    headers = {"ETag": '"1"', "Accept-Ranges": "bytes"}
    site.api.routes[f"{API}/DownloadDataset"] = in_turn(cut(archive, 20_000, **headers), (200, headers, archive))
    assert refusal(tools).reason == "incomplete"
    assert len(found(tools, BEST)) == 1
    assert not any("range" in asked.headers for asked in site.api.requests)


KILLED = """
import os, signal, sys
from pathlib import Path
from kagglesdk import kaggle_env
from curation import web
from curation.sources import Tools, _kaggle_api, _kaggle_requests, kaggle
from curation.store import Home
from rules.collecting import Query

api, storage, home = sys.argv[1:]
kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.LOCAL] = api
_kaggle_requests.PIECE_BYTES = 1_000
seen = 0
def pieces(response, before=_kaggle_api.pieces):
    global seen
    for piece in before(response):
        yield piece
        seen += response.headers.get("Content-Type") is None
        if seen == 20:
            os.kill(os.getpid(), signal.SIGKILL)
_kaggle_api.pieces = pieces
hosts = frozenset(url.removeprefix("http://") for url in (api, storage))
tools = Tools(Home(Path(home)), web.of(web.WebSettings("tester@example.org", hosts)))
list(kaggle.found(Query("kaggle", "dataset", "ikarus777/best-artworks-of-all-time"), tools))
"""


def test_a_killed_download_goes_on(tools: Tools, site: KaggleSite) -> None:
    archive = site.publish(BEST, {"a.jpg": RED + os.urandom(500_000)})
    place = [site.api.url, site.storage.url, str(tools.home.root)]
    died = subprocess.run([sys.executable, "-c", KILLED, *place], check=False)
    assert died.returncode == -signal.SIGKILL
    (part,) = archives(tools)
    left = (tools.home.root / "archives" / part).stat().st_size
    assert 0 < left < len(archive)
    (end,) = fetched(tools, found(tools, BEST))
    assert isinstance(end, Fetched)
    assert site.storage.requests[-1].headers["range"] == f"bytes={left}-"


# What can go wrong


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        (answer({"code": 401, "message": "Unauthorized"}, 401), "login_required"),
        (answer({"code": 403, "message": "Permission denied"}, 403), "forbidden"),
        (answer({"code": 403, "message": "Permission denied"}, 200), "forbidden"),
        (answer({"code": 404, "message": "Not found"}, 404), "gone"),
        ((451, {}, b""), "not_available"),
        ((429, {}, b""), "rate_limited"),
        (answer({"code": 500, "message": "oops"}, 500), "server_error"),
        ((503, {}, b"<html>busy</html>"), "server_error"),
        ((200, {"Content-Type": "text/html"}, b"<html>please log in</html>"), "changed_site"),
        (answer([]), "changed_site"),
        (answer({}), "changed_site"),
        (answer({"currentVersionNumber": "../../../../etc"}), "changed_site"),
        (answer({"currentVersionNumber": -1}), "changed_site"),
        (answer({"currentVersionNumber": True}), "changed_site"),
        (answer({"code": 500}), "changed_site"),
        ((200, JSON, b'{"code": Infinity, "message": ""}'), "server_error"),
        ((200, JSON, b"[" * 100_000), "changed_site"),
        ((200, JSON, b'{"code": 500, "message": ' + b"[" * 100_000), "changed_site"),
        (answer({"currentVersionNumber": 1, "tags": 5}), "changed_site"),
        ((400, {}, b""), "changed_site"),
        (redirect("file:///etc/passwd"), "address_refused"),
        (redirect("http://user:password@kaggle.com/"), "address_refused"),
        (redirect("http://169.254.169.254/latest/meta-data"), "address_refused"),
        (redirect(f"{API}/GetDataset"), "too_many_redirects"),
        (gzip_bomb(200 << 20), "changed_site"),
        (cut(b"{}" * 99, 9), "incomplete"),
    ],
)
def test_what_kaggle_refuses_is_told(tools: Tools, site: KaggleSite, route: Route, reason: str) -> None:
    site.api.routes[f"{API}/GetDataset"] = route
    assert refusal(tools).reason == reason
    assert not archives(tools)


def test_an_answer_that_is_packed_unasked_is_read(tools: Tools, site: KaggleSite) -> None:
    site.publish(BEST, {"a.jpg": RED})
    route = site.api.routes[f"{API}/GetDataset"]

    def packed(asked: Asked) -> Answer:
        status, headers, body = route(asked)  # type: ignore[operator, misc]
        return status, {**headers, "Content-Encoding": "gzip"}, gzip.compress(body)

    site.api.routes[f"{API}/GetDataset"] = packed
    assert len(found(tools, BEST)) == 1


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        ((403, {}, b"<Error>SignatureDoesNotMatch</Error>"), "forbidden"),
        ((404, {}, b""), "gone"),
        (busy("7"), "rate_limited"),
        ((500, {}, b""), "server_error"),
        ((200, {"X-Robots-Tag": "noai"}, b"PK"), "opted_out"),
        (cut(b"PK" * 99, 9), "incomplete"),
        (redirect("http://10.0.0.1/archive.zip"), "address_refused"),
        (redirect("ftp://example.org/archive.zip"), "address_refused"),
    ],
)
def test_what_the_storage_host_refuses_is_told_without_its_address(
    tools: Tools, site: KaggleSite, route: Route, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    archive = site.publish(BEST, {"a.jpg": RED})
    site.store(BEST, 1, route, archive)
    error = refusal(tools)
    assert error.reason == reason
    assert SECRET not in f"{error} {caplog.text}"
    assert error.__cause__ is None


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/problem+json", "text/html"])
@pytest.mark.parametrize("host", ["api", "storage"])
def test_a_message_instead_of_an_archive_is_not_taken_for_one_and_spoils_none(
    tools: Tools, site: KaggleSite, host: str, kind: str
) -> None:
    archive = site.publish(BEST, {"a.jpg": os.urandom(50_000)})
    site.store(BEST, 1, ranged(archive, cut_at=lambda asked: 20_000), archive)
    refusal(tools)
    left = archives(tools)
    message = 200, {"Content-Type": kind}, b'{"message": "accept the terms first"}'
    with pytest.MonkeyPatch.context() as patch:
        if host == "api":
            patch.setitem(site.api.routes, f"{API}/DownloadDataset", message)
        else:
            site.store(BEST, 1, message, archive)
        error = refusal(tools)
    assert (error.reason, "expected an archive" in error.detail) == ("changed_site", True)
    assert archives(tools) == left
    site.store(BEST, 1, ranged(archive), archive)
    assert len(found(tools, BEST)) == 1
    assert site.storage.requests[-1].headers["range"] == "bytes=20000-"


@pytest.mark.parametrize("status", [200, 206])
def test_a_message_instead_of_the_rest_of_an_archive_is_not_appended(
    tools: Tools, site: KaggleSite, status: int
) -> None:
    archive = site.publish(BEST, {"a.jpg": os.urandom(50_000)})
    site.store(BEST, 1, ranged(archive, cut_at=lambda asked: 20_000), archive)
    refusal(tools)
    span = f"bytes 20000-{len(archive) - 1}/{len(archive)}"
    message = status, JSON | {"ETag": '"1"', "Content-Range": span}, b"{}"
    site.store(BEST, 1, lambda asked: message if "range" in asked.headers else ranged(archive)(asked), archive)
    assert refusal(tools).reason == "changed_site"
    site.store(BEST, 1, ranged(archive), archive)
    assert len(found(tools, BEST)) == 1


def test_a_length_beyond_all_bounds_is_not_believed(tools: Tools, site: KaggleSite) -> None:
    archive = site.publish(BEST, {"a.jpg": RED})
    site.store(BEST, 1, cut((200, {"Content-Length": "9" * 5_000}, archive), len(archive)), archive)
    assert len(found(tools, BEST)) == 1


@pytest.mark.parametrize(
    "retry_after", ["1800", "Mon, 22 Nov 2032 07:00:00 GMT", "9" * 400, "Mon, 01 Jan 2035 00:00:00 +0000"]
)
def test_kaggle_is_left_alone_for_as_long_as_it_asks(tools: Tools, site: KaggleSite, retry_after: str) -> None:
    site.api.routes[f"{API}/GetDataset"] = busy(retry_after)
    assert [refusal(tools).reason for _ in range(2)] == ["rate_limited", "host_paused"]
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    "retry_after",
    [
        "Mon, 22 Nov 2032 07:00:00 +9999999999999999999999",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "\xb2",
        "soon",
        "-1",
        "",
    ],
)
def test_a_wild_date_to_retry_after_is_no_date(tools: Tools, site: KaggleSite, retry_after: str) -> None:
    site.api.routes[f"{API}/GetDataset"] = busy(retry_after, 503)
    assert [refusal(tools).reason for _ in range(2)] == ["server_error"] * 2


@pytest.mark.parametrize("body", [b"<html>please log in</html>", b"PK\3\4", b""])
def test_what_is_no_archive_is_not_kept(tools: Tools, site: KaggleSite, body: bytes) -> None:
    site.publish(BEST, {"a.jpg": RED})
    site.store(BEST, 1, (200, {}, body), body)
    assert refusal(tools).reason == "changed_site"
    assert not archives(tools)


def test_a_name_that_leads_into_a_private_network_is_refused_before_a_byte_is_sent(
    tools: Tools, site: KaggleSite
) -> None:
    archive = site.publish(BEST, {"a.jpg": RED})
    asked = len(site.storage.requests)
    site.api.routes[f"{API}/DownloadDataset"] = redirect(f"http://localhost:{site.storage.port}/archive.zip")
    error = refusal(tools)
    assert error.reason == "address_refused"
    assert "localhost" in error.detail
    assert len(site.storage.requests) == asked
    assert archive


def test_a_host_that_is_not_there_is_unreachable(tools: Tools, site: KaggleSite) -> None:
    site.publish(BEST, {"a.jpg": RED})
    site.storage._server.shutdown()
    site.storage._server.server_close()
    assert refusal(tools).reason == "unreachable"


def test_a_host_that_never_answers_is_given_up(tools: Tools, site: KaggleSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kaggle_requests, "LIMITS", web.Limits(silence_s=0.05))
    gate = threading.Event()

    def silent(asked: object) -> None:
        gate.wait()

    site.api.routes[f"{API}/GetDataset"] = silent
    assert refusal(tools).reason == "timed_out"
    gate.set()


def test_an_archive_that_drips_is_given_up(tools: Tools, site: KaggleSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kaggle_requests, "LIMITS", web.Limits(grace_s=0, min_bytes_per_s=1e15))
    site.publish(BEST, {"a.jpg": RED})
    assert refusal(tools).reason == "timed_out"


def test_a_host_that_fails_again_and_again_is_left_alone(tools: Tools, site: KaggleSite) -> None:
    site.api.routes[f"{API}/GetDataset"] = (500, {}, b"")
    reasons = [refusal(tools).reason for _ in range(9)]
    assert reasons[-1] == "host_paused"
    assert len(site.asked) < 9


def test_what_cannot_be_had_is_the_fate_of_each_item(tools: Tools, site: KaggleSite) -> None:
    site.publish(BEST, {"a.jpg": RED, "b.jpg": GREEN})
    items = found(tools, BEST)
    (tools.home.root / f"archives/kaggle/{BEST}@1.zip").unlink()
    site.api.routes[f"{API}/GetDataset"] = (503, {}, b"")
    ended = fetched(tools, items)
    assert [end.reason for end in ended if isinstance(end, ItemError)] == ["server_error"] * 2


# Archives on disk


@pytest.mark.parametrize("name", ["classical-asian-art.zip", "ajrhee_classical-asian-art.zip"])
@pytest.mark.parametrize("names_the_file", [True, False])
def test_an_archive_on_disk_is_read_and_nobody_is_asked(tmp_path: Path, name: str, names_the_file: bool) -> None:
    place = tmp_path / "downloads" / name
    place.parent.mkdir()
    place.write_bytes(zipped({"a.jpg": RED}))
    tools = at(place if names_the_file else place.parent, tmp_path)
    (item,) = found(tools, ASIAN)
    assert item.facts == Facts(url=f"https://www.kaggle.com/datasets/{ASIAN}")
    assert item.about == {"dataset": ASIAN, "folder": ""}
    assert isinstance(fetched(tools, [item])[0], Fetched)


@pytest.mark.parametrize("place", ["downloads", "downloads/archive.zip"])
def test_an_archive_under_another_name_is_told_with_what_was_expected(tmp_path: Path, place: str) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/archive.zip").write_bytes(zipped({"a.jpg": RED}))
    error = refusal(at(tmp_path / place, tmp_path), ASIAN)
    assert error.reason == "missing_file"
    assert error.detail.endswith("expected classical-asian-art.zip or ajrhee_classical-asian-art.zip")


def test_a_place_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such file; expected an archive or a folder of them"):
        found(at(tmp_path / "nowhere", tmp_path), ASIAN)


def test_what_is_no_archive_on_disk_is_told(tmp_path: Path) -> None:
    (tmp_path / "classical-asian-art.zip").write_bytes(b"PK")
    error = refusal(at(tmp_path, tmp_path), ASIAN)
    assert error.reason == "damaged_member"
    assert error.detail.startswith("classical-asian-art.zip is no whole zip archive")


def test_listing_an_archive_again_gives_the_same(tmp_path: Path) -> None:
    names = [f"images/images/Paul_Klee/Paul_Klee_{number}.jpg" for number in range(50)]
    (tmp_path / "best-artworks-of-all-time.zip").write_bytes(
        zipped({"artists.csv": ARTISTS.encode()} | dict.fromkeys(names, RED))
    )
    first, second = (found(at(tmp_path, tmp_path), BEST) for _ in range(2))
    assert first == second
    assert len(first) == 50


words = st.sampled_from(["a", "..", "", "b.jpg", "C:", "\\", "\0", "é", "README.md", "x.csv", ".hidden", "__MACOSX"])


@given(st.lists(st.tuples(st.lists(words, min_size=1, max_size=3).map("/".join), st.booleans()), max_size=10))
def test_every_member_ends_as_fetched_or_as_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, members: list[tuple[str, bool]]
) -> None:
    place = tmp_path_factory.mktemp("archives")
    records = [record(name.encode(), RED, flags=0x800, crc=int(is_bad)) for name, is_bad in members]
    sound = [
        each | {"crc": each["local_crc"]} for each in (e | {"local_crc": record(b"", RED)["crc"]} for e in records)
    ]
    chosen = [bad if is_bad else good for bad, good, (_, is_bad) in zip(records, sound, members, strict=True)]
    (place / "classical-asian-art.zip").write_bytes(written(*chosen))
    tools = at(place, place)
    items = found(tools, ASIAN)
    assert len({item.source_id for item in items}) == len(items)
    assert all(item.source_id.startswith(f"{ASIAN}/") for item in items)
    assert all(item.source_id.isprintable() for item in items)
    wanted = [item for item in items if not item.refusal]
    ended = fetched(tools, wanted)
    assert len(ended) == len(wanted)
    assert sorted(path.name for path in place.iterdir() if path.is_file()) == ["classical-asian-art.zip"]
