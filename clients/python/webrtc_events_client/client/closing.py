"""How every client is closed: by `close`, or at the end of a `with`."""

from types import TracebackType
from typing import Self

from webrtc_events_client.client.drivers import AsyncDriver, Driver

__all__ = ["AsyncClosing", "Closing"]


class Closing:
    """Of a client for threads."""

    _driver: Driver

    def close(self) -> None:
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClosing:
    """Of a client for asyncio."""

    _driver: AsyncDriver

    async def close(self) -> None:
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
