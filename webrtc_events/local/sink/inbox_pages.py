"""The inbox over HTTP: a page for people, JSON for programs."""

from flask import Flask, Response, jsonify, render_template, request

from webrtc_events.core.errors import NotFound, PermissionDenied
from webrtc_events.core.model import EventType
from webrtc_events.local.pages import error
from webrtc_events.local.sink.inbox import Inbox
from webrtc_events.local.sink.page_view import full_text, row

__all__ = ["add_inbox"]

_MAX_WAIT_S = 5.0


def add_inbox(app: Flask, inbox: Inbox, home: str | None) -> None:
    """Adds `GET /`, the page. `home` is the address of a start page, if there is one.

    `GET /_inbox?after=N&path=/x&wait=S` is for programs: what came after the number N at paths that
    begin with /x. It waits up to S seconds (5 at most) for the first. Without `after` it is what came
    since `DELETE /_inbox`, which clears the inbox.
    """

    @app.get("/")
    def page() -> str:
        types = [event_type.rpartition(".")[2] for event_type in EventType]
        return render_template("inbox.html", home=home, types=types, here=request.url_root)

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
        return jsonify({"inbox": inbox.identity, "cleared": inbox.cleared, "rows": found})

    @app.get("/_inbox/<int:number>")
    def whole(number: int) -> Response:
        body = inbox.body(number)
        if body is None:
            return error(NotFound("It is no longer kept."))
        return Response(full_text(body), content_type="text/plain; charset=utf-8")

    @app.delete("/_inbox")
    def clear() -> Response:
        if not _from_here():
            return error(PermissionDenied("Another site asked for it."))
        inbox.clear()
        return Response(status=204)


def _from_here() -> bool:
    """Whether a page of the sink asks, or a program that is no browser. Source: Fetch, Origin header."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    return origin in (None, request.host_url.rstrip("/")) and site in ("none", "same-origin")
