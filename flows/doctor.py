"""What is missing on this machine, in the words of somebody who wants to mend it."""

import platform
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

import imageio_ffmpeg
from packaging.requirements import Requirement

from curation.errors import TransientError
from curation.store import Home
from flows import settings
from rules.errors import ConfigurationError

NEEDED_MUXERS = ("chromaprint", "s16le")
WEB_EXTRA, STORAGE_EXTRA, TRAINING_EXTRA, EVALUATION_EXTRA = "sources", "s3", "train", "eval"
CLUSTER_EXTRA = "dask"
LOW_DISK_BYTES = 2_000_000_000  # the sample needs a tenth of it


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `advice` says how to mend it."""

    what: str
    found: str
    fine: bool
    required: bool = True
    advice: str = ""


def findings(home: Home) -> Iterator[Finding]:
    """Look at everything that a build needs, and at what is optional."""
    yield Finding("Python", platform.python_version(), True)
    yield from _ffmpeg()
    yield _writable(home)
    yield _disk(home.local)
    yield from _packages()
    yield _extra("web sources", WEB_EXTRA, "all packages; `artune sources` tells what else is needed")
    yield from _hub()
    yield _extra("publishing to s3://", STORAGE_EXTRA, "all packages")
    yield _extra("building on a Dask cluster", CLUSTER_EXTRA, "all packages")
    yield _extra("training, decoded audio", TRAINING_EXTRA, "all packages")
    yield _extra("evaluation", EVALUATION_EXTRA, "all packages")


def blocking(home: Home) -> Iterator[Finding]:
    """Return what a build could not do without: looked at before each."""
    return (finding for finding in (_writable(home), *_ffmpeg()) if not finding.fine)


def _ffmpeg() -> Iterator[Finding]:
    advice = "pip install imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to a program"
    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
        muxers = subprocess.run([program, "-hide_banner", "-muxers"], capture_output=True, text=True, check=True)
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        yield Finding("ffmpeg", str(error), False, advice=advice)
        return
    known = {word for line in muxers.stdout.splitlines() for word in line.split()[1:2]}
    missing = [name for name in NEEDED_MUXERS if name not in known]
    yield Finding("ffmpeg", program, True)
    what = "with " + " and ".join(NEEDED_MUXERS)
    yield Finding(f"ffmpeg {what}", f"lacks {', '.join(missing)}" if missing else "yes", not missing, advice=advice)


def _nearest(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _writable(home: Home) -> Finding:
    place = home.root if home.is_remote else _nearest(home.root)
    probe, told = place / f".artune-{uuid.uuid4().hex}", ""
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        told = f"{home.root}: {error.strerror}"
    except (ConfigurationError, TransientError) as error:  # of object storage
        told = str(error)
    advice = "choose another with --home, or ARTUNE_HOME"
    return Finding("work folder", told or f"{home.root} can be written", not told, advice=advice)


def _disk(home: Path) -> Finding:
    free = shutil.disk_usage(_nearest(home)).free
    advice = f"free some, or choose another folder with --home; the sample needs {LOW_DISK_BYTES / 1e9:.0f} GB at most"
    return Finding("disk", f"{free / 1e9:.1f} GB free", free >= LOW_DISK_BYTES, advice=advice)


def _packages() -> Iterator[Finding]:
    """Compare what is installed with what artune declares: a row for what is missing or of another version."""
    fine = 0
    for requirement in _declared():
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            found = "not installed"
        if found != "not installed" and requirement.specifier.contains(found, prereleases=True):
            fine += 1
        else:
            yield Finding(
                requirement.name, found, False, advice=f"pip install '{requirement.name}{requirement.specifier}'"
            )
    yield Finding("packages", f"{fine} of the declared versions", True)


def _declared(extra: str = "") -> Iterator[Requirement]:
    """Yield what artune declares to need here: always, or only for an extra."""
    for requirement in map(Requirement, requires("artune") or []):
        if extra:
            if requirement.marker and requirement.marker.evaluate({"extra": extra}):
                yield requirement
        elif not requirement.marker or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def lacking(extra: str) -> list[str]:
    """Return the packages of an extra that are not there, or of another version than declared."""
    return [requirement.name for requirement in _declared(extra) if not _is_installed(requirement)]


def _extra(what: str, extra: str, complete: str) -> Finding:
    """Say whether all packages of an extra are there."""
    missing = lacking(extra)
    found = f"lacks {', '.join(missing)}" if missing else complete
    return Finding(
        what,
        found,
        not missing,
        required=False,
        advice=f"pip install --constraint constraints.txt --editable '.[{extra}]'",
    )


def _hub() -> Iterator[Finding]:
    """Say where a publication would go, how its files would travel, and whether there is a token, never which."""
    try:
        settings.prepare_hub()
    except ConfigurationError as error:
        yield Finding("Hub", str(error), False, required=False, advice="unset it, or set it to such an address")
        return
    from huggingface_hub import constants  # it reads the environment once, when it is imported

    has_xet = not constants.HF_HUB_DISABLE_XET and find_spec("hf_xet") is not None
    yield Finding("Hub", constants.ENDPOINT, True)
    yield Finding("Hub uploads", "by Xet" if has_xet else "by LFS, without Xet", True)
    yield _token()


def _token() -> Finding:
    from httpx2 import HTTPError
    from huggingface_hub import get_token
    from huggingface_hub.errors import OIDCError

    try:
        found = "there" if get_token() else "none"
    except (OIDCError, HTTPError):  # only where HF_OIDC_RESOURCE is set is one asked for
        found = "none could be had by HF_OIDC_RESOURCE"
    advice = "to publish on the Hub: `hf auth login`, or HF_TOKEN"
    return Finding("Hub token", found, found == "there", required=False, advice=advice)


def _is_installed(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False
