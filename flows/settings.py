"""Settings of the operator, from the environment: the only module that reads it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rules.errors import ConfigurationError

if TYPE_CHECKING:
    from curation.web import WebSettings

DEFAULT_HOME = "artune-home"
DEFAULT_REJECTED_SHARE = 0.5
HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where artune works and with how many hands.

    Attributes:
        home: the work folder, ARTUNE_HOME: a whole path, or an address of object storage.
        workers: batches at work at once, ARTUNE_WORKERS; as many as there are cores if unset.
    """

    home: Path | str
    workers: int


def from_environment() -> Settings:
    """Read the settings.

    Raises:
        ConfigurationError: a value cannot be used.
    """
    text = os.environ.get("ARTUNE_WORKERS", str(os.cpu_count() or 1))
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(f"ARTUNE_WORKERS={text!r}: expected a whole number of at least 1")
    return Settings(work_folder(os.environ.get("ARTUNE_HOME", DEFAULT_HOME)), int(text))


def web() -> "WebSettings":
    """Read how the web is asked: ARTUNE_CONTACT and, for tests and mirrors in one's own network, ARTUNE_ALLOWED_HOSTS.

    Raises:
        ConfigurationError: there is no contact, or it is none that a site could use.
    """
    from curation.web import WebSettings

    contact = os.environ.get("ARTUNE_CONTACT", "").strip()
    if not _is_contact(contact):
        raise ConfigurationError(
            f"ARTUNE_CONTACT is {'not usable' if contact else 'not set'}: expected a mail address, or the http(s) "
            "address of a page, at which the sites that are asked can reach you; every request tells it to them. "
            "Set it by: export ARTUNE_CONTACT=ADDRESS"
        )
    hosts = os.environ.get("ARTUNE_ALLOWED_HOSTS", "").replace(",", " ").split()
    return WebSettings(contact, frozenset(hosts))


def _is_contact(text: str) -> bool:
    if re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", text, re.ASCII):
        return True
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    # It stands in a header, between brackets.
    is_plain = re.fullmatch(r"[!-'*-~]{1,200}", text) is not None
    return is_plain and parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def max_rejected_share() -> float:
    """Read ARTUNE_MAX_REJECTED_SHARE: more rejections among what is new, and the operator is told.

    Raises:
        ConfigurationError: it is no share.
    """
    text = os.environ.get("ARTUNE_MAX_REJECTED_SHARE", str(DEFAULT_REJECTED_SHARE))
    # Nothing that `float` also takes: nan, or digits of other scripts.
    if not re.fullmatch(r"0?\.\d{1,9}|[01](\.0{0,9})?", text, re.ASCII):
        raise ConfigurationError(
            f"ARTUNE_MAX_REJECTED_SHARE={text!r}: expected a share from 0 to 1, as 0.5; 1 never tells"
        )
    return float(text)


def webhook() -> str | None:
    """Read ARTUNE_WEBHOOK, which what goes wrong is told to: None if it is unset, "" if it is to be told no more.

    Raises:
        ConfigurationError: it is no http(s) address. What it is stays untold, for such addresses hold tokens.
    """
    address = os.environ.get("ARTUNE_WEBHOOK")
    if not address:
        return address
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or not re.fullmatch(r"[!-~]{1,2000}", address):
        raise ConfigurationError(
            "ARTUNE_WEBHOOK: expected the http(s) address that JSON is to be posted to, or nothing to post no more"
        )
    return address


def work_folder(named: str) -> Path | str:
    """Return the work folder that a user names: a whole path, or an address of object storage as it is."""
    return named if "://" in named else Path(named).expanduser().absolute()


def training_cache(option: Path | None = None) -> Path:
    """Return where training keeps what it computes once: as an option says, else ARTUNE_CACHE, else this user's."""
    if option is not None:
        return option.expanduser().absolute()
    named = os.environ.get("ARTUNE_CACHE") or "~/.cache/artune"
    if "://" in named:
        raise ConfigurationError(f"ARTUNE_CACHE={named!r}: expected a folder of this machine")
    return Path(named).expanduser().absolute()


def of_processes(**more: str) -> dict[str, str]:
    """Return the environment of a process that this one starts."""
    return os.environ | more


def quiet_prefect() -> None:
    """Set what Prefect reads when it is imported: no telemetry, time to start its server, no line for every task."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    # The embedded server needs more than the default of 20 s on a busy machine.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")  # the same functions run without a flow
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "flows,curation,rules,training,evaluation")


def prepare_hub() -> None:
    """Set what huggingface_hub and datasets read when they are imported: no bars, no telemetry, Xet or not, no torch.

    The Hub keeps files by Xet. Other servers need not, and there a client with Xet on only fails: so they are sent
    plain LFS, unless the operator sets HF_HUB_DISABLE_XET.

    Raises:
        ConfigurationError: HF_ENDPOINT cannot be used.
    """
    for name in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("HF_UPDATE_DOWNLOAD_COUNTS", "0")  # `datasets` would tell a server elsewhere of each load
    os.environ.setdefault("USE_TORCH", "0")  # where it is installed, `datasets` would load it to stream, for nothing
    # Its warnings name the addresses that it asks again, and those for uploads are signed.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    if not _has_xet(os.environ.get("HF_ENDPOINT", HUB)):
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")


def prepare_training() -> None:
    """Set what the libraries of training read when they are imported; after it `datasets` may load torch, too.

    Raises:
        ConfigurationError: as `prepare_hub`.
    """
    prepare_hub()
    os.environ.pop("USE_TORCH", None)  # diffusers would take it to mean itself
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one prompt is tokenized, and the library warns of forks
    # Threads that wait for others by spinning take the cores that these need: on two busy cores an epoch of the recipe
    # `tiny` took four times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _has_xet(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        parts = urlsplit("")
    is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
    if not is_address or "@" in parts.netloc:  # what it is stays untold, for it may hold a password
        raise ConfigurationError(f"HF_ENDPOINT: expected the http(s) address of a server, without a password, as {HUB}")
    return f".{parts.hostname}".endswith(f".{urlsplit(HUB).hostname}")
