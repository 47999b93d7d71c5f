"""Where the weights of a network are found, and what it may be called for it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from curation.errors import TransientError
from evaluation.features._download import downloaded, sha256_of
from evaluation.networks import HTTPS
from rules.errors import ConfigurationError
from training.weights import fetched

if TYPE_CHECKING:
    from evaluation.networks import Network

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Published:
    """Weights that the literature knows.

    Attributes:
        name: by which metrics know the network.
        address: on the web, or owner/name on the Hub.
        sha256: how that of the file begins, where its publisher tells it.
    """

    name: str
    address: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Weights that are here.

    Attributes:
        path: a folder or a file.
        name: what the network is called.
    """

    path: Path
    name: str


def found(network: "Network", kind: str, published: Sequence[Published], files: Sequence[str]) -> Found:
    """Return where the weights of a network lie; those on the Hub or the web are fetched once.

    A network is called as published only if it comes from where that was published, or its file is known by its hash.

    Args:
        kind: what one of the family is called.
        files: patterns of what is needed of a model on the Hub; none if the family reads a single file.

    Raises:
        ConfigurationError: they are nowhere, or others than those that were asked for.
        TransientError: they are on the web, which is busy.
    """
    weights = network.weights or ""
    path = Path(weights).expanduser()
    known = {each.address: each for each in published}
    try:
        if weights.startswith(HTTPS):
            official = known.get(weights)
            path = downloaded(weights, network.sha256 or (official.sha256 if official else None), bool(official))
        elif weights and path.exists():
            official = _known_by_hash(path, network.sha256, published)
        elif files and _is_of_hub(weights):
            _check_no_hash(network)
            official = known.get(weights) if network.revision is None else None
            path = fetched(weights, network.revision, files)
        else:
            on_hub = ", owner/name on the Hub," if files else ""
            raise ConfigurationError(f"{weights}: expected a folder or file that is here{on_hub} or an https address")
    except (ConfigurationError, TransientError) as error:
        told = str(error).replace(weights, _without_query(weights)) if weights else str(error)
        raise type(error)(f"weights: {told}. {whence(published)}") from None
    last = _without_query(weights).rstrip("/").rpartition("/")[2]
    return Found(path, official.name if official else f"{kind} of {last}")


def _without_query(weights: str) -> str:
    """Return an address as it may be told: its query may be a signature, which opens what it leads to."""
    return weights.partition("?")[0] if weights.startswith(HTTPS) else weights


def reading(read: Callable[[], T], published: Sequence[Published]) -> T:
    """Return what is read of weights; whoever has others than the family's is told where to get those.

    Raises:
        ConfigurationError: as `read` does.
    """
    try:
        return read()
    except ConfigurationError as error:
        raise ConfigurationError(f"weights: {error}. {whence(published)}") from None


def whence(published: Iterable[Published]) -> str:
    """Say where to get weights."""
    hub = "https://huggingface.co/"
    addresses = [each.address if "://" in each.address else hub + each.address for each in published]
    return f"Get them from {' or '.join(addresses)}."


def _is_of_hub(weights: str) -> bool:
    owner, _, name = weights.partition("/")
    return bool(owner and name) and "/" not in name and owner[0].isalnum()


def _check_no_hash(network: "Network") -> None:
    if network.sha256 is not None:
        raise ConfigurationError(f"{network.weights}: expected no sha256 but a revision: it is on the Hub")


def _known_by_hash(path: Path, sha256: str | None, published: Sequence[Published]) -> Published | None:
    """Return which published weights a file is.

    Raises:
        ConfigurationError: it has not the hash that it must have, or is a folder, which has none.
    """
    if path.is_dir():
        if sha256 is not None:
            raise ConfigurationError(f"{path}: expected a file: a sha256 is told, and this is a folder")
        return None
    known = [each for each in published if each.sha256]
    if sha256 is None and not known:
        return None
    has = sha256_of(path)
    if sha256 is not None and not has.startswith(sha256):
        raise ConfigurationError(f"{path}: its SHA-256 is {has}, expected {sha256}: it is damaged or another file")
    return next((each for each in known if has.startswith(each.sha256 or "-")), None)
