"""Publications that die: a warm process that forks a child for each line it reads, so that a kill costs no imports.

Reads JSON lines {home, release, repo_id}; writes "child PID", and "ended STATUS" when the child is gone.
"""

import json
import os
import sys
from pathlib import Path

import datasets  # noqa: F401  imported for the children: it takes seconds
import mlcroissant  # noqa: F401

from curation import releases
from curation.store import Home
from tests.curation.publishing.to_hub import publish


def run(home: str, release: int, repo_id: str) -> None:
    folder = Home(Path(home))
    publish(folder, releases.get(folder, release), repo_id)


def serve() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(**json.loads(line))
            os._exit(0)
        os.write(1, f"child {child}\n".encode())
        os.write(1, f"ended {os.waitpid(child, 0)[1]}\n".encode())


if __name__ == "__main__":
    serve()
