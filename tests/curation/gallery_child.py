"""An ingest of its own process, for tests that kill it: python -m tests.curation.gallery_child HOME URL SOURCE..."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from curation import ingest
from curation.batches import in_threads
from curation.ingest import Means
from curation.store import Home
from curation.web import WebSettings
from rules.schema import RuleSet
from tests import gallery_sites
from tests.curation.tables import content

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
COLLECT = {
    "wikiart": [
        {"tags": {"genre": "Portrait"}, "lists": [{"category": "paintings-by-genre/portrait"}]},
        {"tags": {"genre": "Landscape"}, "lists": [{"category": "artists-by-painting-school/hudson-river-school"}]},
    ],
    "pinterest": [
        {"tags": {"genre": "Portrait"}, "lists": [{"board": "collector/dark-fantasy"}]},
        {"tags": {"genre": "Landscape"}, "lists": [{"search": "dark landscape"}]},
    ],
}


def rule_set() -> RuleSet:
    return RuleSet.model_validate(content() | {"collect": COLLECT})


def means(host: str) -> Means:
    return Means(WebSettings("tester@example.org", frozenset({host})), in_threads(2), lambda: NOON)


if __name__ == "__main__":
    home, url, *named = sys.argv[1:]
    gallery_sites.go_there(url, pytest.MonkeyPatch())
    ingest.ingest(Home(Path(home)), named, rule_set(), means(url.removeprefix("http://")))
