"""The museum of the README, "How to add a source": a site on loopback, and its source in a folder of its own."""

import importlib
import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import yaml

from curation import sources
from tests.curation.tables import content
from tests.pictures import photo
from tests.sites import Asked, Site

ROOT = Path(__file__).parent.parent
RECIPES = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## How to add a source\n")[1].split("\n## ")[0]
PER_PAGE = 2


def recipe() -> str:
    """Return the second recipe of that page, the one for the web."""
    return re.findall(r"```python\n(.*?)```", RECIPES, re.DOTALL)[1]


def write_source(folder: Path, homepage: str) -> Path:
    """Write the recipe as a source of that homepage and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = recipe()
    assert "https://museum.example" in text
    (folder / "museum.py").write_text(text.replace("https://museum.example", homepage), encoding="utf-8")
    return folder


@contextmanager
def opened(folder: Path, homepage: str) -> Iterator[ModuleType]:
    """Give the source; while this lasts, there is no other."""
    before, name = sources.__path__, "curation.sources.museum"
    sources.__path__ = [str(write_source(folder, homepage))]
    try:
        yield importlib.import_module(name)
    finally:
        sources.__path__ = before
        sys.modules.pop(name, None)


def write_rules(folder: Path, albums: dict[str, str]) -> Path:
    """Write the tiny rule set, which asks the museum for albums with pictures of a genre each."""
    folder.mkdir(parents=True)
    values = content()
    collect = {"museum": [{"tags": {"genre": genre}, "lists": [{"album": name}]} for name, genre in albums.items()]}
    parts = {name: {name: values.pop(name)} for name in ("labels", "vocabulary")}
    for name, part in (parts | {"settings": values, "collect": {"collect": collect}}).items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(part, sort_keys=False), encoding="utf-8")
    return folder


def site(**albums: int) -> Site:
    """Return a site with albums of so many pictures each, some to a page."""
    routes = {}
    for album, count in albums.items():
        for number in range(count):
            routes[f"/{album}-{number}.jpg"] = jpeg(count * 1000 + number)
    made = Site(routes)

    def page(asked: Asked) -> bytes | tuple[int, dict[str, str], bytes]:
        name = asked.path.removeprefix("/albums/").removesuffix(".json")
        if name not in albums:
            return 404, {}, b"no such album"
        start = int(asked.query.get("from", ["0"])[0])
        rows = [
            {
                "id": f"{name}-{number}",
                "title": f"[{name}] | *{number}*",
                "page": f"{made.url}/pages/{name}-{number}",
                "image": f"{made.url}/{name}-{number}.jpg",
            }
            for number in range(start, min(start + PER_PAGE, albums[name]))
        ]
        more = {"next": f"{made.url}{asked.path}?from={start + PER_PAGE}"} if start + PER_PAGE < albums[name] else {}
        return json.dumps({"pictures": rows, "curator": "a field that nobody needs", **more}).encode()

    made.otherwise = page
    return made


def jpeg(seed: int) -> bytes:
    out = io.BytesIO()
    photo(48, 36, seed).save(out, "JPEG")
    return out.getvalue()
