"""What a run was made with: the version of artune, the libraries, and the machine; no name or path of it."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

LIBRARIES = ("accelerate", "diffusers", "numpy", "peft", "pillow", "safetensors", "soxr", "torch", "transformers")
ROOT = Path(__file__).parents[2]


def code() -> dict[str, Any]:
    """Return the version of artune; of a checkout also its commit and whether files of that were changed since."""
    commit = _git("rev-parse", "HEAD") if (ROOT / ".git").exists() else None
    return {
        "version": _version("artune"),
        "commit": commit,
        "is_dirty": None if commit is None else bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def libraries() -> dict[str, str | None]:
    """Return the versions of what computes; None of what is not installed."""
    return {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}


def hardware() -> dict[str, Any]:
    """Return processor, memory and GPUs, as far as this process may use them."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    devices = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cpu_cores": usable,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": [{"name": device.name, "memory_bytes": device.total_memory} for device in devices],
    }


def _cpu() -> str:
    """Return the processor as it calls itself; `platform` knows no more than its family on Linux."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(*words: str) -> str | None:
    """Return what git says of the checkout; None without git, and where it refuses, as in somebody else's checkout."""
    try:
        asked = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip()
