"""One polite client for all that artune asks of the web: slowly, by the sites' rules, and never into a private network."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How a process asks the web; a batch carries it, and every worker of a process shares one client made of it.

    Attributes:
        contact: a mail or web address at which sites reach the operator; part of the User-Agent.
        allowed_hosts: `host` or `host:port` that may be private or loopback: for tests.
    """

    contact: str
    allowed_hosts: frozenset[str] = frozenset()


class Web:
    """A client with a token bucket, a back-off and a circuit breaker for each host."""

    def __init__(self, settings: WebSettings) -> None:
        self.settings = settings
