"""A Hugging Face Hub on loopback, for huggingface_hub and datasets as they are.

with Hub(folder) as hub:
    ida = hub.user("ida")                       # HF_ENDPOINT=hub.url, HF_TOKEN=ida.token
    ...                                         # clients do as they like
    assert hub.repo("ida/x").read("README.md")

It also runs by itself: `python -m tests.hub_site --port 8123 --folder DIR`.
"""

import argparse
import itertools
import re
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.hub import checking
from tests.hub.api import NO_CREDENTIALS, NOT_HERE, WHO_ARE_YOU, Api, check_write, find, kind_of
from tests.hub.faults import Fault, Faults, Held, Request, Traffic
from tests.hub.lfs import Lfs
from tests.hub.limits import Limits
from tests.hub.people import Role, User
from tests.hub.repos import Kind, Repo, Xet
from tests.hub.server import Answer, Call, Refusal, Server, as_json
from tests.hub.storage import Blobs

_ID = "([^/]+/[^/]+)"
_API = re.compile(f"/api/(models|datasets|spaces)/{_ID}(?:/([^/]+)(?:/(.+))?)?")
_RESOLVE = re.compile(f"/(?:(datasets|spaces)/)?{_ID}/resolve/([^/]+)/(.+)")
_OBJECTS = re.compile(rf"/(?:(datasets|spaces)/)?{_ID}\.git/info/lfs/objects/(batch|verify)")
_UPLOAD = re.compile(f"/lfs/(model|dataset|space)/{_ID}/([0-9a-f]{{64}})(?:/([0-9]+|complete))?")
_CONTENT = re.compile("/cdn/([0-9a-f]{64})")


class Hub:
    """A Hub with its repositories, people, faults and record of requests.

    Args:
        folder: for contents; what is in there is not read again by another Hub.
        bound: the socket to listen on; by default any free port of 127.0.0.1.
        xet: a storage to which clients may send chunks instead of large files.
    """

    def __init__(self, folder: Path, bound: socket.socket | None = None, xet: Xet | None = None) -> None:
        if bound is None:
            bound = socket.socket()
            bound.bind(("127.0.0.1", 0))
        self.port: int = bound.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.limits = Limits()
        self.traffic = Traffic()
        self.faults = Faults()
        self._blobs, self._xet = Blobs(folder), xet
        self._people: dict[str, User] = {}
        self._repos: dict[tuple[Kind, str], Repo] = {}
        self._watching: list[tuple[Traffic, str]] = [(self.traffic, "")]
        self._ids = itertools.count(1)
        self._lock = threading.RLock()
        self._api = Api(self.url, self.limits)
        # Another host for contents, as far as a client can see: it must not take its token there.
        self._lfs = Lfs(self.url, f"http://localhost:{self.port}", self.limits)
        self._server = Server(bound, self.faults, self._begin, self.answer)

    def __enter__(self) -> "Hub":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.faults.clear()
        self._server.shutdown()
        self._server.server_close()

    # What a test does.

    def user(
        self,
        name: str,
        token: str = "",
        role: Role = "write",
        orgs: tuple[str, ...] = (),
        repos: tuple[str, ...] = (),
    ) -> User:
        """Let somebody in by a token, by default one made of the name and the role."""
        user = User(name, token or f"hf_{name}{role}".ljust(37, "x"), role, tuple(orgs), tuple(repos))
        self._people[user.token] = user
        return user

    def new_id(self, owner: str = "ida") -> str:
        """Give the id of a repository that nobody has named yet."""
        return f"{owner}/repo-{next(self._ids)}"

    def create(self, repo_id: str, kind: Kind = "dataset", private: bool = False) -> Repo:
        with self._lock:
            made = self._repos[kind, repo_id] = Repo(self._blobs, repo_id, kind, private, self._xet)
        return made

    def repo(self, repo_id: str, kind: Kind = "dataset") -> Repo:
        """Give a repository to look into or to change.

        Raises:
            KeyError: there is none.
        """
        return self._repos[kind, repo_id]

    def has(self, repo_id: str, kind: Kind = "dataset") -> bool:
        return (kind, repo_id) in self._repos

    def fail(self, method: str, pattern: str, status: int | None = None, **how: object) -> Fault:
        """Let the next such request fail; `how` as in Fault. Without a status the connection is cut."""
        return self.faults.add(Fault(method, pattern, status, **how))  # type: ignore[arg-type]

    def at(self, method: str, pattern: str, do: Callable[[Request], None], **how: object) -> Fault:
        """Call a function when such a request came, before it is read; with done=True when it was carried out."""
        return self.faults.add(Fault(method, pattern, do=do, harmless=True, **how))  # type: ignore[arg-type]

    def hold(self, method: str, pattern: str) -> AbstractContextManager[Held]:
        """Let such requests hang until the block is left or `let_go` is called."""
        return self.faults.hold(method, pattern)

    @contextmanager
    def watch(self, repo_id: str = "") -> Iterator[Traffic]:
        """Record the requests of the block, of one repository if it is named (beside the answers of its storage)."""
        traffic = Traffic()
        watching = traffic, repo_id
        self._watching.append(watching)
        try:
            yield traffic
        finally:
            self._watching.remove(watching)

    @property
    def received(self) -> Counter[str]:
        """Bytes of all bodies that came in so far, by `Request.kind`: commits, lfs, api."""
        return self.traffic.received

    @property
    def received_bytes(self) -> int:
        return self.traffic.received_bytes

    @property
    def uploads(self) -> list[Request]:
        return self.traffic.uploads

    # What a client is answered.

    def _begin(self, request: Request) -> None:
        for traffic, repo_id in list(self._watching):
            about = re.search(f"/{re.escape(repo_id)}([/.]|$)", request.path)
            if not repo_id or about or request.path.startswith("/cdn/"):
                traffic.requests.append(request)

    def answer(self, call: Call) -> Answer:
        user = self._who(call)
        call.request.user = user.name if user else None
        if found := _CONTENT.fullmatch(call.path):
            return self._lfs.content(call, self._blobs, found[1])
        if (found := _UPLOAD.fullmatch(call.path)) and call.method in ("PUT", "POST"):
            kind: Kind = found[1]  # type: ignore[assignment]
            return self._lfs.take(call, self._find((kind, found[2]), None, signed=True), found[3], found[4] or "")
        if found := _OBJECTS.fullmatch(call.path):
            repo = self._find((kind_of(found[1]), found[2]), user)
            return (self._lfs.batch if found[3] == "batch" else self._lfs.verify)(call, repo, user)
        if found := _RESOLVE.fullmatch(call.path):
            repo = self._find((kind_of(found[1]), found[2]), user)
            return self._lfs.resolve(call, repo, unquote(found[3]), unquote(found[4]))
        return self._answer_api(call, user)

    def _answer_api(self, call: Call, user: User | None) -> Answer:
        plain: dict[tuple[str, str], Callable[[Call, User | None], Answer]] = {
            ("GET", "/api/whoami-v2"): self._whoami,
            ("POST", "/api/validate-yaml"): self._validate,
            ("POST", "/api/repos/create"): self._create,
            ("DELETE", "/api/repos/delete"): self._delete,
        }
        if handle := plain.get((call.method, call.path)):
            return handle(call, user)
        found = _API.fullmatch(call.path)
        if not found:
            if call.path.startswith("/api/datasets/"):  # a name without an owner
                raise Refusal(404, "Repository not found", "RepoNotFound")
            raise NOT_HERE
        repo = self._find((kind_of(found[1]), found[2]), user)
        action, rest = found[3] or "", found[4] or ""
        if action == "xet-write-token" and self._xet:
            check_write(repo, user)
            find(repo, unquote(rest))
            return Answer(*self._xet.access())
        return self._api.answer(call, repo, user, action, rest)

    def _who(self, call: Call) -> User | None:
        if not call.token:
            return None
        if call.token not in self._people:
            raise Refusal(401, "Invalid credentials in Authorization header")
        return self._people[call.token]

    def _find(self, key: tuple[Kind, str], user: User | None, signed: bool = False) -> Repo:
        repo = self._repos.get(key)
        if repo and (signed or not repo.private or (user and user.may_read(repo.id))):
            return repo
        if user is None:
            raise WHO_ARE_YOU
        raise Refusal(404, "Repository not found", "RepoNotFound")

    def _whoami(self, _: Call, user: User | None) -> Answer:
        if user is None:
            raise Refusal(401, NO_CREDENTIALS)
        return as_json(user.whoami())

    def _validate(self, call: Call, _: User | None) -> Answer:
        asked = call.body.json()
        errors, warnings = checking.check_card(asked["content"], asked.get("repoType", "dataset"))
        said = {name: [{"message": each} for each in one] for name, one in (("errors", errors), ("warnings", warnings))}
        return as_json(said, 400 if errors else 200)

    def _create(self, call: Call, user: User | None) -> Answer:
        kind, repo_id, asked = self._asked(call, user)
        assert user is not None
        if not user.may_create(repo_id):
            owner = repo_id.partition("/")[0]
            raise Refusal(403, f'You don\'t have the rights to create a {kind} under the namespace "{owner}"')
        with self._lock:
            url = f"{self.url}/{Repo.address_of(kind, repo_id)}"
            if self.has(repo_id, kind):
                return as_json({"error": f"You already created this {kind} repo", "url": url}, 409)
            self.create(repo_id, kind, asked.get("visibility") == "private" or bool(asked.get("private")))
        return as_json({"url": url, "name": repo_id, "id": "0" * 24})

    def _delete(self, call: Call, user: User | None) -> Answer:
        kind, repo_id, _ = self._asked(call, user)
        check_write(self._find((kind, repo_id), user), user)
        del self._repos[kind, repo_id]
        return Answer(200, {}, b"OK")

    def _asked(self, call: Call, user: User | None) -> tuple[Kind, str, dict[str, Any]]:
        if user is None:
            raise Refusal(401, NO_CREDENTIALS)
        asked = call.body.json()
        return asked.get("type") or "model", f"{asked.get('organization') or user.name}/{asked['name']}", asked


def main() -> None:
    """Serve until it is stopped."""
    parser = argparse.ArgumentParser(description="A Hugging Face Hub on loopback; what it holds is gone when it stops.")
    parser.add_argument("--port", type=int, default=0, help="any free one by default")
    parser.add_argument("--folder", type=Path, required=True, help="for the contents of files")
    asked = parser.parse_args()
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", asked.port))
    with Hub(asked.folder, bound) as hub:
        write, read = hub.user("ida", orgs=("museum",)), hub.user("ida", role="read", orgs=("museum",))
        lines = [
            f"export HF_ENDPOINT={hub.url} HF_HUB_DISABLE_XET=1",
            f"export HF_TOKEN={write.token}   # ida, who may write to ida/ and museum/",
            f"# HF_TOKEN={read.token}   # ida, who may only read",
        ]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
