"""A sink breaks: Prometheus sees it in the metrics of a `serve`, and an alert fires until it is mended."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.commands import Running, eventually
from tests.harness.documents import ROOT
from tests.harness.prometheus import prometheus
from tests.harness.scrapes import metrics_url, scrape
from tests.local.test_failing_sink import Stack
from webrtc_events.core.model import EventType
from webrtc_events.local.demo.http_client import HttpClient

ALERT = "WebrtcEventsSinkUnreachable"
_RULES = (ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text(encoding="utf-8")
ALERTS = set(re.findall(r"- alert: (\w+)", _RULES))


@pytest.mark.slow
def test_a_broken_sink_fires_its_alert_which_resolves_once_the_sink_is_well(
    start_serve: Callable[..., Running], data: Path, api: HttpClient, sink_client: HttpClient, tmp_path: Path
) -> None:
    serve = start_serve(WEBRTC_EVENTS_METRICS_ADDRESS="127.0.0.1:0")
    url = metrics_url(lambda: serve.output)
    assert url is not None
    stack = Stack(serve, data, api, sink_client)
    stack.behave("broken", "drop")
    with prometheus(tmp_path / "prometheus", url.split("/")[2]) as watching:
        # It took all of them.
        assert set(watching.rules()) == ALERTS
        stack.subscribe("broken")
        # It evaluates before it has scraped for the first time: until then nobody is there.
        eventually(lambda: watching.firing() == set(), 60)
        stack.ring("broken")
        eventually(lambda: ALERT in watching.firing(), 60)
        (alert,) = watching.rules()[ALERT]["alerts"]
        assert alert["labels"]["severity"] == "ticket"
        assert alert["annotations"]["summary"] == (
            "Hosts of sinks do not answer: 1, each as often as workers know it."
        )
        sink_client.expect({204}, "DELETE", f"{stack.endpoints.sink}/_behaviours")
        eventually(lambda: ALERT not in watching.firing(), 120)
    found = scrape(url)
    assert found("circuits", state="open") == 0
    assert found("retries_total", reason="connect") >= 1
    assert found("deliveries_total", type=EventType.SESSION_INVITATION.rpartition(".")[2]) == 1
