"""A developer sees the traces of a call that `serve` carries, with a setting in its environment."""

from collections.abc import Callable
from pathlib import Path

from tests.harness.collector import Collector
from tests.harness.commands import Running
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints
from webrtc_events.local.recordings import load_recording, played_anew

_PREFIX = "org.camaraproject.webrtc-events.v0."


def test_a_call_that_is_played_to_serve_is_traced_event_by_event(
    start_serve: Callable[..., Running], data: Path, api: HttpClient
) -> None:
    with Collector() as collector:
        serve = start_serve(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="on-my-machine")
        endpoints = Endpoints.read(data)
        events = played_anew(load_recording("answered"), round(SystemClock().now() * 1000))
        statuses = [event for event in events if event["type"].endswith("session-status")]
        request = {
            "protocol": "HTTP",
            "sink": f"{endpoints.sink}/traced",
            "types": [f"{_PREFIX}session-status"],
            "config": {
                "subscriptionDetail": {
                    "registrationId": statuses[0]["subject"],
                    "sessionId": statuses[0]["data"]["mediaSessionId"],
                }
            },
        }
        api.expect({201}, "POST", f"{endpoints.public}/subscriptions", json=request)
        headers = {"Content-Type": "application/cloudevents+json"}
        for event in events:
            api.expect({202}, "POST", f"{endpoints.network}/events", json=event, headers=headers)
        taken = [event for event in statuses if event["subject"] == statuses[0]["subject"]]
        posts = collector.wait_for(len(taken), "POST")
        assert serve.stop() == 0
        spans = {span.id: span for span in collector.spans}
    assert {span.resource["service.name"] for span in spans.values()} == {"on-my-machine"}
    assert len({span.resource["service.instance.id"] for span in spans.values()}) == 1
    for post in posts:
        assert 200 <= post["http.response.status_code"] < 300
        claim = spans[post.parent]
        append = spans[claim.parent]
        published = spans[append.parent]
        assert [claim.name, append.name, published.name] == ["claim", "append", "POST /network/v0/events"]
        assert published.parent == ""
    # Each event was published by itself, so each is a trace.
    assert len({post.trace for post in posts}) == len(posts) == len(taken)
    assert "Traceback" not in serve.output
