"""Ingests from the web source `toy`, which needs no web, and the rules that ask it for lists."""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from curation import collect, ingest, sources
from curation.batches import in_threads
from curation.ingest import Ingested, Means
from curation.schemas import INGESTED
from curation.sources import Facts, Found
from curation.store import Home, read_tables
from curation.web import WebSettings
from rules.schema import RuleSet
from tests.curation.tables import content

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def noon() -> datetime:
    return NOON


MEANS = Means(WebSettings("tester@example.org"), in_threads(2), noon)
FACES, VIEWS, BILLS = ({"genre": genre} for genre in ("Portrait", "Landscape", "Poster"))  # what two labels ask for
SITE = "https://toy.example/"


@contextmanager
def toy_source(folder: str = "toys") -> Iterator[ModuleType]:
    """Give the module of the toy source; while this lasts, there are no sources but those of the folder."""
    before, name = sources.__path__, "curation.sources.toy"
    sources.__path__ = [str(Path(__file__).parent / folder)]
    sys.modules.pop(name, None)
    try:
        yield importlib.import_module(name)
    finally:
        sources.__path__ = before
        sys.modules.pop(name, None)


def rules_for(*lists: tuple[dict[str, str], str], source: str = "toy") -> RuleSet:
    """Return the tiny rule set with searches at a source, each with its tags."""
    asked = [{"tags": tags, "lists": [{"search": text}]} for tags, text in lists]
    return RuleSet.model_validate(content() | {"collect": {source: asked}})


def some(*names: str, **more: Any) -> list[Found]:
    return [Found(name, f"{SITE}{name}", Facts(title=name), **more) for name in names]


def ingest_from(home: Home, rule_set: RuleSet, means: Means = MEANS, **more: Any) -> Ingested:
    (result,) = ingest.ingest(home, ["toy"], rule_set, means, **more)
    return result


def rows_of(home: Home, *columns: str) -> list[tuple[Any, ...]]:
    """Return everything that happened to the items of the toy, by id and revision."""
    rows = read_tables(home.items("toy"), INGESTED).sort_by([("source_id", "ascending"), ("revision", "ascending")])
    return list(zip(*(rows[name].to_pylist() for name in columns or INGESTED.names), strict=True))


def listed(home: Home) -> dict[str, dict[str, Any]]:
    """Return what a build gets, by id."""
    rows = collect.current_items(home, collect.list_sources(home, ["toy"])).to_pylist()
    return {row["source_id"]: row for row in rows}


def tags_of(row: dict[str, Any]) -> list[str]:
    return [tag["value"] for tag in row["tags"]]


def addresses(names: Sequence[str]) -> list[str]:
    return [f"{SITE}{name}" for name in names]
