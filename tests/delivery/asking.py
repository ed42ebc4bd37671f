"""Subscriptions whose sink is asked first, and sinks that agree."""

from collections.abc import Callable
from typing import Any

from tests.delivery.conftest import DispatcherDriver
from tests.harness.builders import created
from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.core.model import Subscription
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store

P = partition_of("r1", 64)
Make = Callable[..., DispatcherDriver]
ORIGIN = "events.operator.example"


def asked(store: Store, sink: RecordingSink, path: str = "/", **values: Any) -> Subscription:
    return created(store, sink=sink.url_of(path), origin=ORIGIN, **values)


def allowing(*headers: tuple[str, str], status: int = 200) -> Callable[[Received], Answer]:
    """Answers so to OPTIONS, and takes what is posted."""
    return lambda request: Answer(status, headers) if request.method == "OPTIONS" else Answer()


def agreeing(rate: str | None = None, origin: str = ORIGIN) -> Callable[[Received], Answer]:
    headers = [("WebHook-Allowed-Origin", origin)]
    return allowing(*headers, *([("WebHook-Allowed-Rate", rate)] if rate else []))
