"""The common part of the pages for people: templates, files, safe headers, errors."""

import json
from importlib.resources import files

from flask import Flask, Response, request, send_from_directory
from werkzeug.exceptions import HTTPException

from webrtc_events.api.responses import error_info
from webrtc_events.core.errors import ServiceError, by_status

__all__ = ["error", "from_here", "page_app"]

# What the browser may load, and from where: the pages show what others sent.
_POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "connect")),
        *(f"{kind} 'none'" for kind in ("base-uri", "form-action", "frame-ancestors")),
    ]
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page_app() -> Flask:
    """A Flask application with the package's templates and, at /_static/, their files and look.css.

    Its errors are ErrorInfo, as everywhere in the service.
    """
    app = Flask("webrtc_events.local", static_url_path="/_static")

    @app.get("/_static/look.css")
    def look() -> Response:
        return send_from_directory(str(files("webrtc_events") / "console" / "static"), "look.css")

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(_HEADERS)
        return response

    @app.errorhandler(HTTPException)
    def refuse(failure: HTTPException) -> Response:
        response = error(by_status(failure.code or 500, failure.description))
        if methods := getattr(failure, "valid_methods", None):
            response.headers["Allow"] = ", ".join(methods)
        return response

    return app


def error(error: ServiceError) -> Response:
    return Response(json.dumps(error_info(error)), error.status, content_type="application/json")


def from_here() -> bool:
    """Whether a page of this server asks, or a program that is no browser. Source: Fetch, Origin header."""
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    return origin in (None, request.host_url.rstrip("/")) and site in ("none", "same-origin")
