"""The softphone of examples/, beside the API whose channels it reads."""

from importlib.resources import files
from typing import Any, Final

from flask import Response, abort, redirect, request, send_from_directory
from werkzeug.wrappers import Response as Redirect

from webrtc_events.local.pages import page_app
from webrtc_events.local.stack.http_server import asgi

__all__ = ["SOFTPHONE_PATH", "softphone_pages"]

SOFTPHONE_PATH: Final = "/softphone"
_FOLDER: Final = str(files("webrtc_events").joinpath("local", "softphone"))
_PARTS: Final = (".html", ".css", ".js", ".svg")


def softphone_pages() -> Any:
    """An ASGI application. Mount it at `SOFTPHONE_PATH`."""
    app = page_app()

    @app.get("/")
    def page() -> Response | Redirect:
        if not request.environ["PATH_INFO"]:
            # The page's links are relative.
            return redirect(f"{request.script_root}/")
        return send_from_directory(_FOLDER, "index.html")

    @app.get("/<name>")
    def part(name: str) -> Response:
        # The README beside them is for readers of the example.
        if not name.endswith(_PARTS):
            abort(404)
        return send_from_directory(_FOLDER, name)

    return asgi(app)
