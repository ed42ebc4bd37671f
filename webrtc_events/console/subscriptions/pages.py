"""The pages of subscriptions, as a blueprint."""

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from webrtc_events.console.audit import record_change
from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.console.subscriptions.ending import add_ending
from webrtc_events.console.subscriptions.latest_letters import add_latest_letters
from webrtc_events.console.subscriptions.letters import add_letters
from webrtc_events.console.subscriptions.one import SubscriptionPages
from webrtc_events.core.errors import InvalidArgument
from webrtc_events.core.personal_view import PersonalView
from webrtc_events.services.subscription_filters import STATUSES, TYPES, VERSIONS, ListFilters
from webrtc_events.store.subscription_search import PAGE, Cursor, SubscriptionSearch

__all__ = ["blueprint"]


def blueprint(parts: ConsoleParts) -> Blueprint:
    pages = Blueprint("subscriptions", __name__, url_prefix="/subscriptions")
    search = SubscriptionSearch(parts.store, parts.clock)
    masking = parts.masking

    @pages.get("/")
    def index() -> str | Response:
        wanted_id = request.args.get("id", "").strip()
        if wanted_id:
            return redirect(url_for(".one", subscription_id=wanted_id))
        filters = ListFilters.of(request.args)
        wanted = filters.wanted(masking)
        try:
            cursor = Cursor.parse(request.args["after"]) if "after" in request.args else Cursor()
            page = search.page(wanted, cursor)
        except ValueError as error:
            raise InvalidArgument("This place in the list is not known. Begin at the first page.") from error
        return render_template(
            "subscriptions/index.html",
            filters=filters,
            page=page,
            per_page=PAGE,
            types=TYPES,
            statuses=STATUSES,
            versions=VERSIONS,
            is_first=cursor == Cursor(),
            leaves_out_ended=search.is_by_registration(wanted) and not wanted.statuses,
            personal=PersonalView(masking, revealed=False),
        )

    add_latest_letters(pages, parts)
    _add_one(pages, SubscriptionPages(parts))
    add_ending(pages, parts.store)
    add_letters(pages, parts.store)
    return pages


def _add_one(pages: Blueprint, shown: SubscriptionPages) -> None:
    @pages.get("/<subscription_id>")
    def one(subscription_id: str) -> str:
        return shown.page(subscription_id, revealed=False)

    @pages.post("/<subscription_id>")
    def reveal(subscription_id: str) -> str:
        text = shown.page(subscription_id, revealed=True)
        record_change("reveal", "shown", subscription=subscription_id)
        return text
