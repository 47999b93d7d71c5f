"""A person at the keyboard."""

import signal
from subprocess import Popen, TimeoutExpired

PATIENCE_S = 60


def stopped(process: Popen[str]) -> tuple[str, str]:
    """Press Ctrl-C and return what the process said; one that falls into Prefect's own code can be lost, so again."""
    while True:
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        except TimeoutExpired:
            continue
        return out or "", err or ""
