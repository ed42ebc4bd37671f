"""What the store gives up while an API takes events is in the metrics of that API."""

from collections.abc import Iterator

import pytest

from tests.api.conftest import serving
from tests.harness.builders import append, created, invitation
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.scrapes import scrape
from webrtc_events.app import create_app
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.setting_values import HostPort
from webrtc_events.core.settings import Settings
from webrtc_events.store.durability.watch import StoreWatch
from webrtc_events.store.store import Store
from webrtc_events.telemetry.exporter import Exporter
from webrtc_events.telemetry.listener import listen


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    found = Exporter(("api",), SystemClock(), listen(HostPort("127.0.0.1", 0)))
    found.start()
    yield found
    found.stop()


def test_what_an_outbox_had_no_room_for_is_counted_where_it_was_taken(
    environ: dict[str, str], store: Store, exporter: Exporter
) -> None:
    issuer = Issuer(SigningKeyPair.rsa("rsa"))
    settings = Settings.from_environ(
        environ
        | {
            "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
            "WEBRTC_EVENTS_OUTBOX_LENGTH": "16",
        }
    )
    watch = StoreWatch.connect(settings, SystemClock())
    with serving(create_app(settings, exporter=exporter, watch=watch), issuer):
        created(store, sink="https://app.example/hook")
        append(watch.store, *(invitation(number) for number in range(1, 20)))
        assert exporter.url is not None
        found = scrape(exporter.url)
    watch.store.close()
    issuer.close()
    assert found("given_up_total", reason="outbox_full") == 3
