"""Answers that a handler gives as an ASGI application, and that have no end to be validated at."""

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["EventStream"]


class EventStream(Response):
    """What `app` sends, as it sends it; errors that it raises before that are answered as any others."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
