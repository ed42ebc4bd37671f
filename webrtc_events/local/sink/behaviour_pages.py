"""The behaviours of the sink over HTTP, for its page and for programs."""

from flask import Flask, Response, jsonify, request

from webrtc_events.core.errors import InvalidArgument, NotFound, PermissionDenied
from webrtc_events.local.pages import error, from_here
from webrtc_events.local.sink.behaviours import Behaviour, Behaviours

__all__ = ["add_behaviours"]


def add_behaviours(app: Flask, behaviours: Behaviours) -> None:
    """Adds `GET /_behaviours`, the list, and `DELETE /_behaviours`, which removes all.

    `PUT /_behaviours/my-app` sets the one that holds at /my-app and below it, see `Behaviour.from_json`:
    `{"answer": 429, "retryAfter": 5, "count": 3}`. `DELETE /_behaviours/my-app` removes it.
    """

    @app.get("/_behaviours")
    def list_all() -> Response:
        return jsonify([behaviour.as_json() for behaviour in behaviours.all()])

    @app.put("/_behaviours/", defaults={"path": ""})
    @app.put("/_behaviours/<path:path>")
    def set_one(path: str) -> Response:
        if not from_here():
            return error(PermissionDenied("Another site asked for it."))
        try:
            behaviour = Behaviour.from_json(path, request.get_json(force=True))
            behaviours.put(behaviour)
        except InvalidArgument as fault:
            return error(fault)
        return jsonify(behaviour.as_json())

    @app.delete("/_behaviours")
    def remove_all() -> Response:
        if not from_here():
            return error(PermissionDenied("Another site asked for it."))
        behaviours.clear()
        return Response(status=204)

    @app.delete("/_behaviours/", defaults={"path": ""})
    @app.delete("/_behaviours/<path:path>")
    def remove_one(path: str) -> Response:
        if not from_here():
            return error(PermissionDenied("Another site asked for it."))
        try:
            known = behaviours.remove(path)
        except InvalidArgument as fault:
            return error(fault)
        return Response(status=204) if known else error(NotFound("No behaviour is set at this path."))
