"""Rehydrations that die: a warm process that forks a child for each line it reads, so that a kill costs no imports.

Reads JSON lines {home, published, media, log, kill_at}; the child kills itself at that event, if any is given. It
appends to the log every address that it asks for. Writes "events N" where it was not killed, and "ended STATUS" when
the child is gone.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets  # noqa: F401  imported for the children: it takes a second
import duckdb  # noqa: F401
import imagehash  # noqa: F401
import numpy as np
import pydub  # noqa: F401

from curation import ingested, rehydrating, sources, store
from curation.errors import ItemError
from curation.rehydrating import writing
from curation.report import previews
from curation.store import Home
from curation.web import WebSettings, client  # noqa: F401
from tests.curation.ingesting import SITE, toy_source
from tests.curation.publications import means
from tests.curation.tables import RATE_HZ
from tests.curation.watching import Watched
from tests.pictures import as_bytes, photo

REAL_SOURCES = list(sources.__path__)
GONE = f"{SITE}2"


def picture(address: str) -> bytes:
    return as_bytes(photo(160, 120, int(address.removeprefix(SITE))), "PNG")


@contextmanager
def toys() -> Iterator[None]:
    """Give pictures by the toy source, beside the real sources."""
    with toy_source() as toy:
        sources.__path__ = [*sources.__path__, *REAL_SOURCES]
        toy.BATCH_ITEMS = 2
        toy.WORLD.media = picture
        yield toy


def rehydrate(home: str, published: str, media: str, log: str, kill_at: int | None) -> None:
    watched = Watched(kill_at)
    Home.replacing = watched.replacing(Home.replacing)  # type: ignore[method-assign]
    Home.put_blob = watched.around(Home.put_blob)  # type: ignore[method-assign]
    ingested.Journal.add = watched.around(ingested.Journal.add)  # type: ignore[method-assign]
    Path.unlink = watched.around(Path.unlink)  # type: ignore[method-assign]
    Path.replace = watched.around(Path.replace)  # type: ignore[method-assign]
    shutil.rmtree = watched.around(shutil.rmtree)  # type: ignore[assignment]
    for module in (store, writing, rehydrating):
        module.create_exclusively = watched.around(store.create_exclusively)  # type: ignore[attr-defined]
    file = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def given(address: str) -> bytes | ItemError:
        os.write(file, f"{address}\n".encode())
        return ItemError("gone") if address == GONE else picture(address)

    with toys() as toy:
        toy.WORLD.media = given
        settings = means(lambda: WebSettings("tester@example.org"))
        done = rehydrating.rehydrate(Home(Path(home)), published, settings, named=[f"folder:{media}"])
        assert done.release is not None
    os.write(1, f"events {watched.seen}\n".encode())


def serve() -> None:
    previews.spectrogram_png(np.zeros(RATE_HZ, np.float32), RATE_HZ)  # librosa takes seconds to import
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            rehydrate(**json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.write(1, f"ended {status}\n".encode())


if __name__ == "__main__":
    serve()
