"""Networks of transformers: read from a folder that nobody vouches for, or drawn from settings that a person wrote."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from curation.torch_imports import import_torchvision
from rules.errors import ConfigurationError
from training.weights import UNREADABLE, seeded
from training.written_settings import check_keys, listed

import_torchvision()
from transformers import AutoConfig  # noqa: E402
from transformers.utils.logging import disable_progress_bar  # noqa: E402

# of transformers, for what it is told
REFUSALS = (
    *UNREADABLE,
    ArithmeticError,
    SafetensorError,
    StrictDataclassError,
)
FILES = ("*.json", "model*.safetensors", "pytorch_model*.bin")  # on the Hub: in folders below lie other formats
ADAPTER = "adapter_config.json"
NOT_NEEDED = {"masked_spec_embed"}  # drawn anew where a file lacks it; it hides parts in pretraining


def read(kind: Any, path: Path, model_types: Collection[str]) -> Any:  # noqa: ANN401 - of transformers
    """Read a network in float32.

    Args:
        kind: a class of transformers.
        path: the folder of its weights.
        model_types: as transformers calls what it can be, one of which its config.json must name.

    Raises:
        ConfigurationError: the weights are missing, damaged or of another network.
    """
    if (path / ADAPTER).exists():  # transformers would read the weights of whatever model it names
        raise ConfigurationError(f"{path}: expected a whole network, not an adapter of another")
    disable_progress_bar()  # it would draw over the command's own
    try:
        # Not asked for by us, code beside weights would be offered to the user to run.
        model_type = AutoConfig.from_pretrained(path, trust_remote_code=False).model_type
        if model_type not in model_types:
            raise ConfigurationError(f"{path}: expected {' or '.join(model_types)}, not {model_type}")
        network, told = kind.from_pretrained(path, dtype=torch.float32, output_loading_info=True)
    except REFUSALS as error:
        why = str(error).strip().partition("\n")[0][:300]
        raise ConfigurationError(f"{path}: it cannot be read ({why})") from None
    # transformers draws what it does not find, and says so in a warning only
    lacking = {*told["missing_keys"], *(key for key, *_ in told["mismatched_keys"])} - NOT_NEEDED
    if lacking:
        raise ConfigurationError(f"{path}: it is of another network: without {listed(lacking)}")
    return network


def draw(kind: Any, configuration: Any, written: Mapping[str, object], where: str, *words: int | str) -> Any:  # noqa: ANN401
    """Build a network of drawn weights.

    Args:
        kind: takes a configuration and gives the network.
        configuration: a configuration class of transformers.
        written: its settings.
        where: they stand, for who has to mend them.
        words: by which the weights are drawn.

    Raises:
        ConfigurationError: there is no such setting, or there can be no such network.
    """
    check_keys(written, configuration().to_dict(), where)
    try:
        with seeded(*words):
            return kind(configuration(**written))
    except REFUSALS as error:
        raise ConfigurationError(f"{where}: {' '.join(str(error).split())[:300]}") from None
