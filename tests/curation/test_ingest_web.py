"""Ingests through the real client, from a site on loopback."""

import resource
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

from curation.batches import in_threads
from curation.sources import Facts, Found
from curation.store import Home
from tests.curation.ingesting import FACES, MEANS, NOON, ingest_from, listed, rows_of, rules_for, toy_source
from tests.pictures import as_bytes, plain
from tests.sites import Asked, Site

MANY = 10_000
RULES = rules_for((FACES, "faces"))
PICTURE = as_bytes(plain("red", size=(8, 8)), "PNG")


@pytest.fixture
def toy() -> Iterator[ModuleType]:
    with toy_source() as found:
        del found.fetched  # so that plain http does it
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def found_at(site: Site, *names: str, state: str = "") -> list[Found]:
    return [Found(name, f"{site.url}/{name}", Facts(url=f"{site.url}/page/{name}"), state) for name in names]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with Site() as found:
        web = found.web()
        monkeypatch.setattr("curation.web.of", lambda settings: web)
        yield found


def test_what_did_not_change_is_not_sent_again_and_keeps_its_time(toy, home, site):
    def answer(asked: Asked):
        if asked.headers.get("if-none-match") == '"1"':
            return 304, {"ETag": '"1"'}, b""
        return 200, {"ETag": '"1"'}, PICTURE

    site.otherwise = answer
    toy.WORLD.lists = {"faces": found_at(site, "a.png")}
    ingest_from(home, RULES)
    toy.WORLD.lists = {"faces": found_at(site, "a.png", state="2")}
    later = replace(MEANS, clock=lambda: NOON + timedelta(days=7))
    assert ingest_from(home, RULES, later).ended.fetched == 1
    first, second = rows_of(home, "revision", "state", "sha256", "fetched_at", "etag", "modality", "size_bytes")
    assert (first[:2], second[:2]) == ((1, None), (2, "2"))
    assert first[2:] == second[2:]
    assert listed(home)["a.png"]["fetched_at"] == NOON


def test_a_host_that_is_left_alone_ends_its_source_and_the_rest_waits(toy, home, site):
    site.otherwise = lambda asked: (503, {}, b"") if asked.path.endswith(".png") else (404, {}, b"")
    names = [f"{number:03}.png" for number in range(320)]
    toy.WORLD.lists = {"faces": found_at(site, *names)}
    result = ingest_from(home, RULES, replace(MEANS, each=in_threads(1)))
    assert result.ended.stopped == "toy is left alone for a while: a host failed too often"
    assert result.ended.fetched == 0
    assert set(result.ended.failed) == {"server_error", "host_paused"}
    assert result.waiting > 200
    assert result.waiting + result.ended.count == len(names)


class Crowd:
    """A list of many items that is never in memory as a whole."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def __iter__(self) -> Iterator[Found]:
        return (found_at(self.site, f"{number}.png")[0] for number in range(MANY))


def test_ten_thousand_items_come_through_and_memory_stays_flat(toy, home, site):
    site.otherwise = lambda asked: (
        (404, {}, b"")
        if asked.path.startswith("/page")
        else ((410, {}, b"") if asked.path.endswith("7.png") else PICTURE + asked.path.encode())
    )
    toy.WORLD.lists = {"faces": Crowd(site)}
    peaks_kib: list[int] = []

    def each(work, batches, stage):
        def measured(batch):
            result = work(batch)
            site.requests.clear()
            peaks_kib.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
            return result

        return in_threads(2)(measured, batches, stage)

    result = ingest_from(home, RULES, replace(MEANS, each=each))
    assert (result.ended.fetched, result.ended.failed, result.waiting) == (9 * MANY // 10, {"gone": MANY // 10}, 0)
    rows = rows_of(home, "source_id", "reason")
    assert Counter(reason for _, reason in rows) == {None: 9 * MANY // 10, "gone": MANY // 10}
    assert len({name for name, _ in rows}) == MANY
    # The client and the site have all that they need after a few batches.
    assert peaks_kib[-1] - peaks_kib[len(peaks_kib) // 4] < 50_000
