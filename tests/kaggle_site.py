"""A Kaggle on loopback: its API, and the storage host that it leads to for archives.

with KaggleSite() as kaggle:
    kaggle.publish("owner/name", {"a.jpg": jpeg})
    with kaggle.in_its_place(): ...     # kagglehub's own client asks it
"""

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from kagglesdk import kaggle_env

from tests.archives import zipped
from tests.sites import Answer, Asked, Route, Site, ranged, redirect

API = "/api/v1/datasets.DatasetApiService"
SECRET = "X-Goog-Signature=5ec2e7"  # of an address that is signed


class KaggleSite:
    """Answers as Kaggle does for the data sets that are published here; `api` and `storage` take faults as routes."""

    def __init__(self) -> None:
        self.api, self.storage = Site(), Site()
        self._said: dict[str, dict[str, object]] = {}
        self.api.routes[f"{API}/GetDataset"] = self._get
        self.api.routes[f"{API}/DownloadDataset"] = self._download

    def __enter__(self) -> "KaggleSite":
        self.api.__enter__()
        self.storage.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.api.__exit__()
        self.storage.__exit__()

    def publish(
        self,
        name: str,
        members: Mapping[str, bytes] | bytes,
        version: int = 1,
        license: str = "CC0: Public Domain",
    ) -> bytes:
        """Publish a version of a data set and return its archive."""
        archive = members if isinstance(members, bytes) else zipped(members)
        owner, _, slug = name.partition("/")
        self._said[name] = {
            "id": 1234,
            "ref": name,
            "subtitle": "Collection of paintings",
            "creatorName": "Somebody",
            "totalBytes": len(archive),
            "url": f"https://www.kaggle.com/datasets/{name}",
            "lastUpdated": "2019-03-02T19:14:19.3670000Z",
            "downloadCount": 90210,
            "licenseName": license,
            "description": "a long text",
            "ownerName": owner.title(),
            "ownerRef": owner,
            "title": slug.replace("-", " ").title(),
            "currentVersionNumber": version,
            "usabilityRating": 0.87,
            "tags": [{"ref": "arts", "name": "Arts and Entertainment", "unknownToday": True}],
            "files": [],
            "versions": [{"versionNumber": version, "creationDate": "2019-03-02T19:14:19.367Z", "status": "Ready"}],
            "aFieldOfTomorrow": {"nested": [1, None]},
        }
        self.store(name, version, ranged(archive, f'"{name}@{version}"'), archive)
        return archive

    def store(self, name: str, version: int, route: Route, archive: bytes) -> None:
        """Let the storage host answer like this for an archive, with its checksum as Google's says it."""
        md5 = base64.b64encode(hashlib.md5(archive).digest()).decode()

        def handle(asked: Asked) -> Answer | bytes | None:
            answer = route(asked) if callable(route) else route
            if isinstance(answer, tuple):
                status, headers, body = answer
                return status, {"x-goog-hash": f"crc32c=AAAAAA==,md5={md5}", **headers}, body
            return answer

        self.storage.routes[f"/kaggle-data-sets/{name}/{version}/archive.zip"] = handle

    def _get(self, asked: Asked) -> Answer:
        wanted = json.loads(asked.body)
        said = self._said.get(f"{wanted['ownerSlug']}/{wanted['datasetSlug']}")
        return answer(said) if said else answer({"code": 404, "message": "Not found"}, 404)

    def _download(self, asked: Asked) -> Answer:
        wanted = json.loads(asked.body)
        name = f"{wanted['ownerSlug']}/{wanted['datasetSlug']}"
        path = f"/kaggle-data-sets/{name}/{wanted['datasetVersionNumber']}/archive.zip"
        return redirect(f"{self.storage.url}{path}?{SECRET}")

    @property
    def asked(self) -> list[str]:
        """What was asked of it in words, one of: GetDataset, DownloadDataset."""
        return [each.path.rpartition("/")[2] for each in self.api.requests]

    @contextlib.contextmanager
    def in_its_place(self, home: Path) -> Iterator[None]:
        """Lead kagglehub here, with the credentials of nobody.

        Args:
            home: of the user who asks.
        """
        with pytest.MonkeyPatch.context() as patch:
            for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_CONFIG_DIR"):
                patch.delenv(name, raising=False)
            patch.setenv("HOME", str(home))
            patch.setattr("kagglehub.config.DEFAULT_KAGGLE_CREDENTIALS_FOLDER", str(home / ".kaggle"))
            patch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
            patch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, self.api.url)
            # For its user agent it looks at each request who called it, in all modules that are loaded for every frame
            # without a file; a worker of pytest-xdist has such frames and thousands of modules, so it took seconds.
            patch.setattr("kagglehub.clients.search_lib_in_call_stack", lambda name: None)
            yield


def answer(said: object, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(said).encode()
