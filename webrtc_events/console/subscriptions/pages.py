"""The pages of subscriptions, as a blueprint."""

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.core.errors import NotFound

__all__ = ["blueprint"]


def blueprint(parts: ConsoleParts) -> Blueprint:
    pages = Blueprint("subscriptions", __name__, url_prefix="/subscriptions")
    records = parts.store.subscriptions

    @pages.get("/")
    def index() -> str | Response:
        wanted = request.args.get("id", "").strip()
        if wanted:
            return redirect(url_for(".one", subscription_id=wanted))
        return render_template("subscriptions/index.html")

    @pages.get("/<subscription_id>")
    def one(subscription_id: str) -> str:
        found = records.get(subscription_id)
        if found is None:
            raise NotFound
        return render_template("subscriptions/one.html", subscription=found)

    return pages
