"""The console as a Flask application: its sections, and what all their pages have in common."""

import hashlib
import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flask import Flask, Response, g, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from webrtc_events.api.responses import error_info
from webrtc_events.console.access import Access, Operator
from webrtc_events.console.display import register_display
from webrtc_events.console.request_origin import change_token, check_origin
from webrtc_events.console.section import Section
from webrtc_events.core.errors import ServiceError, by_status

__all__ = ["ConsoleOptions", "console_app", "session_key"]

log = logging.getLogger(__name__)

# What the browser may load, and from where: the pages show what others sent. A ladder is drawn into an image.
_POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "connect")),
        "img-src 'self' blob:",
        "form-action 'self'",
        *(f"{kind} 'none'" for kind in ("base-uri", "frame-ancestors")),
    ]
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_BODY_BYTES: Final = 1 << 20

_Refusal = tuple[str | dict[str, object], int, dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """`session_key` signs cookies. `path`: where the console is mounted. `secure`: browsers come by https."""

    session_key: bytes
    access: Access
    path: str = "/"
    secure: bool = False


def session_key(secret_key: bytes) -> bytes:
    """A key for cookies, from the first key of the deployment: it opens nothing else."""
    return hmac.digest(secret_key, b"webrtc-events console sessions", hashlib.sha256)


def console_app(options: ConsoleOptions, sections: Sequence[Section]) -> Flask:
    """The pages of `sections`, in this order in the navigation; `/` leads to the first."""
    app = Flask("webrtc_events.console", static_url_path="/_static")
    app.secret_key = options.session_key
    app.config.update(
        MAX_CONTENT_LENGTH=_MAX_BODY_BYTES,
        SESSION_COOKIE_NAME="webrtc-events-console",
        SESSION_COOKIE_PATH=options.path,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=options.secure,
    )
    for section in sections:
        app.register_blueprint(section.pages)
    register_display(app)
    _guard(app, options.access)
    _answer_errors(app)

    @app.get("/")
    def home() -> AnyResponse:
        return redirect(url_for(sections[0].first))

    @app.context_processor
    def shared() -> dict[str, object]:
        return {"sections": sections, "csrf_token": change_token, "operator": g.get("operator")}

    return app


def _guard(app: Flask, access: Access) -> None:
    """No page without an operator, no change without the right to it and from elsewhere."""

    @app.before_request
    def enter() -> AnyResponse | None:
        if request.endpoint == "static":
            return None
        entered = access.enter()
        if not isinstance(entered, Operator):
            return entered
        g.operator = entered
        if request.method not in _SAFE:
            if not entered.may_change:
                raise _forbidden()
            check_origin()
        return None

    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def _forbidden() -> ServiceError:
    return by_status(403, "Changes are made, and personal data is shown, on this machine only.")


def _answer_errors(app: Flask) -> None:
    """An error is a page, or ErrorInfo for a script."""

    @app.errorhandler(ServiceError)
    def refuse(error: ServiceError) -> _Refusal:
        if request.accept_mimetypes.best == "application/json":
            return dict(error_info(error)), error.status, error.headers
        return render_template("error.html", error=error), error.status, error.headers

    @app.errorhandler(HTTPException)
    def refuse_request(failure: HTTPException) -> _Refusal:
        error = by_status(failure.code or 500, failure.description)
        if methods := getattr(failure, "valid_methods", None):
            error.headers["Allow"] = ", ".join(methods)
        return refuse(error)

    @app.errorhandler(Exception)
    def fail(failure: Exception) -> _Refusal:
        log.error("a page failed by a bug: %s", request.endpoint, exc_info=failure)
        return refuse(by_status(500))
