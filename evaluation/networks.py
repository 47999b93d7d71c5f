"""The networks of an evaluation: a YAML file, typed. A curator of measures edits it, no code knows one by its name."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Network(_Frozen):
    """One network: weights from somewhere, or settings of one whose weights are drawn."""

    name: Annotated[str, Field(description="a family of evaluation/features/")]
    architecture: Annotated[str | None, Field(description="of the family, where it has several, as ViT-B-32")] = None
    weights: Annotated[
        str | None, Field(description="owner/name on the Hub, a folder or file here, or an https address of a file")
    ] = None
    revision: Annotated[str | None, Field(description="on the Hub")] = None
    sha256: Annotated[str | None, Field(description="of the file of weights, which is refused if it has another")] = (
        None
    )
    random: Annotated[dict[str, Any] | None, Field(description="settings of a network of random weights")] = None


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
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
