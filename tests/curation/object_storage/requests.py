"""What is asked of object storage."""

from dataclasses import dataclass
from typing import Any

import pytest
from s3fs import S3FileSystem


@dataclass(frozen=True)
class Request:
    """One request; `span` is the part of the file that is asked for, None for all of it."""

    method: str
    key: str
    span: str | None


class Watched(list[Request]):
    """Requests, in order."""

    def of(self, method: str, part: str = "") -> list[Request]:
        return [request for request in self if request.method == method and part in request.key]


def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Return the requests of this process from now on, as they come."""
    found = Watched()
    call = S3FileSystem._call_s3

    async def called(client: S3FileSystem, method: str, *parameters: Any, **more: Any) -> Any:
        found.append(Request(method, more.get("Key") or more.get("Prefix") or "", more.get("Range")))
        return await call(client, method, *parameters, **more)

    monkeypatch.setattr(S3FileSystem, "_call_s3", called)
    return found
