"""Large files: what is wanted of them (batch), their way in (whole or in parts) and their way out (ranges)."""

import hashlib
import hmac
from math import ceil
from pathlib import PurePosixPath
from urllib.parse import quote

from tests.hub.api import check_write, find
from tests.hub.limits import Limits
from tests.hub.people import User
from tests.hub.repos import Repo
from tests.hub.server import Answer, Call, Refusal, as_json, ranged
from tests.hub.storage import Blobs


class Lfs:
    """The large files of all repositories.

    Args:
        endpoint: address of the Hub.
        storage: address at which the contents come in and go out: another host, as far as a client can see. Addresses
            there are signed, and asked without a token.
    """

    def __init__(self, endpoint: str, storage: str, limits: Limits) -> None:
        self.endpoint, self.storage, self.limits = endpoint, storage, limits

    def batch(self, call: Call, repo: Repo, user: User | None) -> Answer:
        check_write(repo, user)
        asked = call.body.json()
        if asked.get("operation") != "upload":
            raise Refusal(422, "Only uploads are asked for in this way")
        objects = [self._wanted(repo, each["oid"], each["size"]) for each in asked["objects"]]
        in_parts = any(each["size"] > self.limits.multipart_over_bytes for each in asked["objects"])
        transfer = "multipart" if in_parts and "multipart" in asked.get("transfers", []) else "basic"
        return as_json({"transfer": transfer, "objects": objects})

    def _wanted(self, repo: Repo, oid: str, size: int) -> dict[str, object]:
        """Say where a file is to be sent, if it is not here."""
        said: dict[str, object] = {"oid": oid, "size": size}
        if repo.has(oid):
            return said
        path = f"/lfs/{repo.kind}/{repo.id}/{oid}"
        upload: dict[str, object] = {"href": self._signed(self.storage, path)}
        if size > self.limits.multipart_over_bytes:
            numbers = range(1, ceil(size / self.limits.part_bytes) + 1)
            parts = {str(number): self._signed(self.storage, f"{path}/{number}") for number in numbers}
            upload = {
                "href": self._signed(self.endpoint, f"{path}/complete"),
                "header": {"chunk_size": str(self.limits.part_bytes), **parts},
            }
        verify = {"href": f"{self.endpoint}/{repo.address}.git/info/lfs/objects/verify"}
        return {**said, "authenticated": True, "actions": {"upload": upload, "verify": verify}}

    def verify(self, call: Call, repo: Repo, user: User | None) -> Answer:
        check_write(repo, user)
        asked = call.body.json()
        if not repo.has(asked["oid"]) or repo.blobs.size_bytes(asked["oid"]) != asked["size"]:
            raise Refusal(404, f"Object {asked['oid']} is not here in this size")
        return as_json({"success": True})

    def take(self, call: Call, repo: Repo, oid: str, part: str) -> Answer:
        """Answer to `/lfs/{kind}/{id}/{oid}`, `/{number of a part}` or `/complete`."""
        self._check_signature(call)
        if part == "complete":
            return self._complete(call, repo, oid)
        if part:
            path = repo.blobs.parts(self._name(repo, oid)) / part
            digest = hashlib.md5()
            with repo.blobs.temporary() as temporary:
                with temporary.open("wb") as file:
                    for block in call.body.blocks():
                        digest.update(block)
                        file.write(block)
                temporary.replace(path)
            return Answer(200, {"ETag": f'"{digest.hexdigest()}"'})
        try:
            repo.blobs.take(call.body.blocks(), oid)
        except ValueError as error:
            raise Refusal(400, f"BadDigest: {error}") from None
        repo.known.add(oid)
        return Answer(200, {"ETag": f'"{oid}"'})

    def _complete(self, call: Call, repo: Repo, oid: str) -> Answer:
        parts = call.body.json().get("parts", [])
        numbers = [part["partNumber"] for part in parts]
        folder = repo.blobs.parts(self._name(repo, oid))
        if numbers != list(range(1, len(parts) + 1)) or not all((folder / str(number)).exists() for number in numbers):
            raise Refusal(400, "InvalidPart: a part was never sent")
        for part in parts:
            with (folder / str(part["partNumber"])).open("rb") as file:
                md5 = hashlib.file_digest(file, "md5").hexdigest()
            if part["etag"].strip('"') != md5:
                raise Refusal(400, f"InvalidPart: part {part['partNumber']} has another ETag")
        try:
            repo.blobs.join(self._name(repo, oid), numbers, oid)
        except ValueError as error:
            raise Refusal(400, f"BadDigest: {error}") from None
        repo.known.add(oid)
        return as_json({"success": True})

    def resolve(self, call: Call, repo: Repo, revision: str, path: str) -> Answer:
        """Answer to `/{id}/resolve/{revision}/{path}`: the file, or for a large one the address of its content."""
        at = find(repo, revision)
        file = at.files.get(path)
        headers = {"X-Repo-Commit": at.id}
        if file is None:
            raise Refusal(404, "Entry not found", "EntryNotFound", X_Repo_Commit=at.id)
        name = PurePosixPath(path).name
        kind = "attachment" if "download" in call.query else "inline"
        headers["Content-Disposition"] = f"{kind}; filename*=UTF-8''{quote(name)}; filename=\"{quote(name)}\";"
        if not file.is_lfs:
            return ranged(call, file.path, {**headers, "ETag": f'"{file.git_oid}"', "Content-Type": "text/plain"})
        to = self._signed(self.storage, f"/cdn/{file.sha256}")
        linked = {"X-Linked-Size": str(file.size_bytes), "X-Linked-Etag": f'"{file.sha256}"', "Location": to}
        return Answer(302, {**headers, **linked, "Content-Type": "text/plain"}, b"Found. Redirecting")

    def content(self, call: Call, blobs: Blobs, sha256: str) -> Answer:
        """Answer to `/cdn/{sha256}`."""
        self._check_signature(call)
        return ranged(call, blobs.path(sha256), {"ETag": f'"{sha256}"', "Content-Type": "application/octet-stream"})

    @staticmethod
    def _name(repo: Repo, oid: str) -> str:
        return f"{repo.kind}-{repo.id.replace('/', '--')}-{oid}"

    def _signed(self, server: str, path: str) -> str:
        return f"{server}{path}?X-Signature={_signature(path)}"

    @staticmethod
    def _check_signature(call: Call) -> None:
        if call.query.get("X-Signature") != [_signature(call.path)]:
            raise Refusal(403, "SignatureDoesNotMatch")


def _signature(path: str) -> str:
    return hmac.new(b"known to the storage and to the Hub", path.encode(), "sha256").hexdigest()
