"""However many sinks, clients, paths and methods there are, and whatever they say: the series are as few."""

from collections.abc import Iterator

import pytest

from tests.api.conftest import NETWORK, NEXT, PUBLIC, Api, serving
from tests.delivery.claims import claim_of, item_of
from tests.harness.clocks import SteppedClock
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.scrapes import Scrape, scrape
from webrtc_events.app import create_app
from webrtc_events.contract.documents import load_network, load_public
from webrtc_events.core.activity import Activity
from webrtc_events.core.model import EventType
from webrtc_events.core.outcomes import PROXY_REASONS, SinkAnswer, SinkFailure
from webrtc_events.core.process_report import WorkerReport
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.attempts import AttemptLog, Attempts
from webrtc_events.delivery.host_limiter import HostLimiter
from webrtc_events.delivery.host_limits import HostLimits
from webrtc_events.delivery.host_requests import Permit
from webrtc_events.delivery.host_signals import Unreachable
from webrtc_events.delivery.tasks import DeliveryTask
from webrtc_events.sinks.failures import CURL_REASONS
from webrtc_events.store.keys import Partition
from webrtc_events.telemetry import sources
from webrtc_events.telemetry.exporter import Exporter
from webrtc_events.telemetry.families import FAMILIES, OTHER, UNKNOWN

SINKS = 10_000
# Methods that a parser of HTTP knows; of others nothing comes this far.
ODD = ("TRACE", "PROPFIND", "MKCOL", "PURGE", "REPORT", "SUBSCRIBE", "LOCK", "M-SEARCH")
REASONS = sorted({*CURL_REASONS.values(), *PROXY_REASONS, "other", "address_refused"})


def scraped(exporter: Exporter) -> Scrape:
    assert exporter.url is not None
    return scrape(exporter.url)


def test_ten_thousand_sinks_that_fail_in_every_way_are_as_many_series_as_one(exporter: Exporter) -> None:
    clock, activity = SteppedClock(), Activity()
    limiter: HostLimiter[object] = HostLimiter(HostLimits(), lambda: 0.5)
    exporter.add(
        sources.of_delivery(activity),
        sources.of_worker(WorkerReport, lambda: limiter.circuits, lambda: 0, dict),
    )
    before = scraped(exporter).values.keys()
    attempts = Attempts(clock, activity, AttemptLog(str, 0), lambda: 0.5)
    for number in range(SINKS):
        host = f"https://sink{number}.example:443"
        permit = limiter.acquire(host, f"client{number}", object(), clock.elapsed, path=number, accepted_ms=0)
        if isinstance(permit, Permit):
            limiter.release(permit, Unreachable(), clock.elapsed)
        clock.elapsed += 0.01
        replies = [
            SinkAnswer(100 + number % 900, None, number),
            SinkFailure(REASONS[number % len(REASONS)], f"words of sink {number}", number),
        ]
        for reply in replies:
            attempts.replied(task_for(host, number), reply, round(clock.elapsed * 1000))
    found = scraped(exporter)
    assert found.values.keys() == before
    assert sum(map(found.total, ("retries_total", "given_up_total", "deliveries_total"))) == 2 * SINKS
    assert found("circuits", state="open") > 1000
    assert found("deliveries_total", type="other") > 0


def task_for(host: str, number: int) -> DeliveryTask:
    claim = claim_of(item_of(), sink=f"{host}/path{number}", client=f"client{number}")
    task = DeliveryTask(claim, Partition(0), 0.0)
    task.event_type = [*EventType, "", f"type{number % 50}"][number % (len(EventType) + 2)]
    return task


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    running = Issuer(SigningKeyPair.rsa("rsa"))
    yield running
    running.close()


@pytest.fixture
def api(environ: dict[str, str], issuer: Issuer, exporter: Exporter) -> Iterator[Api]:
    settings = Settings.from_environ(
        environ
        | {"WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url, "WEBRTC_EVENTS_NEXT": "true"}
    )
    with serving(create_app(settings, exporter=exporter), issuer) as running:
        yield running


def test_paths_methods_and_headers_of_clients_make_no_series(api: Api, exporter: Exporter) -> None:
    subscriptions = f"{PUBLIC}/subscriptions"
    places = [subscriptions, f"{subscriptions}/x", f"{NETWORK}/events", "/healthz", "/nothing"]
    for method in ("GET", "POST", "PUT", "BREW", "X" * 100, *ODD):
        for path in places:
            api(method, path, token=None)
    for number in range(300):
        api("GET", f"{PUBLIC}/subscriptions/{number}", token=None)
        api("GET", f"/unknown/{number}?x={number}", token=None, headers={"x-correlator": f"c{number}"})
        api(ODD[number % len(ODD)], subscriptions, token=None)
    found = scraped(exporter)
    operations = {dict(labels)["operation"] for name, labels in found.values if name == "http_requests_total"}
    assert operations <= {
        *(operation for contract in (load_public(), load_network()) for operation in contract.operations),
        *(OTHER, UNKNOWN),
    }
    assert found("http_requests_total", operation=UNKNOWN, api="", status="404") >= 300
    assert found("http_requests_total", operation=UNKNOWN, api="", status="405") >= 300
    series = [labels for name, labels in found.values if name == "http_requests_total"]
    assert len(series) < 40


def test_versions_of_the_api_are_told_apart(api: Api, exporter: Exporter) -> None:
    """Though their operations have the same names: who still asks for which is to be seen."""
    for base in (PUBLIC, NEXT, NEXT):
        assert api("GET", f"{base}/subscriptions").status_code == 200
    found = scraped(exporter)
    apis = {
        dict(labels)["api"]: value
        for (name, labels), value in found.values.items()
        if name == "http_requests_total"
    }
    assert apis == {PUBLIC[1:]: 1, NEXT[1:]: 2}


def test_no_family_has_more_than_a_few_series_from_the_start(exporter: Exporter) -> None:
    """What is exposed of a family with one label is known beforehand."""
    for name, family in FAMILIES.items():
        assert len(family.values) <= 20, name
        assert bool(family.values) == (len(family.labels) == 1 and name != "http_request_seconds"), name
