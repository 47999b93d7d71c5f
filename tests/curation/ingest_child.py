"""Ingests that die: a warm process that forks a child for each line it reads, so that a kill costs no imports.

Reads JSON lines {home, log, kill_at}; the child kills itself at that event, if any is given. It appends to the log
every address that it asks for. Writes "events N" where it was not killed, and "ended STATUS" when the child is gone.
"""

import json
import os
import sys
from pathlib import Path

from curation import ingested
from curation.errors import ItemError
from curation.store import Home
from curation.web import client  # noqa: F401  imported for the children: it takes a second
from tests.curation.ingesting import FACES, VIEWS, ingest_from, rules_for, some, toy_source
from tests.curation.watching import Watched

RULES = rules_for((FACES, "faces"), (VIEWS, "views"))
NAMES = [f"{number:02}" for number in range(24)]
WORKERS = 2


def ingest(home: str, log: str, kill_at: int | None) -> None:
    watched = Watched(kill_at)
    Home.replacing = watched.replacing(Home.replacing)  # type: ignore[method-assign]
    Home.put_blob = watched.around(Home.put_blob)  # type: ignore[method-assign]
    ingested.Journal.add = watched.around(ingested.Journal.add)  # type: ignore[method-assign]
    ingested.Journal.close = watched.around(ingested.Journal.close)  # type: ignore[method-assign]
    Path.unlink = watched.around(Path.unlink)  # type: ignore[method-assign]
    file = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def media(address: str) -> bytes | ItemError:
        os.write(file, f"{address}\n".encode())
        return ItemError("gone") if address.endswith("7") else address.encode()

    with toy_source() as toy:
        toy.BATCH_ITEMS = 3
        toy.WORLD.media = media
        refused = some("long", refusal=ItemError("duration"))
        toy.WORLD.lists = {"faces": [*some(*NAMES[:16]), *refused], "views": some(*NAMES[8:])}
        result = ingest_from(Home(home), RULES)
        assert result.waiting == 0
    os.write(1, f"events {watched.seen}\n".encode())


def serve() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            ingest(**json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.write(1, f"ended {status}\n".encode())


if __name__ == "__main__":
    serve()
