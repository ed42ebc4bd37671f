"""What the gateway is answered of registrations."""

from typing import Any

import pytest

from webrtc_events.core.errors import NotFound
from webrtc_events.services.registrations import Registrations
from webrtc_events.store.store import Store


def test_registrations_come_and_go(store: Store) -> None:
    registrations = Registrations(store)
    body: Any = {"deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "owner": "app", "subject": "alice"}
    assert registrations.put("r1", body) == (body | {"registrationId": "r1"}, True)
    assert registrations.put("r1", body)[1] is False
    registrations.delete("r1")
    with pytest.raises(NotFound):
        registrations.delete("r1")
