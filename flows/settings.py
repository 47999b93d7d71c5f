"""Settings of the operator, from the environment: the only module that reads it."""

import os
from dataclasses import dataclass
from pathlib import Path

from rules.errors import ConfigurationError

DEFAULT_HOME = "artune-home"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where artune works and with how many hands.

    Attributes:
        home: the work folder, ARTUNE_HOME.
        workers: batches at work at once, ARTUNE_WORKERS; as many as there are cores if unset.
    """

    home: Path
    workers: int


def from_environment() -> Settings:
    """Read the settings.

    Raises:
        ConfigurationError: a value cannot be used.
    """
    text = os.environ.get("ARTUNE_WORKERS", str(os.cpu_count() or 1))
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(f"ARTUNE_WORKERS={text!r}: expected a whole number of at least 1")
    return Settings(local_folder(os.environ.get("ARTUNE_HOME", DEFAULT_HOME)), int(text))


def local_folder(home: str) -> Path:
    """Return the work folder that a user names.

    Raises:
        ConfigurationError: it is an address of object storage, which artune does not write to yet.
    """
    if "://" in home:
        raise ConfigurationError(f"home {home!r}: expected a local folder; object storage is not supported yet")
    return Path(home).expanduser().absolute()


def quiet_prefect() -> None:
    """Set what Prefect reads when it is imported: no telemetry, time to start its server, no line for every task."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    # The embedded server needs more than the default of 20 s on a busy machine.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")  # the same functions run without a flow
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "flows,curation,rules,training,evaluation")
