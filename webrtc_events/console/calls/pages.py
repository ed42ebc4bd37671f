"""The pages of calls, as a blueprint."""

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webrtc_events.console.audit import current_operator
from webrtc_events.console.calls import import_page
from webrtc_events.console.calls.call_facts import outcome_of
from webrtc_events.console.calls.call_file import written_call_file
from webrtc_events.console.calls.call_list import call_list
from webrtc_events.console.calls.call_view import CallView, call_view
from webrtc_events.console.calls.downloads import download, file_name
from webrtc_events.console.calls.entry_masking import EntryMasking
from webrtc_events.console.calls.revealing import Revealing
from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.console.ladder.signs import LEGEND, sign
from webrtc_events.console.ladder.standalone import standalone_svg
from webrtc_events.core.errors import NotFound
from webrtc_events.store.traced_call import TracedCall, has_news, read_call

__all__ = ["blueprint"]

# A session may hold what an address uses itself, also slashes: what belongs to one is behind `/-/`.
_CALL = "/<path:session>"


def blueprint(parts: ConsoleParts) -> Blueprint:
    pages = Blueprint("calls", __name__, url_prefix="/calls")
    calls = _Calls(parts)
    import_page.add(pages, EntryMasking(parts.masking))
    pages.context_processor(lambda: {"legend": LEGEND, "sign": sign, "has_subscriptions": _has_subscriptions})
    pages.add_url_rule("/", "recent", calls.recent)
    pages.add_url_rule(_CALL, "call", calls.call)
    pages.add_url_rule(f"{_CALL}/-/news", "news", calls.news)
    pages.add_url_rule(f"{_CALL}/-/ladder.svg", "svg", calls.svg)
    pages.add_url_rule(f"{_CALL}/-/trace.json", "trace", calls.trace)
    pages.add_url_rule(f"{_CALL}/-/entries/<key>", "entry", calls.entry)
    pages.add_url_rule(f"{_CALL}/-/reveal", "reveal", calls.reveal, methods=["POST"])
    pages.add_url_rule(f"{_CALL}/-/hide", "hide", calls.hide, methods=["POST"])
    return pages


def _has_subscriptions() -> bool:
    """Whether this console has pages of subscriptions to link to."""
    return "subscriptions" in current_app.blueprints


class _Calls:
    def __init__(self, parts: ConsoleParts) -> None:
        self._traces = parts.store.call_traces
        self._level = parts.settings.call_traces
        self._clock = parts.clock
        self._masking = EntryMasking(parts.masking)
        self._revealing = Revealing(parts.clock)

    def recent(self) -> str:
        return render_template(
            "calls/recent.html", list=call_list(self._traces, request.args), level=self._level
        )

    def call(self, session: str) -> str | tuple[str, int]:
        """The page is there before the call is: it shows the call as it comes."""
        found = read_call(self._traces, session)
        page = render_template(
            "calls/call.html",
            session=session,
            level=self._level,
            png_name=file_name(session, "png"),
            **(self._shown_parts(found) if found else {}),
        )
        return page if found else (page, 404)

    def news(self, session: str) -> AnyResponse:
        """For the page's script: what replaces parts of it, or 204 while nothing has come since `after`."""
        after = request.args.get("after", "")
        if not has_news(self._traces, session, after):
            return Response(status=204)
        found = self._found(session)
        shown = self._shown_parts(found)
        parts = {
            name: render_template(f"calls/_{name}.html", session=session, **shown)
            for name in ("facts", "notes", "ladder", "table")
        }
        return jsonify({"cursor": found.cursor, "parts": parts})

    def _shown_parts(self, found: TracedCall) -> dict[str, Any]:
        """What the parts of the page are rendered from."""
        view = self._view(found)
        return {
            "call": found,
            "view": view,
            "outcome": outcome_of(view.items),
            "revealed": self._revealing.is_revealed(found.session),
            "may_reveal": current_operator().may_change,
        }

    def svg(self, session: str) -> AnyResponse:
        picture = standalone_svg(self._view(self._found(session)).ladder, session)
        return download(picture, file_name(session, "svg"), "image/svg+xml; charset=utf-8")

    def trace(self, session: str) -> AnyResponse:
        found = self._found(session)
        now_ms = round(self._clock.now() * 1000)
        content = written_call_file(session, self._shown(found), found.level, now_ms)
        return download(content, file_name(session, "json"), "application/json")

    def entry(self, session: str, key: str) -> str:
        """One entry in full; `?bare` for the page's script, which shows it in a panel."""
        found = self._view(self._found(session)).entry(key)
        if found is None:
            raise NotFound("This entry is not kept any more.")
        heading, about, content = found
        template = "calls/_details.html" if "bare" in request.args else "calls/entry.html"
        return render_template(template, session=session, heading=heading, about=about, details=content)

    def reveal(self, session: str) -> AnyResponse:
        self._found(session)
        self._revealing.reveal(session)
        return redirect(url_for(".call", session=session), 303)

    def hide(self, session: str) -> AnyResponse:
        self._revealing.hide(session)
        return redirect(url_for(".call", session=session), 303)

    def _found(self, session: str) -> TracedCall:
        found = read_call(self._traces, session)
        if found is None:
            raise NotFound("There is no trace of this call.")
        return found

    def _shown(self, found: TracedCall) -> list[Any]:
        if self._revealing.is_revealed(found.session):
            return list(found.entries)
        return [self._masking.masked(entry) for entry in found.entries]

    def _view(self, found: TracedCall) -> CallView:
        session = found.session
        return call_view(
            found.entries, self._shown(found), lambda key: url_for(".entry", session=session, key=key)
        )
