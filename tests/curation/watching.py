"""Processes that end themselves at a given event, as `kill -9` would end them."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from curation.store import Home


class Watched:
    """Counts what a process does, and ends it where it was told to."""

    def __init__(self, kill_at: int | None) -> None:
        self.kill_at, self.seen, self.lock = kill_at, 0, threading.Lock()

    def say(self) -> None:
        with self.lock:
            if self.seen == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.seen += 1

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **more: Any) -> Any:
            self.say()
            result = function(*arguments, **more)
            self.say()
            return result

        return called

    def replacing(self, replacing: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def called(home: Home, path: Path) -> Iterator[Path]:
            with replacing(home, path) as temporary:
                yield temporary
                self.say()
            self.say()

        return called
