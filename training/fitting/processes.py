"""Several processes on this machine that train one run together: a GPU each, or parts of the CPU."""

import logging
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import IO

STDERR_LINES = 50  # of what the processes complain about, that are kept

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """How the processes ended.

    Args:
        code: 0 if all of them did well.
        stderr: the last lines that any of them wrote there.
    """

    code: int
    stderr: str


def launch(module: str, arguments: Sequence[str], count: int, heard: Callable[[str], None]) -> Ended:
    """Run a module in several processes that find each other on the loopback interface, and wait for them.

    If one fails, the others are ended; all are ended with whatever is raised here, as by Ctrl-C. On more than one
    machine start `torch.distributed.run` with the same module there: each process reads the environment that it makes.

    Args:
        heard: is given each line that any of them writes to its standard output.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command += ["--nproc-per-node", str(count), "-m", module, *arguments]
    complaints: deque[str] = deque(maxlen=STDERR_LINES)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as agent:
        assert agent.stdout is not None
        assert agent.stderr is not None
        # Both are read at once: a process that waits until somebody reads one of them never writes to the other.
        reader = Thread(target=_keep, args=(agent.stderr, complaints), daemon=True)
        reader.start()
        try:
            for line in agent.stdout:
                heard(line.rstrip("\n"))
            code = agent.wait()
        except BaseException:
            agent.terminate()  # it ends its processes first
            raise
        finally:
            reader.join()
    return Ended(code if code >= 0 else 128 - code, "\n".join(complaints))


def _keep(stream: IO[str], complaints: deque[str]) -> None:
    for line in stream:
        complaints.append(line.rstrip("\n"))
        logger.info("%s", line.rstrip("\n"))
