"""Publications into a folder that die: a warm process that forks a child for each line it reads.

Reads JSON lines {home, release, where, event}; the child kills itself at that event, if it comes to it: a file that is
written, copied, linked or removed there. Writes "ended STATUS" when the child is gone.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import datasets  # noqa: F401  imported for the children: it takes a second
import mlcroissant  # noqa: F401

from curation import releases
from curation.publishing import folders
from curation.publishing.storage import Storage
from curation.store import Home
from tests.curation.publishing.to_hub import pickled
from tests.curation.watching import Watched


def publish(home: str, release: int, where: str, event: int) -> None:
    watched = Watched(event)
    folders.BATCH_FILES = 3
    for name in ("put", "write", "copy", "delete"):
        setattr(Storage, name, watched.around(getattr(Storage, name)))
    shutil.copyfile = watched.around(shutil.copyfile)  # type: ignore[assignment]
    os.link = watched.around(os.link)
    work = Home(Path(home))
    folders.publish(work, releases.get(work, release), where, pickled)


def serve() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            publish(**json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.write(1, f"ended {status}\n".encode())


if __name__ == "__main__":
    serve()
