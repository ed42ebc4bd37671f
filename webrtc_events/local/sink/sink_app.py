"""The local HTTPS sink: takes notifications at any path into its inbox."""

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, request

from webrtc_events.core.errors import InvalidArgument
from webrtc_events.local.pages import error, page_app
from webrtc_events.local.sink.behaviour_answers import behaved
from webrtc_events.local.sink.behaviour_pages import add_behaviours
from webrtc_events.local.sink.behaviours import Behaviours
from webrtc_events.local.sink.inbox import Inbox
from webrtc_events.local.sink.inbox_pages import add_inbox
from webrtc_events.local.sink.notification_validator import NotificationValidator
from webrtc_events.local.sink.sink_places import SinkPlaces

__all__ = ["sink_app"]

_MAX_BODY = 4 * 1024 * 1024


def sink_app(
    inbox: Inbox, validator: NotificationValidator, behaviours: Behaviours, places: SinkPlaces
) -> Flask:
    """POST of a CloudEvent at any path: 204, or 400 for an invalid one. `GET /` shows the inbox.

    OPTIONS at any path agrees that whoever asks sends notifications, at any rate. Where a behaviour is set,
    it answers instead; what came is validated and shown as ever.
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
        behaviour = behaviours.take(f"/{path}")
        answered = behaviour.answer if behaviour else 204 if fault is None else 400
        inbox.take(f"/{path}", request.headers.get("x-correlator"), body, fault, answered)
        if behaviour is not None:
            return behaved(behaviour)
        return Response(status=204) if fault is None else error(InvalidArgument(fault))

    @app.route("/", methods=["OPTIONS"], defaults={"path": ""})
    @app.route("/<path:path>", methods=["OPTIONS"])
    def agree(path: str) -> Response:
        behaviour = behaviours.take(f"/{path}", handshake=True)
        if behaviour is not None:
            return behaved(behaviour)
        response = Response(status=204, headers={"Allow": "OPTIONS, POST"})
        origin = request.headers.get("WebHook-Request-Origin")
        if origin is not None:
            response.headers["WebHook-Allowed-Origin"] = origin
            response.headers["WebHook-Allowed-Rate"] = "*"
        return response

    add_inbox(app, inbox, behaviours, places)
    add_behaviours(app, behaviours)

    @app.after_request
    def correlate(response: Response) -> Response:
        response.headers["x-correlator"] = request.headers.get("x-correlator") or str(uuid.uuid4())
        return response

    return app


def _read_to_the_end(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Chunked bodies have no length; this tells WSGI that the ASGI bridge ends them."""

    def wrapped(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["wsgi.input_terminated"] = True
        return application(environ, start_response)

    return wrapped
