"""What is only referenced is fetched from its site by the polite client, on loopback."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from curation import building, ingest, rehydrating, releases, sources
from curation.batches import in_threads
from curation.rehydrating import Rehydrated
from curation.sources import Facts, Found
from curation.store import Home
from rules.errors import ConfigurationError
from tests.curation.ingesting import FACES, MEANS, NOON, rules_for, toy_source
from tests.curation.publications import edit, means, pair_ids, publish, replace, rules_for_spans, write_media, yields
from tests.pictures import as_bytes, photo
from tests.sites import Site, busy

NAMES = [f"{number}.png" for number in range(6)]
REAL_SOURCES = list(sources.__path__)


def picture(number: int) -> bytes:
    return as_bytes(photo(160, 120, number), "PNG")


@dataclass
class World:
    """A site with pictures that were ingested, and what was published of them and of recordings in a folder."""

    site: Site
    root: Path
    home: Home
    release: releases.Release

    @property
    def published(self) -> Path:
        return self.root / "published"

    def rehydrated(self, root: Path, **more: Any) -> Rehydrated:
        named = [f"folder:{self.root / 'media'}"]
        settings = means(lambda: self.site.settings)
        return rehydrating.rehydrate(Home(root), str(self.published), settings, named=named, **more)


@pytest.fixture(scope="module")
def toy() -> Iterator[ModuleType]:
    with toy_source() as found:
        sources.__path__ = [*sources.__path__, *REAL_SOURCES]
        del found.fetched  # so that plain http does it
        yield found


@pytest.fixture(scope="module")
def made(toy: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("web")
    home, rule_set = Home(root / "home"), rules_for_spans()
    asked = rules_for((FACES, "faces")).collect
    with (
        Site({f"/{name}": picture(number) for number, name in enumerate(NAMES)}) as site,
        pytest.MonkeyPatch.context() as patched,
    ):
        web = site.web()
        patched.setattr("curation.web.of", lambda settings: web)
        listed = [Found(name, f"{site.url}/{name}", Facts(f"{site.url}/page/{name}", title=name)) for name in NAMES]
        toy.WORLD.lists = {"faces": listed}
        ingest.ingest(home, ["toy"], rule_set.model_copy(update={"collect": asked}), MEANS)
        media = write_media(root / "media", pictures=())
        building.build(home, ["toy", f"folder:{media}"], rule_set, in_threads(2))
        release = releases.get(home, 1)
        ids = pair_ids(release)
        assert len(ids) == 6
        publish(home, release, root / "published", ids[:1])
        yield World(site, root, home, release)


@pytest.fixture
def world(made: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give the world as it was, with a client that knows nothing of it yet."""
    web, before = made.site.web(), dict(made.site.routes)
    monkeypatch.setattr("curation.web.of", lambda settings: web)
    made.site.requests.clear()
    yield made
    made.site.routes = before


def fetched_ids(world: World) -> list[str]:
    """Return the ids of the pictures that are only referenced, in order."""
    embedded = pair_ids(world.release)[0]
    rows = pq.read_table(world.release.folder / "metadata").to_pylist()
    return sorted(row["image_source_id"] for row in rows if row["pair_id"] != embedded)


def asked_for(world: World) -> list[str]:
    return sorted(asked.path.removeprefix("/") for asked in world.site.media_requests)


def test_references_say_where_media_were_fetched(made):
    for row in pq.read_table(made.release.folder / "references").to_pylist():
        if row["side"] == "music":
            assert row["address"] is None
        else:
            assert row["address"] == row["url"].replace("/page/", "/")
            assert row["checked_at"] == NOON


def test_pictures_that_are_still_there_are_fetched_once_and_give_the_same_files(world, tmp_path):
    done = world.rehydrated(tmp_path)
    assert done.release is not None
    assert [(count.source, count.outcome, count.sides) for count in done.counts] == [
        ("folder", "embedded", 1),
        ("folder", "exact", 5),
        ("toy", "embedded", 1),
        ("toy", "exact", 5),
    ]
    assert asked_for(world) == fetched_ids(world)
    mine, theirs = done.release.manifest["files"], world.release.manifest["files"]
    assert [name for name in theirs if "-of-" in name and mine[name] != theirs[name]] == []


def test_each_picture_tells_what_became_of_it(world, tmp_path):
    same, other, gone, closed, fine = fetched_ids(world)
    numbers = {name: NAMES.index(name) for name in NAMES}
    smaller = photo(160, 120, numbers[same]).resize((120, 90))
    world.site.routes |= {
        f"/{same}": as_bytes(smaller, "JPEG", quality=70),
        f"/{other}": picture(99),
        f"/{gone}": (410, {}, b""),
        "/robots.txt": f"User-agent: *\nDisallow: /{closed}\n".encode(),
    }
    done = world.rehydrated(tmp_path)
    assert done.release is not None
    rows = {row["source_id"]: row for row in yields(done.release) if row["source"] == "toy"}
    assert {name: (rows[name]["outcome"], rows[name]["reason"]) for name in (same, other, gone, closed, fine)} == {
        same: ("same_content", None),
        other: ("changed", "changed"),
        gone: ("gone", "gone"),
        closed: ("not_fetched", "robots_disallowed"),
        fine: ("exact", None),
    }
    assert closed not in asked_for(world)
    assert (done.published, done.kept, done.waiting) == (6, 3, 0)
    assert ("toy", "1", "1", "1", "1", "1", "1", "changed 1, gone 1, robots_disallowed 1") in list(done.rows())


def test_what_may_be_had_later_is_waited_for_and_then_fetched_alone(world, tmp_path):
    busy_one, *others = fetched_ids(world)
    there = world.site.routes[f"/{busy_one}"]
    world.site.routes[f"/{busy_one}"] = busy(status=503)
    first = world.rehydrated(tmp_path)
    assert (first.release, first.waiting, first.kept) == (None, 1, 5)
    assert [count.reason for count in first.counts if count.outcome == "not_fetched"] == ["server_error"]
    assert releases.numbers(Home(tmp_path)) == []
    world.site.routes[f"/{busy_one}"] = there
    world.site.requests.clear()
    second = world.rehydrated(tmp_path)
    assert second.release is not None
    assert (second.waiting, second.kept) == (0, 6)
    assert set(asked_for(world)) == {busy_one}


def test_somebody_may_say_yes_to_a_release_without_what_may_be_had_later(world, tmp_path):
    busy_one, *_ = fetched_ids(world)
    world.site.routes[f"/{busy_one}"] = busy(status=503)
    first = world.rehydrated(tmp_path)
    world.site.requests.clear()
    done = rehydrating.finish(Home(tmp_path), first, means())
    assert done.release is not None
    assert (done.kept, done.release.manifest["rejections"]) == (5, {"no_partner": 1, "server_error": 1})
    assert world.site.requests == []
    assert not world.rehydrated(tmp_path).is_new


def test_a_quota_ends_the_fetching_and_what_was_not_tried_waits(world, tmp_path):
    done = world.rehydrated(tmp_path, quota_bytes=1)
    assert done.release is None
    assert "the quota of 1 bytes is reached" in done.stopped
    assert done.waiting >= 3  # two workers had begun
    assert world.rehydrated(tmp_path).kept == 6
    assert asked_for(world) == fetched_ids(world)


def test_another_version_asks_only_for_what_no_blob_answers(world, tmp_path):
    """A picture that changed at its address between two versions is fetched again, though the first has it already."""
    first = world.rehydrated(tmp_path / "home")
    changed, *_ = fetched_ids(world)
    second = shutil.copytree(world.published / "v1", tmp_path / "published" / "v2")
    world.site.routes[f"/{changed}"] = picture(99)
    sha256 = hashlib.sha256(picture(99)).hexdigest()
    for path in [*second.glob("metadata/*.parquet"), *second.glob("references/*.parquet")]:
        rows = pq.read_table(path)
        ids, column = ("image_source_id", "image_sha256") if "metadata" in path.parts else ("url", "sha256")
        is_it = pc.ends_with(rows[ids], changed)
        at = rows.schema.get_field_index(column)
        replace(path, rows.set_column(at, column, pc.if_else(is_it, sha256, rows[column])))
    edit(second, release=2)
    world.site.requests.clear()
    settings = means(lambda: world.site.settings)
    done = rehydrating.rehydrate(Home(tmp_path / "home"), str(second), settings, named=[f"folder:{world.root}/media"])
    assert first.kept == done.kept == 6
    assert asked_for(world) == [changed]
    assert all(row["outcome"] in ("exact", "embedded") for row in yields(done.release))


def test_a_publication_without_addresses_says_so(world, tmp_path):
    """A release that was built before references had the column."""
    version = shutil.copytree(world.published / "v1", tmp_path / "v1")
    for path in version.glob("references/*.parquet"):
        replace(path, pq.read_table(path).drop_columns(["address"]))
    settings = means(lambda: world.site.settings)
    done = rehydrating.rehydrate(Home(tmp_path / "home"), str(version), settings)
    rows = [row for row in yields(done.release) if row["source"] == "toy" and row["outcome"] != "embedded"]
    assert {(row["outcome"], row["detail"]) for row in rows} == {
        ("gone", "the publication does not say where it was fetched")
    }
    assert world.site.requests == []


def test_a_folder_that_ingests_the_same_source_is_refused(world, tmp_path):
    (tmp_path / "found" / "toy").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="toy is ingested here"):
        world.rehydrated(tmp_path)
    assert world.site.requests == []


def test_a_source_that_lacks_something_is_refused_before_it_is_asked(world, toy, tmp_path, monkeypatch):
    monkeypatch.setattr(toy, "fetched", lambda items, tools: iter(()), raising=False)
    monkeypatch.setattr(toy.WORLD, "needed", [sources.Need("a key", False, advice="get one")])
    with pytest.raises(ConfigurationError, match="toy needs a key: get one"):
        world.rehydrated(tmp_path)


def test_an_unknown_source_leaves_its_sides_out(world, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "__path__", REAL_SOURCES)
    done = world.rehydrated(tmp_path)
    assert {(count.outcome, count.reason) for count in done.counts if count.source == "toy"} == {
        ("embedded", ""),
        ("not_fetched", "not_available"),
    }
