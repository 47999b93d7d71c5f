"""Where weights lie: in a folder here, or on the Hub, from which they are fetched once into its own cache."""

import hashlib
import pickle
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import huggingface_hub
import safetensors.torch
import torch
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError
from torch import nn

from curation.errors import TransientError
from curation.publishing.hub_errors import asking
from rules.errors import ConfigurationError
from training.draws import number
from training.written_settings import listed

# What `torch.load` raises of files that are damaged, of something else, or made to do harm.
UNREADABLE = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)


@contextmanager
def seeded(*words: int | str) -> Iterator[None]:
    """Let modules that are made in the block draw their weights by words; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(number(*words))
        yield


def weights_sha256(module: nn.Module) -> str:
    """Return what tells the weights and buffers of two networks apart: the digest of names, types, shapes and bytes.

    Of tensors on the meta device, which have no bytes, the rest alone.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        if not tensor.is_meta:
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def content_of(path: Path) -> Any:  # noqa: ANN401 - what somebody else wrote
    """Return what a file of torch or of safetensors holds; nothing in it is run.

    Raises:
        ConfigurationError: it is missing, damaged or something else.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ConfigurationError(f"{path.absolute()}: there is no such file") from None
    except (*UNREADABLE, SafetensorError) as error:
        why = str(error).partition("\n")[0][:200]
        raise ConfigurationError(
            f"{path.absolute()}: it is damaged or not a file of torch's or of safetensors ({why})"
        ) from None


def differences(network: nn.Module, weights: Mapping[str, object]) -> str:
    """Say which weights are not those of a network by name and shape; nothing if all are."""
    own = network.state_dict()
    differing = {
        "without": own.keys() - weights.keys(),
        "with": weights.keys() - own.keys(),
        "of other shape": {
            name for name in own.keys() & weights.keys() if own[name].shape != getattr(weights[name], "shape", None)
        },
    }
    return "; ".join(f"{what} {listed(names)}" for what, names in differing.items() if names)


def folder_of(weights: str, revision: str | None, *, files: Sequence[str], setting: str) -> Path:
    """Return the folder that holds weights.

    Args:
        weights: a folder here, or owner/name on the Hub.
        revision: commit, tag or branch on the Hub; None is its newest.
        files: patterns of the files that are needed.
        setting: what of a recipe names the weights, for who has to mend it: base.weights.

    Raises:
        ConfigurationError: they are nowhere, or the Hub does not give them; it says what to do.
        TransientError: the Hub is busy or cannot be reached, and its cache here does not hold them.
    """
    path = Path(weights).expanduser()
    if path.is_dir():
        return path
    owner, slash, name = weights.partition("/")
    if not (owner and slash and name) or "/" in name or not owner[0].isalnum():
        raise ConfigurationError(f"{setting}: {weights}: expected a folder that is here, or owner/name on the Hub")
    option = f"--{setting.partition('.')[0]}"  # of the commands that use what was trained
    elsewhere = (
        f"; or get them elsewhere and name their folder: --set {setting}=FOLDER, of a trained model {option} FOLDER"
    )
    try:
        return fetched(weights, revision, files)
    except (ConfigurationError, TransientError) as error:
        raise type(error)(f"{setting}: {error}{elsewhere}") from None


def fetched(repo_id: str, revision: str | None, files: Sequence[str]) -> Path:
    """Return the folder in the Hub's own cache with some files of a model.

    Raises:
        ConfigurationError: the Hub does not give them.
        TransientError: it is busy or cannot be reached, and its cache does not hold them.
    """
    with asking(repo_id, "read its weights"):
        try:  # of one that was removed or cannot be reached, what was fetched before is given
            return Path(huggingface_hub.snapshot_download(repo_id, revision=revision, allow_patterns=list(files)))
        except GatedRepoError:
            raise ConfigurationError(
                f"{repo_id}: its owner gives the weights to those who accept conditions: log in at "
                f"https://huggingface.co/{repo_id}, accept them there, and here `hf auth login`"
            ) from None
        except RepositoryNotFoundError:
            raise ConfigurationError(
                f"{repo_id}: there is no such model on the Hub: it was removed or renamed, or is hidden from who does "
                "not log in (`hf auth login`)"
            ) from None
        except RevisionNotFoundError:
            raise ConfigurationError(f"{repo_id}: it has no commit, tag or branch {revision!r} on the Hub") from None
        except LocalEntryNotFoundError:
            raise TransientError(
                f"{repo_id}: the Hub cannot be reached, or HF_HUB_OFFLINE is set, and no earlier run has left all of "
                "its weights in the Hub's cache here"
            ) from None
