"""A process that ends with the one that started it, however that ends: `python -m flows.serving.tied MODULE WORDS...`.

It watches its standard input, of which the other one holds the end to write to, and takes all that it started with it.
"""

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread

LEAVE_S = 10.0  # as long as `docker stop` waits


def start(
    module: str, words: Sequence[str], env: Mapping[str, str], log: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a module as such a process, in a group of its own: Ctrl-C on the terminal reaches the one that watches.

    Args:
        log: a file that takes all that it says; without one, it says it where this process does.
    """
    command = [sys.executable, "-m", "flows.serving.tied", module, *words]
    if log is None:
        return subprocess.Popen(command, stdin=subprocess.PIPE, env=env, start_new_session=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=file, stderr=file, env=env, start_new_session=True
        )


def end(process: subprocess.Popen[bytes], *, at_once: bool) -> None:
    """End such a process and all that it started.

    Args:
        at_once: without time to put things in order.
    """
    if not at_once and process.poll() is None:
        process.terminate()
        try:
            process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            at_once = True
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its group is there as long as one of its processes
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _end_with_parent() -> None:
    os.read(0, 1)  # returns at the end of the pipe only, for nobody writes to it
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main() -> None:
    """Run the module in this process."""
    Thread(target=_end_with_parent, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
