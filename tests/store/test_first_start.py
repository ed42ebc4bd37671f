"""What the first start decides, and a store that is not there."""

import pytest

from webrtc_events.core.errors import Unavailable
from webrtc_events.core.settings import Settings
from webrtc_events.store.first_start import PartitionMismatch
from webrtc_events.store.store import Store


def test_another_number_of_partitions_refuses_to_start(store: Store, environ: dict[str, str]) -> None:
    with pytest.raises(PartitionMismatch, match="made for 64"):
        Store.connect(Settings.from_environ(environ | {"WEBRTC_EVENTS_PARTITIONS": "32"}))


def test_a_store_that_is_down_is_unavailable(environ: dict[str, str]) -> None:
    gone = environ | {"WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:1/0"}
    with pytest.raises(Unavailable):
        Store.connect(Settings.from_environ(gone))
