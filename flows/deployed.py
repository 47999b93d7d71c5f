"""The flows as deployments name them: each imports only what it needs, after its libraries were told how to behave."""

from importlib import import_module
from typing import TYPE_CHECKING

from flows import settings

if TYPE_CHECKING:  # it takes seconds to import
    from prefect import Flow

FLOWS = {
    "ingest": ("flows.ingest", "ingest_media"),
    "build": ("flows.build", "build_release"),
    "publish": ("flows.publish", "publish_release"),
    "train": ("flows.train", "train_model"),
    "evaluate": ("flows.evaluate", "evaluate_model"),
}
WITH_TORCH = {"train", "evaluate"}


def __getattr__(name: str) -> "Flow[..., object]":
    """Return a flow by its name: `flows.deployed.build` is what a deployment has as its entry point."""
    if name not in FLOWS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    settings.quiet_prefect()
    (settings.prepare_training if name in WITH_TORCH else settings.prepare_hub)()
    module, function = FLOWS[name]
    found: Flow[..., object] = getattr(import_module(module), function)
    return found
