"""The local HTTPS sink: takes notifications at any path and shows what it received."""

import logging
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, jsonify, render_template, request

from webrtc_events.core.errors import InvalidArgument, NotFound, PermissionDenied
from webrtc_events.core.model import EventType
from webrtc_events.local.pages import error, page_app
from webrtc_events.local.sink.inbox import Inbox
from webrtc_events.local.sink.notification_validator import NotificationValidator
from webrtc_events.local.sink.page_view import full_text, row

__all__ = ["sink_app"]

log = logging.getLogger(__name__)

_MAX_BODY = 4 * 1024 * 1024
_MAX_WAIT_S = 5.0


def sink_app(inbox: Inbox, validator: NotificationValidator, home: str | None = None) -> Flask:
    """POST of a CloudEvent at any path: 204, or 400 for an invalid one. `GET /` shows the inbox.

    OPTIONS at any path agrees with whoever asks to send notifications, as many as there are.
    `GET /_inbox?after=N&path=/x&wait=S` is the same for programs: what came after the
    number N at paths that begin with /x, waiting up to S seconds (at most 5) for the first.
    Without `after` it is what came since the inbox was cleared, which `DELETE /_inbox` does.
    `home` is the address of a page to begin at, if there is one.
    """
    app = page_app()
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.wsgi_app = _read_to_the_end(app.wsgi_app)  # type: ignore[method-assign]

    @app.post("/", defaults={"path": ""})
    @app.post("/<path:path>")
    def take(path: str) -> Response:
        body = request.get_data()
        fault = validator.fault(request.headers.items(), body)
        inbox.take(f"/{path}", request.headers.get("x-correlator"), body, fault)
        if fault is None:
            return Response(status=204)
        return error(InvalidArgument(fault))

    @app.route("/", methods=["OPTIONS"], defaults={"path": ""})
    @app.route("/<path:path>", methods=["OPTIONS"])
    def agree(**_: str) -> Response:
        response = Response(status=204, headers={"Allow": "OPTIONS, POST"})
        origin = request.headers.get("WebHook-Request-Origin")
        if origin is not None:
            response.headers["WebHook-Allowed-Origin"] = origin
            response.headers["WebHook-Allowed-Rate"] = "*"
        return response

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

    @app.after_request
    def correlate(response: Response) -> Response:
        response.headers["x-correlator"] = request.headers.get("x-correlator") or str(uuid.uuid4())
        return response

    return app


def _from_here() -> bool:
    """Whether a page of the sink asks, or a program that is no browser. Source: Fetch, Origin header."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    return origin in (None, request.host_url.rstrip("/")) and site in ("none", "same-origin")


def _read_to_the_end(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Chunked bodies have no length; this tells WSGI that the ASGI bridge ends them."""

    def wrapped(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input_terminated"] = True
        return application(environ, start_response)

    return wrapped
