"""Where the batches of a build run: threads or processes of this machine, or a Dask cluster. The bytes are the same."""

import re
import socket
from typing import Literal

from rules.errors import ConfigurationError

EngineName = Literal["threads", "processes", "dask"]

ANSWER_S = 10.0  # a scheduler that is there answers within milliseconds
EXPECTED = "expected the address of a Dask scheduler, as tcp://10.0.0.5:8786"


def check(engine: EngineName, scheduler: str | None) -> None:
    """Refuse what no batch could run on, before anything slow is imported.

    Raises:
        ConfigurationError: the two do not go together, the address is none, or nobody listens there.
    """
    if engine != "dask":
        if scheduler is not None:
            raise ConfigurationError(f"--scheduler {scheduler}: expected --engine dask beside it, not {engine}")
        return
    from flows.doctor import CLUSTER_EXTRA, lacking

    if missing := lacking(CLUSTER_EXTRA):
        raise ConfigurationError(
            f"--engine dask needs {', '.join(missing)}: pip install --constraint constraints.txt --editable "
            f"'.[{CLUSTER_EXTRA}]'"
        )
    if scheduler is None:
        raise ConfigurationError(f"--engine dask needs --scheduler: {EXPECTED}")
    written = re.fullmatch(r"(?:tcp|tls)://(?:\[([0-9a-fA-F:]+)\]|([^\s\[\]:/@]+)):(\d{1,5})", scheduler)
    if written is None:
        raise ConfigurationError(f"--scheduler {scheduler!r}: {EXPECTED}")
    try:
        with socket.create_connection((written[1] or written[2], int(written[3])), timeout=ANSWER_S) as found:
            # Dask's client would wait without end for a server of another kind; a scheduler speaks first.
            speaks = scheduler.startswith("tls") or found.recv(1) != b""
    except (OSError, OverflowError) as error:
        raise ConfigurationError(f"--scheduler {scheduler}: no scheduler answers there ({error}); {EXPECTED}") from None
    if not speaks:
        raise ConfigurationError(f"--scheduler {scheduler}: what answers there is no scheduler; {EXPECTED}")
