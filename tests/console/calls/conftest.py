"""A browser without script before a console whose store has traces."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.console.traced import console
from tests.harness.clocks import SteppedClock
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def client(store: Store, settings: Settings, clock: SteppedClock) -> FlaskClient:
    return console(store, settings, clock).test_client()


@pytest.fixture
def token(client: FlaskClient) -> str:
    """That forms of this browser carry."""
    found = re.search(r'name="csrf-token" content="([^"]+)"', client.get("/calls/").text)
    assert found
    return found[1]


@pytest.fixture
def post(client: FlaskClient, token: str) -> Callable[..., TestResponse]:
    """Sends a form of one of our pages."""

    def send(path: str, **fields: object) -> TestResponse:
        return client.post(path, data={"csrf_token": token, **fields})

    return send
