"""The networks of an evaluation in memory, each by the role that it has."""

from curation.errors import TransientError
from evaluation import features
from evaluation.features import Extractor
from evaluation.networks import ROLES, Network, Networks, of_role
from evaluation.result import NetworkFacts, shareable
from rules.errors import ConfigurationError

TAKES = dict.fromkeys(ROLES, "images") | {"pairing.music": "sounds", "sound": "sounds"}


def load(networks: Networks, role: str) -> Extractor:
    """Read or draw the network of a role.

    Raises:
        ConfigurationError: its weights are missing, damaged or of another network; it says where to get them.
        TransientError: they are on the web, which is busy.
    """
    network = of_role(networks, role)
    if TAKES[role] not in kinds(network):
        raise ConfigurationError(f"{role}.name: {network.name}: expected a family that takes {TAKES[role]}")
    try:
        return features.get(network.name).load(network, networks.seed)
    except (ConfigurationError, TransientError) as error:
        told = "\n".join(f"{role}.{line}" for line in str(error).splitlines())
        by_path = f" Name your own by `--set {role}.weights=PATH`." if told.startswith(f"{role}.weights") else ""
        raise type(error)(told + by_path) from None


def load_all(networks: Networks) -> dict[str, Extractor]:
    """Read or draw all networks, by role; one that several roles have is read once.

    Raises:
        ConfigurationError: as `load`, or two networks cannot share a space.
        TransientError: as `load`.
    """
    read: dict[str, Extractor] = {}
    loaded: dict[str, Extractor] = {}
    for role in ROLES:
        network = of_role(networks, role)
        key = network.model_dump_json()
        if key not in read or TAKES[role] not in kinds(network):
            read[key] = load(networks, role)
        loaded[role] = read[key]
    image, music = loaded["pairing.image"], loaded["pairing.music"]
    if image.width != music.width:
        raise ConfigurationError(
            f"pairing: {image.name} has vectors of {image.width} numbers and {music.name} of {music.width}: expected "
            "two networks that share a space"
        )
    return loaded


def kinds(network: Network) -> frozenset[str]:
    """Return what a network takes: "images", "sounds", "texts"."""
    return features.get(network.name).KINDS


def facts(networks: Networks, role: str, extractor: Extractor) -> NetworkFacts:
    """Return what a result tells of the network of a role."""
    weights = of_role(networks, role).weights
    return NetworkFacts(
        role=role,
        name=extractor.name,
        weights=weights and shareable(weights),
        weights_sha256=extractor.weights_sha256,
        width=extractor.width,
        is_stand_in=extractor.is_stand_in,
    )
