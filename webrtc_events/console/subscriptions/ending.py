"""The page on which an operator ends a subscription."""

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from webrtc_events.console.audit import record_change
from webrtc_events.console.confirmation import Question, ask
from webrtc_events.services.operator_ending import ENDING, end_subscription
from webrtc_events.store.store import Store

__all__ = ["add_ending"]


def add_ending(pages: Blueprint, store: Store) -> None:
    @pages.route("/<subscription_id>/end", methods=["GET", "POST"])
    def end(subscription_id: str) -> str | Response:
        if request.method == "GET":
            return ask(_question(subscription_id))
        ending = end_subscription(store, subscription_id)
        record_change("end-subscription", ending.result, subscription=subscription_id)
        flash(ending.text, "good" if ending.ended else "bad")
        return redirect(url_for(".one", subscription_id=subscription_id), 303)


def _question(subscription_id: str) -> Question:
    return Question(
        title="End this subscription?",
        text=ENDING,
        button="End the subscription",
        back=url_for(".one", subscription_id=subscription_id),
        facts={"subscription": subscription_id},
    )
