"""The inbox over HTTP: a page for people, JSON for programs."""

from flask import Flask, Response, jsonify, render_template, request

from webrtc_events.core.errors import NotFound, PermissionDenied
from webrtc_events.core.model import EventType
from webrtc_events.local.pages import error, from_here
from webrtc_events.local.sink.behaviours import Behaviours, Misbehaviour
from webrtc_events.local.sink.inbox import Inbox
from webrtc_events.local.sink.page_view import full_text, row
from webrtc_events.local.sink.sink_places import SinkPlaces

__all__ = ["add_inbox"]

_MAX_WAIT_S = 5.0
# What the page offers; any other status can be typed.
_ANSWERS = {
    "500": "500 Internal Server Error",
    "503": "503 Service Unavailable",
    "429": "429 Too Many Requests",
    "401": "401 Unauthorized",
    "410": "410 Gone",
    Misbehaviour.HANG: "hang: no answer",
    Misbehaviour.DROP: "drop: close the connection",
    Misbehaviour.DRIP: "drip: one byte a second",
}


def add_inbox(app: Flask, inbox: Inbox, behaviours: Behaviours, places: SinkPlaces) -> None:
    """Adds `GET /`, the page.

    `GET /_inbox?after=N&path=/x&wait=S` is for programs: what came after the number N at paths that
    begin with /x. It waits up to S seconds (5 at most) for the first. Without `after` it is what came
    since `DELETE /_inbox`, which clears the inbox.
    """

    @app.get("/")
    def page() -> str:
        types = [event_type.rpartition(".")[2] for event_type in EventType]
        return render_template(
            "inbox.html", places=places, types=types, here=request.url_root, answers=_ANSWERS
        )

    @app.get("/_inbox")
    def feed() -> Response:
        wait_s = min(max(request.args.get("wait", 0.0, float), 0.0), _MAX_WAIT_S)
        found = inbox.after(request.args.get("after", type=int), request.args.get("path", "/"), wait_s)
        return jsonify([received.as_json() for received in found])

    @app.get("/_inbox/rows")
    def rows() -> Response:
        """For the page: it asks often, and must not hold a thread that notifications need."""
        after = max(request.args.get("after", 0, int), inbox.cleared)
        found = [row(received) for received in inbox.after(after)]
        set_now = [behaviour.as_json() for behaviour in behaviours.all()]
        return jsonify(
            {"inbox": inbox.identity, "cleared": inbox.cleared, "rows": found, "behaviours": set_now}
        )

    @app.get("/_inbox/<int:number>")
    def whole(number: int) -> Response:
        body = inbox.body(number)
        if body is None:
            return error(NotFound("It is no longer kept."))
        return Response(full_text(body), content_type="text/plain; charset=utf-8")

    @app.delete("/_inbox")
    def clear() -> Response:
        if not from_here():
            return error(PermissionDenied("Another site asked for it."))
        inbox.clear()
        return Response(status=204)
