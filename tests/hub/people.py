"""Who may do what on a Hub, by the token that a request shows."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["read", "write", "fineGrained"]


@dataclass(frozen=True)
class User:
    """Somebody with one token.

    Args:
        orgs: organizations in which they may write, as far as the token may.
        repos: what a fine-grained token may read and write: names of repositories, or of owners for all of theirs.
    """

    name: str
    token: str
    role: Role = "write"
    orgs: tuple[str, ...] = ()
    repos: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"User({self.name}, {self.role})"  # a token is shown to nobody

    def may_read(self, repo_id: str) -> bool:
        """Tell whether they may see a private repository."""
        return self._owns(repo_id) and (self.role != "fineGrained" or self._granted(repo_id))

    def may_write(self, repo_id: str) -> bool:
        return self.role != "read" and self.may_read(repo_id)

    def may_create(self, repo_id: str) -> bool:
        owner = repo_id.partition("/")[0]
        return self.may_write(repo_id) and (self.role == "write" or owner in self.repos)

    def _owns(self, repo_id: str) -> bool:
        return repo_id.partition("/")[0] in (self.name, *self.orgs)

    def _granted(self, repo_id: str) -> bool:
        return repo_id in self.repos or repo_id.partition("/")[0] in self.repos

    def whoami(self) -> dict[str, object]:
        """Give the answer to /api/whoami-v2."""
        token: dict[str, object] = {
            "displayName": "a token",
            "role": self.role,
            "createdAt": "2026-01-01T00:00:00.000Z",
        }
        if self.role == "fineGrained":
            token["fineGrained"] = {
                "global": [],
                "canReadGatedRepos": False,
                "scoped": [
                    {
                        "entity": {"type": "dataset" if "/" in name else "user", "name": name},
                        "permissions": ["repo.content.read", "repo.write"],
                    }
                    for name in self.repos
                ],
            }
        return {
            "type": "user",
            "id": "0" * 24,
            "name": self.name,
            "fullname": self.name.title(),
            "isPro": False,
            "orgs": [{"type": "org", "name": org, "fullname": org.title(), "roleInOrg": "write"} for org in self.orgs],
            "auth": {"type": "access_token", "accessToken": token},
        }
