"""artune.json, the manifest of a publication: by it a later one knows which files are artune's and what they hold."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rules.errors import ConfigurationError

NAME = "artune.json"
VERSION = 1  # raise it when the same release gives other files

_STRICT = ConfigDict(strict=True, extra="forbid")  # anybody may have written the file that is read


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file of a publication.

    Attributes:
        sha256: of its bytes.
        rows: of a Parquet file; 0 for a page.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    sha256: str
    size_bytes: int
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a publication is.

    Attributes:
        data_set: the name of its rule set.
        inputs: the digest of everything that the release was made from: releases of two work folders differ in it.
        code: the VERSION that made the files.
        buckets: how many files each split of the release is cut into.
        pairs: of each config by split.
        files: by name; all but the card, which people edit, and the manifest itself.
        prose_sha256: of the card as artune wrote it, without its tables: if the card there differs, somebody edited it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    data_set: str
    release: int
    inputs: str
    rules_digest: str
    seed: int
    code: int
    buckets: Mapping[str, int]
    pairs: Mapping[str, Mapping[str, int]]
    files: Mapping[str, PublishedFile]
    prose_sha256: str

    @property
    def version(self) -> str:
        """What the release is called wherever it is published."""
        return f"v{self.release}"


def written(manifest: Manifest) -> bytes:
    """Return the bytes of a manifest, the same for the same one."""
    return (json.dumps(asdict(manifest), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read(content: bytes, where: str) -> Manifest:
    """Return what `written` wrote.

    Args:
        where: it came from, for the message.

    Raises:
        ConfigurationError: it is no manifest, or one of an artune that is newer than this one.
    """
    try:
        values = json.loads(content)
        if values["code"] > VERSION:
            raise ConfigurationError(f"{where}: a newer artune wrote it, and this one cannot read it: upgrade artune")
        return TypeAdapter(Manifest).validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        told = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise ConfigurationError(f"{where}: expected a manifest of artune: {told}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{where}: expected a manifest of artune: {error}") from error
