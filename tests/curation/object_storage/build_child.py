"""A build in a process of its own, which waits in the middle of sending a file for whoever ends it.

Arguments: the home, and the folder of the collection. Writes "sending KEY" once a part of a file of `data` was sent.
"""

import sys
from typing import Any

from curation import building, object_storage
from curation.batches import in_threads
from curation.object_storage import _Client
from curation.store import Home
from tests.curation.tables import ROOMY, tiny_rules

PART_BYTES = 4096


def main(home: str, folder: str) -> None:
    object_storage.PART_BYTES = PART_BYTES
    call = _Client._call_s3

    async def called(client: _Client, method: str, *parameters: Any, **more: Any) -> Any:
        answer = await call(client, method, *parameters, **more)
        if method == "upload_part" and "/data/" in more["Key"]:
            print("sending", more["Key"], flush=True)  # noqa: T201
            sys.stdin.read()  # the client waits until this process is killed, or whoever started it ends
        return answer

    _Client._call_s3 = called  # type: ignore[method-assign]
    building.build(Home(home), [f"folder:{folder}"], tiny_rules(ROOMY), in_threads(2))


if __name__ == "__main__":
    main(*sys.argv[1:])
