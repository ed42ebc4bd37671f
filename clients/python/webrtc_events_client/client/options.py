"""How the service is reached: addresses, TLS, times, bounds. Shared by all clients."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from webrtc_events_client.client.flows import Context
from webrtc_events_client.client.retry_policy import RetryPolicy
from webrtc_events_client.clock import Clock, SystemClock

__all__ = ["LIMITS", "Options", "checked_base_url"]

# A connection is used again for less long than services keep one, often 5 s: else a create may be sent into
# one that is just being closed, and nobody knows what became of it.
LIMITS = httpx2.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=3.0)

# A service that does not take a connection at once is away.
_MAX_CONNECT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The defaults suit a service in the same country.

    Args:
        timeout_s: of each attempt: for the connection (5 s at most), between two pieces of the answer, and
            for its whole body.
        policy: which failures are tried again, and when.
        ca_file: PEM certificates to trust in place of the system's; or `tls_context`, which may hold a
            client certificate.
        max_answer_bytes: a larger answer is an UnexpectedAnswer. 64 MiB hold some 60,000 subscriptions.
    """

    timeout_s: float = 30.0
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    ca_file: Path | str | None = None
    tls_context: ssl.SSLContext | None = None
    max_answer_bytes: int = 64 * 1024 * 1024
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.max_answer_bytes <= 0:
            raise ValueError("timeout_s and max_answer_bytes are above 0")
        if self.ca_file is not None and self.tls_context is not None:
            raise ValueError("give ca_file or tls_context, not both")

    def context(self) -> Context:
        return Context(self.clock, self.policy)

    def timeouts(self) -> httpx2.Timeout:
        return httpx2.Timeout(self.timeout_s, connect=min(self.timeout_s, _MAX_CONNECT_S))

    def tls(self) -> ssl.SSLContext | bool:
        """
        Raises:
            OSError: `ca_file` cannot be read, or holds no certificate.
        """
        if self.ca_file is not None:
            return ssl.create_default_context(cafile=str(self.ca_file))
        return True if self.tls_context is None else self.tls_context


def checked_base_url(url: str) -> str:
    """Without a final slash; any path in front of the API's own is kept.

    Raises:
        ValueError: it is no http or https URL, or has a query, a fragment, a user or a password.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("the base URL is none of http or https")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("the base URL has a query, a fragment or a user")
    return url.rstrip("/")
