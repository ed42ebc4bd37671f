"""What the sections of the console are built from."""

from dataclasses import dataclass

from webrtc_events.core.clock import Clock
from webrtc_events.core.log_masking import Masking
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store

__all__ = ["ConsoleParts"]


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """An open store, its deployment's settings, a clock.

    A section's module has `blueprint(parts)`. It takes what it needs out of them once, and gives
    its own parts no more than that.
    """

    store: Store
    settings: Settings
    clock: Clock

    @property
    def masking(self) -> Masking:
        """Pseudonyms as the log has them. Pages hide personal data whatever the log shows."""
        return Masking(self.settings.secret_key[0], show=False)
