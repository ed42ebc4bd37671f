"""What the store gives up while events are taken is in the metrics, once, of whoever took them."""

from contextlib import closing

import pytest

from tests.api.conftest import NETWORK, invitation, serving
from tests.harness.builders import created
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.scrapes import scrape
from webrtc_events.app import create_app
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store
from webrtc_events.telemetry.exporter import Exporter
from webrtc_events.worker import Worker


@pytest.mark.parametrize("beside_worker", [False, True], ids=["alone", "with a worker in its process"])
def test_what_an_outbox_had_no_room_for_is_counted_once(
    environ: dict[str, str], store: Store, exporter: Exporter, beside_worker: bool
) -> None:
    with closing(Issuer(SigningKeyPair.rsa("rsa"))) as issuer:
        changes = {
            "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
            "WEBRTC_EVENTS_OUTBOX_LENGTH": "16",
        }
        settings = Settings.from_environ(environ | changes)
        # Not started: it would deliver.
        worker = Worker.build(settings, SystemClock(), exporter=exporter) if beside_worker else None
        watch = None if worker is None else worker.watch
        created(store, sink="https://app.example/hook")
        with serving(create_app(settings, exporter=exporter, watch=watch), issuer) as api:
            for number in range(1, 20):
                assert api("POST", f"{NETWORK}/events", json=invitation(number)).status_code == 202
            if worker is not None:
                # What the worker itself gives up is not covered by what the API says.
                worker._activity.give_up("refused")
            assert exporter.url is not None
            found = scrape(exporter.url)
        if worker is not None:
            assert found("given_up_total", reason="refused") == 1
            worker.stop()
    assert found("given_up_total", reason="outbox_full") == 3
