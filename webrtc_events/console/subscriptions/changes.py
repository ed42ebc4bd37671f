"""What an operator may do with a subscription: end it; redeliver its dead letters, or remove them."""

from collections.abc import Callable

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from webrtc_events.console.audit import record_change
from webrtc_events.console.confirmation import Question, ask
from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.core.errors import DamagedRecord, NewerRelease, NotFound
from webrtc_events.core.model import Status, TerminationReason
from webrtc_events.store.dead_letters import DeadLetter, DeadLetterId, DeadLetters
from webrtc_events.store.redelivery_text import NO_LETTER, REDELIVERED, redelivery_text
from webrtc_events.store.store import Store
from webrtc_events.store.subscriptions import EndOutcome

__all__ = ["add_changes"]

_ENDED = {
    EndOutcome.ENDED: "The subscription has ended. What waits is delivered, then its sink gets the end.",
    EndOutcome.ALREADY: "It had ended before, for another cause.",
    EndOutcome.GONE: "It is not there any more.",
}


def add_changes(pages: Blueprint, parts: ConsoleParts) -> None:
    """Each asks on GET, and is done on POST."""
    letters = DeadLetters(parts.store)

    @pages.route("/<subscription_id>/end", methods=["GET", "POST"])
    def end(subscription_id: str) -> str | Response:
        if request.method == "GET":
            return ask(_question_of_end(subscription_id))
        outcome, text = _end(parts.store, subscription_id)
        record_change("end-subscription", outcome, subscription=subscription_id)
        return _done(subscription_id, text, is_good=outcome == EndOutcome.ENDED)

    @pages.route("/<subscription_id>/dead-letters/<letter_id>/redeliver", methods=["GET", "POST"])
    def redeliver(subscription_id: str, letter_id: str) -> str | Response:
        def act(letter: DeadLetter) -> str:
            return redelivery_text(letters.redeliver(letter))

        if request.method == "GET":
            return ask(_question_of_redelivery(_letter(letters, subscription_id, letter_id)))
        return _change_letter(letters, subscription_id, letter_id, "redeliver", act)

    @pages.route("/<subscription_id>/dead-letters/<letter_id>/purge", methods=["GET", "POST"])
    def purge(subscription_id: str, letter_id: str) -> str | Response:
        def act(letter: DeadLetter) -> str:
            return _PURGED if letters.purge([letter.id]) else NO_LETTER

        if request.method == "GET":
            return ask(_question_of_purge(_letter(letters, subscription_id, letter_id)))
        return _change_letter(letters, subscription_id, letter_id, "purge", act)


_PURGED = "removed"


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
    return outcome, _ENDED[outcome]


def _letter(letters: DeadLetters, subscription_id: str, letter_id: str) -> DeadLetter:
    """
    Raises:
        NotFound: there is none, or it is of another subscription.
    """
    try:
        found = letters.get(DeadLetterId.parse(letter_id))
    except ValueError:
        found = None
    if found is None or found.subscription_id != subscription_id:
        raise NotFound(f"Dead letter {letter_id}: {NO_LETTER}.")
    return found


def _change_letter(
    letters: DeadLetters, subscription_id: str, letter_id: str, action: str, act: Callable[[DeadLetter], str]
) -> Response:
    try:
        result = act(_letter(letters, subscription_id, letter_id))
    except NotFound:
        result = NO_LETTER
    record_change(f"{action}-dead-letter", result, subscription=subscription_id, letter=letter_id)
    text = f"Dead letter {letter_id}: {result}."
    return _done(subscription_id, text, is_good=result in (REDELIVERED, _PURGED))


def _done(subscription_id: str, text: str, *, is_good: bool) -> Response:
    flash(text, "good" if is_good else "bad")
    return redirect(url_for(".one", subscription_id=subscription_id), 303)


def _question_of_end(subscription_id: str) -> Question:
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


def _question_of_redelivery(letter: DeadLetter) -> Question:
    return Question(
        title="Send this event again?",
        text=(
            "It goes to the end of its subscription's outbox, with the id that it had and a new deadline. "
            "Its dead letter is removed in the same step."
        ),
        button="Redeliver the event",
        back=url_for(".one", subscription_id=letter.subscription_id),
        facts=_facts(letter),
    )


def _question_of_purge(letter: DeadLetter) -> Question:
    return Question(
        title="Remove this dead letter?",
        text="Its event is removed for good and can no longer be sent.",
        button="Remove the dead letter",
        back=url_for(".one", subscription_id=letter.subscription_id),
        facts=_facts(letter),
    )


def _facts(letter: DeadLetter) -> dict[str, str]:
    kind = letter.type.rpartition(".")[2] if letter.type else "—"
    return {
        "dead letter": str(letter.id),
        "event": letter.event_id,
        "type": kind,
        "given up for": letter.reason or "—",
        "subscription": letter.subscription_id,
    }
