"""An operator ends a subscription: what that does, in words, and what came of it."""

from dataclasses import dataclass
from typing import Final

from webrtc_events.core.errors import DamagedRecord, NewerRelease
from webrtc_events.core.model import Status, TerminationReason
from webrtc_events.store.store import Store
from webrtc_events.store.subscriptions import EndOutcome

__all__ = ["ENDING", "Ending", "end_subscription"]

ENDING: Final = (
    "Nothing is appended to it from now on. What waits in its outbox is delivered first. Then its "
    "sink gets subscription-ended with NETWORK_TERMINATED. This cannot be undone."
)
"""What an end by an operator does, to be read before it is done."""

_TEXTS: Final = {
    EndOutcome.ENDED: "The subscription has ended. What waits is delivered, then its sink gets the end.",
    EndOutcome.ALREADY: "It had ended before, for another cause.",
    EndOutcome.GONE: "It is not there any more.",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """`result` for the log, `text` for whoever asked. `ended`: it did, now and for this."""

    result: str
    text: str

    @property
    def ended(self) -> bool:
        return self.result == EndOutcome.ENDED


def end_subscription(store: Store, subscription_id: str) -> Ending:
    """Its terminationReason is that of the network: "the network or the operator ended it".

    Source: webrtc-events-subscriptions.yaml, TerminationReason.

    Raises:
        Unavailable: the store does not answer.
    """
    try:
        outcome = store.subscriptions.end(
            subscription_id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False
        )
    except DamagedRecord as error:
        return Ending("damaged", f"It cannot be ended: {error.why}. See `webrtc-events damaged show`.")
    except NewerRelease:
        return Ending("newer", "A newer release wrote it: use that release to end it.")
    return Ending(outcome, _TEXTS[outcome])
