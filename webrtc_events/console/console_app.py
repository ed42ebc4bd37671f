"""The console as a Flask application: its sections, and what all their pages have in common."""

from collections.abc import Sequence
from typing import Final

from flask import Flask, Response, redirect, url_for
from werkzeug.wrappers import Response as Redirect

from webrtc_events.console.section import Section

__all__ = ["console_app"]

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


def console_app(sections: Sequence[Section]) -> Flask:
    """The pages of `sections`, in this order in the navigation; `/` leads to the first."""
    app = Flask("webrtc_events.console", static_url_path="/_static")
    for section in sections:
        app.register_blueprint(section.pages)

    @app.get("/")
    def home() -> Redirect:
        return redirect(url_for(sections[0].first))

    @app.context_processor
    def navigation() -> dict[str, object]:
        return {"sections": sections}

    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return app
