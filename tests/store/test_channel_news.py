"""How processes that serve readers hear what is new in channels."""

import os
import threading
from contextlib import ExitStack
from pathlib import Path

from tests.harness.valkeys import CLOCK
from tests.store.claiming import P
from webrtc_events.core.process import raise_descriptor_limit
from webrtc_events.store.store import Store


def test_news_are_heard_also_beside_more_than_a_thousand_connections(store: Store) -> None:
    """As an API process has to readers. Descriptors of 1,024 and above are too large for select(2)."""
    assert raise_descriptor_limit() > 1_200
    with ExitStack() as stack, Path(os.devnull).open() as file:
        for _ in range(1_100):
            stack.callback(os.close, os.dup(file.fileno()))
        news = store.channel_logs.news()
        stack.callback(news.close)
        assert news.next(0.01) is None
        store.channel_logs.tell("channel", P)
        assert news.next(5) == (P.number, "channel")


def test_who_is_interrupted_waits_for_news_no_longer(store: Store) -> None:
    """So a process stops at once. Whether it waits already, or is about to, is chance."""
    for delay_s in (0.0, 0.2):
        news = store.channel_logs.news()
        assert news.next(0) is None
        interrupter = threading.Timer(delay_s, news.interrupt)
        interrupter.start()
        began_s = CLOCK.monotonic()
        assert news.next(60) is None
        assert news.next(60) is None
        assert CLOCK.monotonic() - began_s < 30
        interrupter.join()
        news.close()
