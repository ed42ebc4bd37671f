"""Long arrays as answers: written as they are read, page by page.

An answer of one page is a plain one. Of a longer one no more is held than a page: it has no Content-Length,
and what goes wrong once it has begun cuts it off, so that it is no JSON text and no complete HTTP message.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Send

__all__ = ["Cut", "PagedArray", "paged"]

_MAX_PAUSE_S = 0.05

Cut = Callable[[Exception], None]
"""Hears why an answer was cut off."""


def paged(pages: Iterator[Sequence[Any]], cut: Cut) -> Any:
    """What a handler returns for an array. What fails up to the second page fails before the answer."""
    first, second = next(pages, []), next(pages, None)
    return first if second is None else PagedArray(chain([first, second], pages), cut)


class PagedArray(StreamingResponse):
    """Each page is one message: `[` or `,` in front, items behind; then a last one, `]`."""

    def __init__(self, pages: Iterator[Sequence[Any]], cut: Cut) -> None:
        super().__init__(_texts(pages), media_type="application/json")
        self._cut = cut

    async def stream_response(self, send: Send) -> None:
        """Without its last message the answer is incomplete, and the server closes the connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        now_s = asyncio.get_running_loop().time
        try:
            began_s = now_s()
            async for text in self.body_iterator:
                took_s = now_s() - began_s
                await send({"type": "http.response.body", "body": text, "more_body": True})
                # Others have the process for as long as this page had it.
                await asyncio.sleep(min(took_s, _MAX_PAUSE_S))
                began_s = now_s()
        except Exception as error:  # noqa: BLE001 (whatever it is, it is logged, and nothing else can be done)
            self._cut(error)
            return
        await send({"type": "http.response.body", "body": b"]", "more_body": False})


def _texts(pages: Iterator[Sequence[Any]]) -> Iterator[bytes]:
    opening = "["
    for page in pages:
        yield (opening + json.dumps(page)[1:-1]).encode()
        opening = ","
