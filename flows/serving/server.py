"""The Prefect server that deployments live on: one that somebody runs, or one of our own on this machine only."""

import subprocess
import time
from urllib.parse import urlsplit

import httpx
from prefect.settings import get_current_settings

from flows import connection, settings
from flows.serving import tied
from rules.errors import ConfigurationError

HOST = "127.0.0.1"
LOG = "artune-serve.log"  # in Prefect's own folder
ASK_S = 0.25  # between two questions whether it is up
ANSWER_S = 5.0


class Server:
    """A Prefect server.

    Attributes:
        api_url: of its API.
        is_own: this process started it.
    """

    def __init__(self) -> None:
        """Find the server that the environment or a profile of Prefect names; else there will be an own one."""
        found = get_current_settings()
        named = found.api.url
        self._start_s = found.server.ephemeral.startup_timeout_seconds
        self._log = found.home / LOG
        self._process: subprocess.Popen[bytes] | None = None
        self.api_url = str(named).rstrip("/") if named else f"http://{HOST}:{found.server.api.port}/api"
        self.is_named = named is not None

    @property
    def is_own(self) -> bool:
        """Say whether this process started it."""
        return self._process is not None

    @property
    def shown(self) -> str:
        """Return its address without what may be a password."""
        return connection.shown(self.api_url)

    def begin(self) -> None:
        """Start it if it is our own and not there; wait until it answers.

        Raises:
            ConfigurationError: nothing answers there.
        """
        if self._answers():
            return
        if self.is_named:
            raise ConfigurationError(
                f"PREFECT_API_URL: no Prefect server answers at {self.shown}: expected one that runs, or no address, "
                "and artune starts its own"
            )
        port = str(urlsplit(self.api_url).port)
        words = ["server", "start", "--host", HOST, "--port", port]
        self._process = tied.start("prefect", words, settings.of_processes(), self._log)
        last = time.monotonic() + self._start_s
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > last:
                self.end()
                raise ConfigurationError(
                    f"Prefect's own server did not start at {self.shown}; {self._log} says why. Is the port taken? "
                    "PREFECT_SERVER_API_PORT names another one"
                )
            time.sleep(ASK_S)

    def is_gone(self) -> bool:
        """Say whether it was our own and has ended."""
        return self._process is not None and self._process.poll() is not None

    def end_if_gone(self) -> None:
        """Forget it if it has ended of itself, and end what it left behind."""
        if self.is_gone():
            self.end()

    def end(self) -> None:
        """End it if it is our own."""
        if self._process is not None:
            tied.end(self._process, at_once=False)
            self._process = None

    def _answers(self) -> bool:
        try:
            answer = httpx.get(f"{self.api_url}/health", timeout=ANSWER_S)
        except httpx.HTTPError:
            return False
        if self.is_named:
            return not answer.is_server_error  # one that asks who we are is there
        return answer.is_success and answer.text.strip() == "true"  # anything may listen at a port that nobody named
