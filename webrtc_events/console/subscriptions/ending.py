"""An operator ends a subscription."""

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from webrtc_events.console.audit import record_change
from webrtc_events.console.confirmation import Question, ask
from webrtc_events.core.errors import DamagedRecord, NewerRelease
from webrtc_events.core.model import Status, TerminationReason
from webrtc_events.store.store import Store
from webrtc_events.store.subscriptions import EndOutcome

__all__ = ["add_ending"]

_TEXTS = {
    EndOutcome.ENDED: "The subscription has ended. What waits is delivered, then its sink gets the end.",
    EndOutcome.ALREADY: "It had ended before, for another cause.",
    EndOutcome.GONE: "It is not there any more.",
}


def add_ending(pages: Blueprint, store: Store) -> None:
    @pages.route("/<subscription_id>/end", methods=["GET", "POST"])
    def end(subscription_id: str) -> str | Response:
        if request.method == "GET":
            return ask(_question(subscription_id))
        outcome, text = _end(store, subscription_id)
        record_change("end-subscription", outcome, subscription=subscription_id)
        flash(text, "good" if outcome == EndOutcome.ENDED else "bad")
        return redirect(url_for(".one", subscription_id=subscription_id), 303)


def _end(store: Store, subscription_id: str) -> tuple[str, str]:
    """The outcome for the log, and what the page says.

    Source of the reason: webrtc-events-next.yaml, TerminationReason: "the network or the operator ended it".
    """
    try:
        outcome = store.subscriptions.end(
            subscription_id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False
        )
    except DamagedRecord as error:
        return "damaged", f"It cannot be ended: {error.why}. See `webrtc-events damaged show`."
    except NewerRelease:
        return "newer", "A newer release wrote it: use the console of that release."
    return outcome, _TEXTS[outcome]


def _question(subscription_id: str) -> Question:
    return Question(
        title="End this subscription?",
        text=(
            "Nothing is appended to it from now on. What waits in its outbox is delivered first. Then its "
            "sink gets subscription-ended with NETWORK_TERMINATED. This cannot be undone."
        ),
        button="End the subscription",
        back=url_for(".one", subscription_id=subscription_id),
        facts={"subscription": subscription_id},
    )
