"""What became of a redelivery, in words for an operator."""

from typing import Final

from webrtc_events.store.dead_letters import Redelivery
from webrtc_events.store.dead_letters import RedeliveryOutcome as Outcome

__all__ = ["NO_LETTER", "REDELIVERED", "redelivery_text"]

REDELIVERED: Final = "redelivered"
NO_LETTER: Final = "there is no such dead letter: it was redelivered, was purged or has expired"


def redelivery_text(redelivery: Redelivery) -> str:
    """`REDELIVERED`, or why not."""
    match redelivery.outcome:
        case Outcome.REDELIVERED:
            return REDELIVERED
        case Outcome.NO_LETTER:
            return NO_LETTER
        case Outcome.GONE:
            return "its subscription is no longer stored: it was deleted, or ended some time ago"
        case Outcome.ENDED:
            why = f"it ended with {redelivery.reason}" if redelivery.reason else "its time is over"
            return f"its subscription takes no more events: {why}"
        case Outcome.NOT_OWNER:
            return "its registration no longer belongs to the subscriber"
        case Outcome.OTHERS_SESSION:
            return "its session turned out to involve other registrations only"
        case Outcome.FULL:
            return "its subscription's outbox is full: the sink takes too little; try again later"
        case Outcome.NEWER:
            return "a newer release wrote its subscription; run the command of that release"
        case Outcome.DAMAGED:
            return "its subscription is damaged; see `webrtc-events damaged list`"
        case Outcome.NOT_REDELIVERABLE:
            return f"it was given up as {redelivery.reason}, and would be again"
        case Outcome.NO_PAYLOAD:
            return "its payload was left out, as the store was full; give the store more memory"
        case Outcome.END:
            return "it is a subscription-ended, and nothing follows the end of a subscription"
