"""What was published from a work folder, a file for each time: by these a removal tells who still has the item."""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from curation.releases import get
from curation.store import Home, create_exclusively, digest
from rules.errors import ConfigurationError

FOLDER = "published"


@dataclass(frozen=True, slots=True)
class Record:
    """One publication.

    Attributes:
        where: owner/name, a folder or a URL, never with a password in it.
        endpoint: of the Hub; None elsewhere.
        version: v and the number of the release: a tag, or a folder.
        commit: of the Hub; None elsewhere.
        verified: it was loaded back, and was what had been sent.
        without: sha256 of the media that had been deleted from the release by then; `write` fills it in.
    """

    where: str
    endpoint: str | None
    data_set: str
    release: int
    version: str
    commit: str | None
    verified: bool = False
    without: tuple[str, ...] = ()


def write(home: Home, record: Record) -> bool:
    """Write a record for good; False if it stands already. Verified later, it is written once more."""
    record = replace(record, without=_purged(home, record.release))
    name = digest(asdict(replace(record, verified=False)))[:32]
    path = home.root / FOLDER / f"{name}{'.verified' if record.verified else ''}.json"
    return create_exclusively(path, (json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n").encode())


def _purged(home: Home, release: int) -> tuple[str, ...]:
    return tuple(sorted(one["sha256"] for one in get(home, release).manifest.get("purged", ())))


def read(home: Home) -> list[Record]:
    """Return every publication once, by release and place.

    Raises:
        ConfigurationError: a record is damaged.
    """
    latest: dict[tuple[int, str, str, str], Record] = {}
    found = [_read(path) for path in (home.root / FOLDER).glob("*.json")]
    # Of one that was made again after a purge, the last counts; of one that was verified, that.
    for record in sorted(found, key=lambda record: (len(record.without), record.verified)):
        latest[record.release, record.where, record.endpoint or "", record.commit or ""] = record
    return [latest[key] for key in sorted(latest)]


def _read(path: Path) -> Record:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if set(values) != {field.name for field in fields(Record)}:
            raise ValueError(f"its keys are {', '.join(sorted(values))}")
        return Record(**values | {"without": tuple(values["without"])})
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{path}: expected a record of a publication; restore the file from a copy, for a removal asks it who "
            "still has the item"
        ) from error
