"""The Hub's API of accounts, repositories, revisions and trees, as huggingface_hub asks it."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import parse_qs, unquote, urlencode

from tests.hub import checking
from tests.hub.commits import commit
from tests.hub.limits import Limits
from tests.hub.people import User
from tests.hub.repos import Kind, Repo
from tests.hub.server import Answer, Call, Refusal, as_json
from tests.hub.storage import Commit, File, Taken, Unknown

NOT_HERE = Refusal(404, "Sorry, we can't find the page you are looking for.")
NO_CREDENTIALS = "Invalid username or password."
# The real Hub sends no such code with its 401, and huggingface_hub takes a 401 for an unknown repository only from an
# https address. With the code a loopback address leads to the same error.
WHO_ARE_YOU = Refusal(401, NO_CREDENTIALS, "RepoNotFound", WWW_Authenticate='Bearer realm="Authentication required"')


def check_write(repo: Repo, user: User | None) -> None:
    """Let pass whoever may change a repository that they see.

    Raises:
        Refusal: everybody else.
    """
    if user is None:
        raise WHO_ARE_YOU
    if user.role == "read":
        raise Refusal(403, "Forbidden: you must use a write token to upload to a repository.")
    if not user.may_write(repo.id):
        raise Refusal(403, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request")


def find(repo: Repo, revision: str) -> Commit:
    try:
        return repo.tree.find(revision)
    except Unknown:
        raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound") from None


class Api:
    """What is asked of one repository.

    Args:
        endpoint: address of the Hub.
    """

    def __init__(self, endpoint: str, limits: Limits) -> None:
        self.endpoint, self.limits = endpoint, limits
        self._routes: Mapping[tuple[str, str], Callable[[Call, Repo, User | None, str], Answer]] = {
            ("GET", ""): self._info,
            ("GET", "revision"): self._info,
            ("GET", "refs"): self._refs,
            ("GET", "commits"): self._commits,
            ("GET", "tree"): self._tree,
            ("POST", "paths-info"): self._paths_info,
            ("POST", "preupload"): self._preupload,
            ("POST", "commit"): self._commit,
            ("POST", "branch"): self._create_branch,
            ("DELETE", "branch"): self._delete_branch,
            ("POST", "tag"): self._create_tag,
            ("DELETE", "tag"): self._delete_tag,
        }

    def answer(self, call: Call, repo: Repo, user: User | None, action: str, rest: str) -> Answer:
        """Answer to `/api/{kind}s/{id}/{action}/{rest}`, where `rest` is still quoted."""
        handle = self._routes.get((call.method, action))
        if handle is None:
            raise NOT_HERE
        return handle(call, repo, user, rest)

    def _info(self, call: Call, repo: Repo, _: User | None, rest: str) -> Answer:
        at = find(repo, unquote(rest) or "main")
        said = self._described(repo, at, call.says("blobs") if "blobs" in call.query else False)
        if wanted := call.query.get("expand"):
            said = {name: value for name, value in said.items() if name in {"id", "_id", *wanted}}
        return as_json(said)

    def _described(self, repo: Repo, at: Commit, with_blobs: bool) -> dict[str, object]:
        card = at.files.get("README.md")
        data = checking.card_data(card.read().decode()) if card else {}
        licenses = data.get("license", [])
        return {
            "_id": hashlib.sha1(repo.address.encode()).hexdigest()[:24],
            "id": repo.id,
            "author": repo.id.partition("/")[0],
            "sha": at.id,
            "createdAt": stamp(repo.commits(at.id)[-1]),
            "lastModified": stamp(at),
            "private": repo.private,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [f"license:{one}" for one in (licenses if isinstance(licenses, list) else [licenses])],
            "cardData": data,
            "siblings": [{"rfilename": path, **(_blob(file) if with_blobs else {})} for path, file in at.files.items()],
            "usedStorage": sum(repo.blobs.size_bytes(sha256) for sha256 in repo.known),
        }

    def _refs(self, _: Call, repo: Repo, __: User | None, ___: str) -> Answer:
        def listed(refs: Mapping[str, str], prefix: str) -> list[dict[str, str]]:
            return [{"name": name, "ref": f"{prefix}{name}", "targetCommit": id_} for name, id_ in sorted(refs.items())]

        branches, tags = listed(repo.branches, "refs/heads/"), listed(repo.tags, "refs/tags/")
        return as_json({"tags": tags, "branches": branches, "converts": [], "pullRequests": []})

    def _commits(self, call: Call, repo: Repo, _: User | None, rest: str) -> Answer:
        listed = [
            {
                "id": each.id,
                "title": each.title,
                "message": each.description,
                "authors": [{"user": each.author}],
                "date": stamp(each),
            }
            for each in find(repo, unquote(rest)).history()
        ]
        return self._page(call, listed)

    def _tree(self, call: Call, repo: Repo, _: User | None, rest: str) -> Answer:
        revision, _slash, folder = rest.partition("/")
        folder = unquote(folder).strip("/")
        at = find(repo, unquote(revision))
        entries = sorted(_entries(at.files, folder, call.says("recursive")).items())
        if folder and not entries:
            raise Refusal(404, f'{folder} does not exist on "{unquote(revision)}"', "EntryNotFound")
        return self._page(call, [_entry(at, path, file, call.says("expand")) for path, file in entries])

    def _page(self, call: Call, listed: list[dict[str, object]]) -> Answer:
        """Give some of a list, and the address of the next ones."""
        cursor = call.query.get("cursor", [""])[0]
        start = int(base64.b64decode(cursor)) if cursor else 0
        end = start + self.limits.page
        if end >= len(listed):
            return as_json(listed[start:])
        query = {**call.query, "cursor": [base64.b64encode(str(end).encode()).decode()]}
        link = f'<{self.endpoint}{call.path}?{urlencode(query, doseq=True)}>; rel="next"'
        return as_json(listed[start:end], Link=link)

    def _paths_info(self, call: Call, repo: Repo, _: User | None, rest: str) -> Answer:
        asked = parse_qs(call.body.read().decode())
        paths = [path.strip("/") for path in asked.get("paths", [])]
        if len(paths) > self.limits.paths:
            raise Refusal(413, "too many parameters")
        at = find(repo, unquote(rest))
        there = _entries(at.files, "", recursive=True)
        expand = asked.get("expand") == ["true"]
        return as_json([_entry(at, path, there[path], expand) for path in paths if path in there])

    def _preupload(self, call: Call, repo: Repo, user: User | None, rest: str) -> Answer:
        check_write(repo, user)
        revision = unquote(rest)
        at = find(repo, revision)
        asked = call.body.json()
        ignore = asked.get("gitIgnore") or repo.ignored(revision)
        attributes = repo.attributes(revision)
        answers = []
        for each in asked["files"]:
            path, sample = each["path"], base64.b64decode(each.get("sample", ""))
            is_large = repo.goes_to_lfs(path, each["size"], sample, attributes)
            there = at.files.get(path)
            answers.append(
                {
                    "path": path,
                    "uploadMode": "lfs" if is_large else "regular",
                    "shouldIgnore": checking.ignored(path, ignore),
                    **({"oid": there.sha256 if there.is_lfs else there.git_oid} if there else {}),
                }
            )
        return as_json({"files": answers, "commitOid": at.id})

    def _commit(self, call: Call, repo: Repo, user: User | None, rest: str) -> Answer:
        check_write(repo, user)
        assert user is not None
        made = commit(repo, unquote(rest), call.body, user.name, self.limits)
        url = f"{self.endpoint}/{repo.address}/commit/{made.id}"
        return as_json({"success": True, "commitOid": made.id, "commitUrl": url, "hookOutput": ""})

    def _create_branch(self, call: Call, repo: Repo, user: User | None, rest: str) -> Answer:
        check_write(repo, user)
        name, start = unquote(rest), call.body.json().get("startingPoint") or "main"
        if name.startswith("refs/"):
            raise Refusal(400, f"Invalid reference for a branch: {name}")
        return self._point(repo, repo.branch, name, start, "Reference already exists")

    def _create_tag(self, call: Call, repo: Repo, user: User | None, rest: str) -> Answer:
        check_write(repo, user)
        return self._point(repo, repo.tag, call.body.json()["tag"], unquote(rest), "Tag reference exists already")

    def _point(self, repo: Repo, point: Callable[[str, str], None], name: str, to: str, taken: str) -> Answer:
        find(repo, to)
        try:
            point(name, to)
        except Taken:
            raise Refusal(409, taken) from None
        return as_json({"success": True}, 201)

    def _delete_branch(self, _: Call, repo: Repo, user: User | None, rest: str) -> Answer:
        check_write(repo, user)
        if unquote(rest) == "main":
            raise Refusal(403, "The main branch cannot be deleted")
        return self._delete(repo, repo.tree.branches, unquote(rest))

    def _delete_tag(self, _: Call, repo: Repo, user: User | None, rest: str) -> Answer:
        check_write(repo, user)
        return self._delete(repo, repo.tree.tags, unquote(rest))

    def _delete(self, repo: Repo, refs: dict[str, Commit], name: str) -> Answer:
        with repo.lock:
            if refs.pop(name, None) is None:
                raise Refusal(404, f"Invalid rev id: {name}", "RevisionNotFound")
        return as_json({"success": True})


def kind_of(plural: str) -> Kind:
    return "dataset" if plural == "datasets" else "space" if plural == "spaces" else "model"


def stamp(at: Commit) -> str:
    return f"{at.date:%Y-%m-%dT%H:%M:%S}.000Z"


def _lfs(file: File) -> dict[str, object]:
    return {"oid": file.sha256, "size": file.size_bytes, "pointerSize": file.pointer_bytes}


def _blob(file: File) -> dict[str, object]:
    lfs = {"sha256": file.sha256, "size": file.size_bytes, "pointerSize": file.pointer_bytes}
    return {"size": file.size_bytes, "blobId": file.git_oid, **({"lfs": lfs} if file.is_lfs else {})}


def _entries(files: Mapping[str, File], folder: str, recursive: bool) -> dict[str, File | None]:
    """Give the files and folders (None) below a folder by path; a file by itself if that is what `folder` names."""
    found: dict[str, File | None] = {}
    for path, file in files.items():
        if path == folder:
            return {path: file}
        if folder and not path.startswith(f"{folder}/"):
            continue
        inside = path[len(folder) :].lstrip("/")
        for match in re.finditer("/", inside):
            if recursive or match.start() == inside.find("/"):
                found[f"{folder}/{inside[: match.start()]}".lstrip("/")] = None
        if recursive or "/" not in inside:
            found[path] = file
    return found


def _entry(at: Commit, path: str, file: File | None, expand: bool) -> dict[str, object]:
    prefix = f"{path}/"
    said: dict[str, object]
    if file is None:
        inside = [each.git_oid for name, each in at.files.items() if name.startswith(prefix)]
        said = {"type": "directory", "oid": hashlib.sha1("".join(inside).encode()).hexdigest(), "size": 0, "path": path}
    else:
        said = {"type": "file", "oid": file.git_oid, "size": file.size_bytes, "path": path}
        said |= {"lfs": _lfs(file)} if file.is_lfs else {}
    if expand:
        last = next(_changes(at, path))
        said["lastCommit"] = {"id": last.id, "title": last.title, "date": stamp(last)}
    return said


def _changes(at: Commit, path: str) -> Iterator[Commit]:
    """Give the commits that changed a path, the newest first."""

    def content(commit: Commit | None) -> list[tuple[str, str]]:
        files = commit.files.items() if commit else ()
        return [(name, file.git_oid) for name, file in files if name == path or name.startswith(f"{path}/")]

    return (each for each in at.history() if content(each) != content(each.parent))
