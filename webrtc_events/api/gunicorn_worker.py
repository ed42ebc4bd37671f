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
        # Whose word counts is a setting of the service, see behind_proxies.py; uvicorn would take that of
        # everybody on loopback.
        "proxy_headers": False,
        # A connection by TLS whose client does not answer is closed by then. gunicorn would kill the process
        # after `graceful_timeout`, and what is told last would be lost.
        "timeout_graceful_shutdown": 25,
    }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.cfg.is_ssl:
            # gunicorn's own hook, which uvicorn's worker leaves out.
            self.config.ssl_context_factory = lambda _config, default: self.cfg.ssl_context(self.cfg, default)
