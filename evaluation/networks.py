"""The networks of an evaluation: a YAML file, typed. A curator of measures edits it, no code knows one by its name."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from evaluation import features
from rules.errors import ConfigurationError
from rules.spelling import closest
from rules.typed_files import Settings, Shelf
from rules.validating import did_you_mean

ROLES = ("pairing.image", "pairing.music", "inception", "clip", "likeness", "sound")
HTTPS = "https://"
_USER = re.compile(r"://[^/\s]*@")
_SHELF = Shelf(
    "networks", Path(__file__).parent / "networks", "inception.weights=PATH or pairing.music.weights=Wav2CLIP.pt"
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Network(_Frozen):
    """One network: weights from somewhere, or settings of one whose weights are drawn; else they come along."""

    name: Annotated[str, Field(description="a family of evaluation/features/")]
    architecture: Annotated[
        str | None,
        Field(description="of weights in a file that does not tell it, as ViT-B-32-quickgelu"),
    ] = None
    weights: Annotated[
        str | None, Field(description="owner/name on the Hub, a folder or file here, or an https address of a file")
    ] = None
    revision: Annotated[str | None, Field(description="commit, tag or branch on the Hub")] = None
    sha256: Annotated[
        str | None,
        Field(
            pattern="^[0-9a-f]{8,64}$",
            description="of a file of weights, or how it begins; one with another is refused",
        ),
    ] = None
    random: Annotated[Settings | None, Field(description="settings of a network of random weights")] = None

    @field_validator("name")
    @classmethod
    def _is_a_family(cls, name: str) -> str:
        known = features.names()
        if name not in known:
            raise ValueError(f"one of {', '.join(known)}{did_you_mean(closest(name, known))}")
        return name

    @field_validator("weights")
    @classmethod
    def _is_encrypted_on_the_way(cls, weights: str | None) -> str | None:
        if weights is not None and _USER.search(weights):
            raise ValueError("an address without a user or a password in it, for reports tell it")
        if weights is not None and "://" in weights and not weights.startswith(HTTPS):
            raise ValueError("an https address, owner/name on the Hub, or a folder or file here")
        return weights

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if self.weights is not None and self.random is not None:
            raise ValueError("either weights or random, not both")
        return self


class Pairing(_Frozen):
    """Two networks that share a space."""

    image: Network
    music: Network


class Networks(_Frozen):
    """Which network makes the features of which space."""

    about: str
    pairing: Pairing
    inception: Network
    clip: Network
    likeness: Network
    sound: Annotated[Network, Field(description="hears music, for how well labels can be told from it")]
    seed: Annotated[int, Field(ge=0, lt=2**63, description="of weights that are drawn")] = 0


def names() -> list[str]:
    """Return the names of the files of networks that come with artune."""
    return _SHELF.names()


def load(name_or_path: str, changes: Sequence[str] = ()) -> Networks:
    """Read which networks make features.

    Args:
        name_or_path: one of `names()`, or a file.
        changes: values for this evaluation, as `pairing.music.weights=Wav2CLIP.pt`.

    Raises:
        ConfigurationError: one line `file:line: value: expected ...` for every mistake.
    """
    try:
        return _SHELF.load(Networks, name_or_path, changes)
    except ConfigurationError as error:
        raise ConfigurationError(_USER.sub("://...@", str(error))) from None


def of_role(networks: Networks, role: str) -> Network:
    """Return the network of one of ROLES."""
    whole = networks.pairing if role.startswith("pairing.") else networks
    found: Network = getattr(whole, role.rpartition(".")[2])
    return found
