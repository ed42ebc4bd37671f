"""An operator redelivers the dead letters of a subscription, or removes them: one, or all of them."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from webrtc_events.console.audit import record_change
from webrtc_events.console.confirmation import Question, ask
from webrtc_events.core.errors import NotFound
from webrtc_events.store.dead_letters import DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetters
from webrtc_events.store.redelivery_text import NO_LETTER, REDELIVERED, redelivery_text
from webrtc_events.store.store import Store

__all__ = ["add_letters"]

_PURGED: Final = "removed"
# In one request: some 0.2 s.
_AT_ONCE: Final = 100

_Act = Callable[[DeadLetter], str]


@dataclass(frozen=True, slots=True)
class _Action:
    """`act` says what became of a letter: `success`, or why not. `explanation` is part of the question."""

    name: str
    success: str
    act: _Act
    title: str
    explanation: str
    button: str


def add_letters(pages: Blueprint, store: Store) -> None:
    letters = DeadLetters(store)
    for action in _actions(letters):
        _add(pages, letters, action)


def _actions(letters: DeadLetters) -> Iterable[_Action]:
    yield _Action(
        "redeliver",
        REDELIVERED,
        lambda letter: redelivery_text(letters.redeliver(letter)),
        "Send {} again?",
        "Each goes to the end of its subscription's outbox, with the id that it had and a new deadline. Its "
        "dead letter is removed in the same step.",
        "Redeliver",
    )
    yield _Action(
        "purge",
        _PURGED,
        lambda letter: _PURGED if letters.purge([letter.id]) else NO_LETTER,
        "Remove {}?",
        "What is removed is gone for good and can no longer be sent.",
        "Remove",
    )


def _add(pages: Blueprint, letters: DeadLetters, action: _Action) -> None:
    @pages.route(
        f"/<subscription_id>/dead-letters/<letter_id>/{action.name}",
        methods=["GET", "POST"],
        endpoint=action.name,
    )
    def one(subscription_id: str, letter_id: str) -> str | Response:
        if request.method == "GET":
            return ask(_question(action, _letter(letters, subscription_id, letter_id)))
        try:
            result = action.act(_letter(letters, subscription_id, letter_id))
        except NotFound:
            result = NO_LETTER
        record_change(f"{action.name}-dead-letter", result, subscription=subscription_id, letter=letter_id)
        return _done(subscription_id, f"Dead letter {letter_id}: {result}.", is_good=result == action.success)

    @pages.route(
        f"/<subscription_id>/dead-letters/{action.name}",
        methods=["GET", "POST"],
        endpoint=f"{action.name}_all",
    )
    def all_(subscription_id: str) -> str | Response:
        found = _oldest(letters, subscription_id)
        if request.method == "GET":
            return ask(_question_of_all(action, subscription_id, len(found)))
        results = Counter(map(action.act, found))
        text = _in_words(results, action.success)
        record_change(f"{action.name}-dead-letters", text, subscription=subscription_id)
        is_good = results.keys() <= {action.success}
        return _done(subscription_id, f"Dead letters: {text}.", is_good=is_good)


def _in_words(results: Counter[str], success: str) -> str:
    others = [f"{count} not: {why}" for why, count in results.most_common() if why != success]
    return "; ".join([f"{results[success]} {success}", *others])


def _oldest(letters: DeadLetters, subscription_id: str) -> list[DeadLetter]:
    return list(islice(letters.oldest_first(DeadLetterFilter(subscription=subscription_id)), _AT_ONCE))


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


def _done(subscription_id: str, text: str, *, is_good: bool) -> Response:
    flash(text, "good" if is_good else "bad")
    return redirect(url_for(".one", subscription_id=subscription_id), 303)


def _question(action: _Action, letter: DeadLetter) -> Question:
    return Question(
        title=action.title.format("this event" if action.success == REDELIVERED else "this dead letter"),
        text=action.explanation,
        button=f"{action.button} it",
        back=url_for(".one", subscription_id=letter.subscription_id),
        facts={
            "dead letter": str(letter.id),
            "event": letter.event_id,
            "type": letter.type.rpartition(".")[2] if letter.type else "—",
            "given up for": letter.reason or "—",
            "subscription": letter.subscription_id,
        },
    )


def _question_of_all(action: _Action, subscription_id: str, count: int) -> Question:
    what = "one dead letter" if count == 1 else f"{count} dead letters"
    rest = " There may be more: these are the oldest." if count == _AT_ONCE else ""
    return Question(
        title=action.title.format(what),
        text=f"{action.explanation}{rest}",
        button=f"{action.button} {what}",
        back=url_for(".one", subscription_id=subscription_id),
        facts={"subscription": subscription_id},
    )
