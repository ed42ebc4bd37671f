"""Long arrays as answers: written as they are read, page by page.

An answer of one page is a plain one. Of a longer one no more is held than a page: it has no Content-Length,
and what goes wrong once it has begun cuts it off, so that it is no JSON text and no complete HTTP message.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, count
from typing import Any

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from webrtc_events.api.operation_threads import OperationThreads
from webrtc_events.contract.conforming_pages import ConformingPages
from webrtc_events.contract.validators import KnownItems, Validator

__all__ = ["ArrayPage", "Cut", "PagedArray", "paged"]

# After each of the first pages others have the process for half as long as the page had it, from then on for
# three times as long: who makes long answers in a loop leaves three quarters of it.
_QUICK_PAGES = 10
_QUICK_PAUSES = 0.5
_PAUSES = 3
_MAX_PAUSE_S = 0.05

Cut = Callable[[Exception], None]
"""Hears why an answer was cut off."""


def paged(pages: Iterator[Sequence[Any]], cut: Cut) -> "ArrayPage | PagedArray":
    """What a handler returns for an array. What fails up to the second page fails before the answer."""
    held_to = pages.held_to if isinstance(pages, ConformingPages) else None
    first, second = next(pages, []), next(pages, None)
    if second is None:
        return ArrayPage(first, held_to)
    return PagedArray(chain([first, second], pages), held_to, cut)


class ArrayPage(Response):
    """An array of one page. `held_to` is what each item conforms to already, None if that is not known."""

    def __init__(
        self, page: Sequence[Any], held_to: Validator | None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(msgspec.json.encode(page), headers=headers, media_type="application/json")
        self.items = KnownItems(held_to, len(page))


class PagedArray(StreamingResponse):
    """Each page is one message: `[` or `,` in front, items behind; then a last one, `]`."""

    def __init__(self, pages: Iterator[Sequence[Any]], held_to: Validator | None, cut: Cut) -> None:
        self._texts = _texts(pages)
        super().__init__(self._texts, media_type="application/json")
        self.items = KnownItems(held_to, None)
        self._cut = cut

    def read_in(self, threads: OperationThreads) -> None:
        """Pages are read in these, which are quicker at it than Starlette's own."""

        async def texts() -> AsyncIterator[bytes]:
            while (text := await threads.run(partial(next, self._texts, None))) is not None:
                yield text

        self.body_iterator = texts()

    async def stream_response(self, send: Send) -> None:
        """Without its last message the answer is incomplete, and the server closes the connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        now_s = asyncio.get_running_loop().time
        numbers = count(1)
        try:
            began_s = now_s()
            async for text in self.body_iterator:
                took_s = now_s() - began_s
                await send({"type": "http.response.body", "body": text, "more_body": True})
                pauses = _QUICK_PAUSES if next(numbers) <= _QUICK_PAGES else _PAUSES
                await asyncio.sleep(min(pauses * took_s, _MAX_PAUSE_S))
                began_s = now_s()
        except Exception as error:  # noqa: BLE001 (whatever it is, it is logged, and nothing else can be done)
            self._cut(error)
            return
        await send({"type": "http.response.body", "body": b"]", "more_body": False})


def _texts(pages: Iterator[Sequence[Any]]) -> Iterator[bytes]:
    opening = b"["
    for page in pages:
        yield opening + msgspec.json.encode(page)[1:-1]
        opening = b","
