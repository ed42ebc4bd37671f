"""The services that scenarios are played on: `webrtc-events serve` with the settings that a feature needs."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.api.conftest import Api
from tests.conformance.bdd.world import Service
from tests.harness.authority import Authority
from tests.harness.commands import Running
from tests.harness.issuer import Issuer
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.sink.notification_validator import NotificationValidator

__all__ = ["ASKING", "LIMITED", "USUAL", "serving"]

_SOURCE = "https://webrtc.example.com/events"

USUAL = {
    "SOURCE": _SOURCE,
    # Both versions from one store.
    "NEXT": "true",
    # What a client may ask for is looked at with the limits below.
    "REQUESTS_PER_S": "0",
    "MAX_SUBSCRIPTIONS": "0",
    "MAX_REGISTRATION_SUBSCRIPTIONS": "0",
    "MAX_SESSION_SUBSCRIPTIONS": "0",
    "SESSION_LINGER_S": "1",
    # `serve` would make some.
    "TOKEN_KEYS": "",
}
LIMITED = {
    "SOURCE": _SOURCE,
    "REQUIRE_KNOWN_REGISTRATION": "true",
    "MAX_SUBSCRIPTIONS": "2",
    "MAX_LIFETIME_S": "3600",
    "REQUESTS_PER_S": "1",
    "REQUESTS_AT_ONCE": "30",
    "STRICT_CLOUDEVENTS": "true",
}
ASKING = {"SOURCE": _SOURCE, "SINK_VALIDATION": "on"}


@contextmanager
def serving(
    home: Path, settings: Mapping[str, str], issuer: Issuer, authority: Authority
) -> Iterator[Service]:
    """On free ports, with the issuer and the sinks of the tests."""
    environ = {
        "OPENID_CONFIGURATION_URL": issuer.discovery_url,
        "SINK_CA_FILE": str(authority.ca_file),
    } | dict(settings)
    running = Running(
        home / "log",
        *("serve", "--port", "0", "--sink-port", "0", "--data-dir", str(home / "data")),
        env={f"WEBRTC_EVENTS_{name}": value for name, value in environ.items()},
    )
    strict = settings.get("STRICT_CLOUDEVENTS") == "true"
    try:
        running.await_output("Ctrl-C stops everything")
        api = Api(urlsplit(Endpoints.read(home / "data").api).port or 0, issuer)
        with closing(api):
            yield Service(api, authority, NotificationValidator(strict), strict)
        assert running.stop() == 0, running.output
        assert "Traceback" not in running.output
    finally:
        # Its store ends with it, whatever it dies of.
        running.process.kill()
        running.process.wait()
