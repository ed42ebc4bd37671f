"""gunicorn's worker class: uvicorn's, with our protocols."""

from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker

from webrtc_events.api.http_protocol import HttpProtocol
from webrtc_events.api.websocket_protocol import WebSocketProtocol

__all__ = ["ApiWorker"]


class ApiWorker(UvicornWorker):  # type: ignore[misc]
    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "asyncio",
        "http": HttpProtocol,
        "ws": WebSocketProtocol,
    }
