"""The parts of a running `serve`, for its banner and its start page."""

from dataclasses import dataclass
from pathlib import Path

from webrtc_events.local.endpoints import Endpoints

__all__ = ["LocalStack"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStack:
    """`store` is the store's address without credentials. `ca` is the file of the sink's CA.

    `apis` are the APIs that it serves, see `Settings.apis`; `next`: it serves the next contract too.
    `metrics`: where it is scraped, if it is.
    """

    endpoints: Endpoints
    data: Path
    ca: Path
    store: str
    apis: frozenset[str]
    next: bool
    metrics: str | None = None

    @property
    def serves_v0_3(self) -> bool:
        return self.next and "public" in self.apis

    @property
    def issuer(self) -> str:
        return self.endpoints.issuer or "as set by WEBRTC_EVENTS_OPENID_CONFIGURATION_URL"

    @property
    def complete(self) -> bool:
        """Whether a person with the local commands can subscribe and publish here."""
        return self.endpoints.issuer is not None and self.apis >= {"public", "network"}

    @property
    def softphone(self) -> str | None:
        """Where the example is; it needs what `complete` says."""
        return f"{self.endpoints.api}/softphone/" if self.complete else None
