"""Headless Chromium, driven over a pipe by the DevTools protocol: nothing but the standard library."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # nothing can leave the machine
    "--remote-debugging-pipe",
    "about:blank",
)
# Chromium reads commands from descriptor 3 and writes answers to 4.
LAUNCH = (
    "import os, sys; r, w = map(int, sys.argv[1:3]); os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class Page:
    """A tab. `messages` holds every event that Chromium sent, `requests` every address that the page asked for."""

    def __init__(self, commands: BinaryIO, answers: BinaryIO) -> None:
        self._commands, self._answers = commands, answers
        self._session: str | None = None
        self._count = 0
        self.messages: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command and return its result; events that come meanwhile are kept."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        self._commands.write(
            json.dumps(message | ({"sessionId": self._session} if self._session else {})).encode() + b"\0"
        )
        self._commands.flush()
        while (answer := self._read()).get("id") != self._count:
            self.messages.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, path: Path, *, script: bool = True, dark: bool = False, width_px: int = 1280) -> None:
        """Load a file and wait for its load event."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Emulation.setDeviceMetricsOverride", width=width_px, height=900, deviceScaleFactor=1, mobile=False)
        self.go(path.as_uri())

    def go(self, address: str) -> None:
        """Load a page and wait for its load event."""
        self.messages.clear()
        self.call("Page.navigate", url=address)
        while not any(message.get("method") == "Page.loadEventFired" for message in self.messages):
            self.messages.append(self._read())

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def screenshot(self) -> bytes:
        """Return the visible part of the page as a PNG."""
        return b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    @property
    def requests(self) -> list[str]:
        sent = [message for message in self.messages if message.get("method") == "Network.requestWillBeSent"]
        return [message["params"]["request"]["url"] for message in sent]

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """Everything that a developer would see in red, and dialogs."""
        bad = ("Runtime.exceptionThrown", "Network.loadingFailed", "Page.javascriptDialogOpening")
        spoken = ("Runtime.consoleAPICalled", "Log.entryAdded")
        return [message for message in self.messages if message.get("method") in (*bad, *spoken)]

    def _read(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("Chromium ended")
            text += byte
        answer: dict[str, Any] = json.loads(text)
        return answer


@contextmanager
def page(profile: Path) -> Iterator[Page]:
    """Start Chromium with a new profile and give a tab."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise RuntimeError(f"needs one of {', '.join(NAMES)}; on Debian and Ubuntu: apt-get install chromium")
    their_input, commands = os.pipe()
    answers, their_output = os.pipe()
    # Away from 3 and 4, which the launcher fills.
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (their_input, their_output)]
    arguments = [sys.executable, "-c", LAUNCH, *map(str, high), program, f"--user-data-dir={profile}", *FLAGS]
    process = subprocess.Popen(arguments, pass_fds=high, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for fd in (their_input, their_output, *high):
        os.close(fd)
    try:
        with os.fdopen(commands, "wb") as write, os.fdopen(answers, "rb") as read:
            tab = Page(write, read)
            yield tab
            tab.call("Target.getTargets")
    finally:
        process.terminate()
        process.wait()
