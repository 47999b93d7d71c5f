"""Who may publish where on the Hub, asked before anything is sent; and what a wrong name was meant to be."""

import re
from collections.abc import Mapping
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined] # it is public

from curation.publishing import records
from curation.publishing.hub_errors import TOKEN_ADVICE
from curation.publishing.hub_state import KIND
from curation.releases import Release
from curation.store import Home
from rules.errors import ConfigurationError
from rules.spelling import closest

KINDS = {"dataset": "data set", "model": "model", "space": "space"}  # as the Hub calls them, and in words
MAX_NAME_CHARS = 96


def check_name(repo_id: str) -> None:
    """Refuse what cannot be the name of a repository.

    Raises:
        ConfigurationError: with a name that could be meant.
    """
    if _is_name(repo_id):
        return
    parts = repo_id.removeprefix("datasets/").removesuffix(".git").split("/")
    meant = "/".join(re.sub(r"[^\w.-]+|-{2,}|\.{2,}", "-", part, flags=re.ASCII).strip("-.") for part in parts)
    hint = f"; did you mean {meant}?" if _is_name(meant) else ""
    raise ConfigurationError(
        f"{repo_id!r}: expected owner/name, each of at most {MAX_NAME_CHARS} letters a to z, digits, '-', '_' and '.', "
        f"without '--' or '..', no '-' or '.' at either end, and not ending in .git{hint}"
    )


def _is_name(text: str) -> bool:
    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return text.count("/") == 1


def find(api: HfApi, repo_id: str, kind: str = KIND) -> bool | None:
    """Say whether a repository is private, None if there is none yet; refuse one that cannot be written.

    Args:
        kind: of KINDS.

    Raises:
        ConfigurationError: the token may not write there, or the name is that of something else.
    """
    account = api.whoami()
    if account.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise ConfigurationError(f"{repo_id}: the token of {account['name']} may only read: {TOKEN_ADVICE}")
    try:
        # Without `expand` it would list all files; its type is wrong there: it is handed on to what takes a list.
        info = api.repo_info(repo_id, repo_type=kind, expand=["private"])  # type: ignore[arg-type]
    except RepositoryNotFoundError as error:
        if error.response.status_code != 404:
            raise
        _check_owner(account, repo_id)
        _check_kind(api, repo_id, kind)
        return None
    if info.id != repo_id:
        raise ConfigurationError(f"{repo_id} is called {info.id} on the Hub: expected that name")
    _check_rights(api, account, repo_id, kind)
    return bool(info.private)


def _check_owner(account: Mapping[str, Any], repo_id: str) -> None:
    """Refuse an owner for whom whoever has the token cannot write."""
    owner, _, name = repo_id.partition("/")
    roles = {account["name"]: "write"} | {org["name"]: org.get("roleInOrg", "") for org in account.get("orgs", ())}
    if roles.get(owner) == "read":
        raise ConfigurationError(
            f"{repo_id}: {account['name']} may only read in {owner}: expected the role write or contributor there"
        )
    if owner not in roles:
        writes = [one for one, role in roles.items() if role != "read"]
        hint = "".join(f"; did you mean {one}/{name}?" for one in closest(owner, writes)[:1])
        raise ConfigurationError(
            f"{repo_id}: the token is of {account['name']}, who cannot publish for {owner}: expected as the owner "
            f"{' or '.join(writes)}{hint}"
        )


def _check_kind(api: HfApi, repo_id: str, kind: str) -> None:
    """Refuse the name of something else: it is more likely a slip."""
    for other in KINDS:
        if other != kind and api.repo_exists(repo_id, repo_type=other):
            raise ConfigurationError(
                f"{repo_id} is a {KINDS[other]} on the Hub: expected another name; or, to have a {KINDS[kind]} of that "
                f"name on purpose: {_creation(repo_id, kind)}"
            )


def _check_rights(api: HfApi, account: Mapping[str, Any], repo_id: str, kind: str) -> None:
    try:
        api.auth_check(repo_id, repo_type=kind, write=True)
    except HfHubHTTPError as error:
        _check_owner(account, repo_id)
        if error.response.status_code != 404:  # a Hub of one's own may not know the question; the first commit tells
            raise


def check_is_new(home: Home, release: Release, repo_id: str, endpoint: str) -> None:
    """Refuse to make a repository for a data set that has one already: the name is more likely a slip.

    Raises:
        ConfigurationError: with the names that it has.
    """
    name = release.manifest["rule_set"]["name"]
    others = {one.where for one in records.read(home) if one.endpoint == endpoint and one.data_set == name}
    if others and repo_id not in others:
        meant = closest(repo_id, others) or sorted(others)
        raise ConfigurationError(
            f"{repo_id} is not on the Hub, and {name} was published as {', '.join(sorted(others))} before; did you "
            f"mean {meant[0]}? To publish it under another name on purpose, make the repository first: "
            f"{_creation(repo_id, KIND)}"
        )


def _creation(repo_id: str, kind: str) -> str:
    return f"`hf repos create {repo_id} --repo-type {kind}`"
