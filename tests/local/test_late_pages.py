"""Pages that are loaded late: once, whoever asks, and never after their end."""

import asyncio
import threading
from contextlib import ExitStack
from typing import Any

import pytest

from webrtc_events.core.errors import NotFound
from webrtc_events.local.stack.late_pages import LatePages


class Source:
    """Loads pages that note who asked; `may_load` holds it up."""

    def __init__(self) -> None:
        self.loads = 0
        self.asked: list[str] = []
        self.closed = threading.Event()
        self.loading = threading.Event()
        self.may_load = threading.Event()
        self.fault: Exception | None = None

    def load(self, stack: ExitStack) -> Any:
        self.loads += 1
        self.loading.set()
        assert self.may_load.wait(20)
        if self.fault is not None:
            raise self.fault
        stack.callback(self.closed.set)

        async def pages(scope: Any, receive: Any, send: Any) -> None:
            self.asked.append(scope["path"])

        return pages


@pytest.fixture
def source() -> Source:
    return Source()


async def ask(pages: LatePages, *paths: str) -> None:
    await asyncio.gather(*(pages({"path": path}, None, None) for path in paths))


def in_background(pages: LatePages) -> threading.Thread:
    thread = threading.Thread(target=pages.load)
    thread.start()
    return thread


def test_nothing_is_loaded_until_somebody_asks(source: Source) -> None:
    LatePages(source.load)
    assert source.loads == 0


def test_all_who_ask_meanwhile_are_served_by_one_load(source: Source) -> None:
    pages = LatePages(source.load)

    async def three() -> None:
        asked = asyncio.ensure_future(ask(pages, "/a", "/b", "/c"))
        # The loop goes on meanwhile.
        await asyncio.to_thread(source.loading.wait, 20)
        assert source.asked == []
        source.may_load.set()
        await asked
        await ask(pages, "/d")

    asyncio.run(three())
    assert sorted(source.asked) == ["/a", "/b", "/c", "/d"]
    assert source.loads == 1
    assert not source.closed.is_set()
    pages.close()
    assert source.closed.is_set()


def test_they_are_there_for_who_asks_after_a_load_in_the_background(source: Source) -> None:
    source.may_load.set()
    pages = LatePages(source.load)
    in_background(pages)
    assert source.loading.wait(20)
    asyncio.run(ask(pages, "/a"))
    pages.check()
    assert (source.loads, source.asked) == (1, ["/a"])


def test_a_fault_is_told_to_who_asks_and_to_who_watches(source: Source) -> None:
    source.may_load.set()
    source.fault = ImportError("no such page")
    pages = LatePages(source.load)
    pages.check()
    with pytest.raises(ImportError, match="no such page"):
        asyncio.run(ask(pages, "/a"))
    with pytest.raises(ImportError, match="no such page"):
        pages.check()
    assert source.loads == 1


def test_a_fault_in_the_background_is_told_too(source: Source) -> None:
    source.may_load.set()
    source.fault = ImportError("no such page")
    pages = LatePages(source.load)
    pages.load()
    with pytest.raises(ImportError, match="no such page"):
        pages.check()


def test_who_closes_waits_for_what_is_being_loaded_and_closes_it(source: Source) -> None:
    pages = LatePages(source.load)
    loading = in_background(pages)
    assert source.loading.wait(20)
    closing = threading.Thread(target=pages.close)
    closing.start()
    assert not source.closed.is_set()
    source.may_load.set()
    closing.join(20)
    loading.join(20)
    assert source.closed.is_set()


def test_nothing_is_loaded_after_the_end(source: Source) -> None:
    source.may_load.set()
    pages = LatePages(source.load)
    pages.close()
    pages.load()
    with pytest.raises(NotFound):
        asyncio.run(ask(pages, "/a"))
    pages.check()
    assert source.loads == 0
