"""What librosa compiles on its first use, compiled by one process at a time."""

import fcntl
import os
import tempfile
import time
from functools import cache
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from threadpoolctl import threadpool_limits

ASK_S = 0.1
PATIENCE_S = 90.0  # compiling takes 20 s on a machine that does nothing else
_threads = Lock()


def ready() -> None:
    """Import librosa's onsets and have numba compile them, or load what it compiled before.

    numba keeps it on the disk for all processes. Two that write there at once leave a mixture of both, which crashes
    every later process: seen in a new installation with three processes (numba 0.68).

    Linear algebra stays on one thread of this process from then on: each batch has a core, and threads that wait for
    each other at matrices of this size are CPU time for nothing.
    """
    with _threads:
        _once()


def _wait_for(file: BinaryIO) -> None:
    """Hold a file until it is closed; whoever was stopped while holding it keeps others for a while only."""
    for _ in range(round(PATIENCE_S / ASK_S)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(ASK_S)
        else:
            return


@cache
def _once() -> None:
    with (Path(tempfile.gettempdir()) / f"artune-numba-{os.getuid()}.lock").open("ab") as file:
        _wait_for(file)
        import numpy as np
        from librosa.onset import onset_detect

        onset_detect(onset_envelope=np.arange(64, dtype=np.float32))
    threadpool_limits(1, user_api="blas")  # when librosa has loaded all that has such threads
