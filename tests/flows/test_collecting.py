"""`artune ingest` as a user types it, in processes of its own, against a site on loopback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

import rules
from curation import ingest
from curation.batches import in_threads
from curation.ingest import Means
from curation.schemas import INGESTED
from curation.store import Home, read_tables
from tests import museum
from tests.flows.stopping import stopped
from tests.sites import Asked, Site

PICTURES = 5

# The command, which finds the source of the README's recipe in a folder of its own.
COMMAND = """
import sys
import curation.sources
curation.sources.__path__.append(sys.argv.pop(1))
from flows.cli import main
try:
    main()
finally:
    slow = {"prefect", "aiohttp", "yt_dlp", "kagglehub", "librosa", "datasets", "torch"}
    print("loaded:", *sorted(slow.intersection(sys.modules)), file=sys.stderr)
"""


@dataclass(frozen=True)
class World:
    """A site, its source, rules that ask it, and a work folder."""

    site: Site
    root: Path

    @property
    def home(self) -> Home:
        return Home(self.root / "home")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = os.environ | {
            "ARTUNE_CONTACT": "tester@example.org",
            "ARTUNE_ALLOWED_HOSTS": self.site.host,
            "ARTUNE_HOME": str(self.home.root),
            "ARTUNE_WORKERS": "2",
            "COLUMNS": "160",
            "PREFECT_HOME": str(self.root / "prefect"),
        }
        command = [sys.executable, "-c", COMMAND, self.root / "sources", *arguments]
        return subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    @property
    def rules(self) -> str:
        return str(self.root / "tiny")

    def pictures_asked(self) -> list[str]:
        return sorted(asked.path for asked in self.site.requests if asked.path.endswith(".jpg"))

    def fetched(self) -> list[str]:
        rows = read_tables(self.home.items("museum"), INGESTED, ["source_id", "reason"])
        return sorted(row["source_id"] for row in rows.to_pylist() if not row["reason"])


EXPECTED = [f"/prints-{number}.jpg" for number in range(PICTURES)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with museum.site(prints=PICTURES) as site:
        museum.write_source(tmp_path / "sources", site.url)
        museum.write_rules(tmp_path / "tiny", {"prints": "Portrait", "posters": "Poster"})
        yield World(site, tmp_path)


def test_a_dry_run_counts_fetches_no_media_and_never_starts_prefect(world: World) -> None:
    done = world.run("ingest", "museum", "--rules", world.rules, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "loaded: aiohttp\n" in done.stderr
    assert "│ museum │ Faces │     5 │     0 │   5 │       0 │" in done.stdout
    assert "│ museum │ album: posters │ gone: " in done.stdout
    assert world.pictures_asked() == []
    assert not world.home.items("museum").exists()


def test_a_stopped_ingest_says_so_and_goes_on_without_a_second_request(world: World) -> None:
    reached, release = Event(), Event()
    last = world.site.routes[EXPECTED[-1]]

    def hang(asked: Asked) -> bytes:
        reached.set()
        release.wait()
        return last  # type: ignore[return-value]

    world.site.routes[EXPECTED[-1]] = hang
    process = world.start("ingest", "museum", "--rules", world.rules)
    assert reached.wait(300)
    out, err = stopped(process)
    release.set()
    assert process.returncode == 130, err
    assert "Stopped. What was fetched stays; the same command goes on from here." in err
    assert "Traceback" not in out + err
    world.site.routes[EXPECTED[-1]] = last
    before = len(world.site.requests)

    with museum.opened(world.root / "sources", world.site.url):
        means = Means(world.site.settings, in_threads(2), lambda: datetime.now(UTC))
        ingest.ingest(world.home, ["museum"], rules.load(world.rules), means)
    assert world.fetched() == [f"prints-{number}" for number in range(PICTURES)]
    asked = [asked.path for asked in world.site.requests[before:] if asked.path.endswith(".jpg")]
    assert len(asked) == len(set(asked))

    done = world.run("status")
    assert "│ museum │ Faces │     5 │       5 │" in done.stdout
    assert "loaded:\n" in done.stderr
