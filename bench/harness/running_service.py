"""The whole service, running: API, worker and store, and a gateway that publishes at a steady rate."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import requests
from sinks import forget_arrivals

from harness.api_servers import service_api, settings
from harness.contenders import ROOT, SERVICE, Release
from harness.http_load import Request
from harness.pacing import Latencies, request_at_rate, until_received
from harness.processes import started
from harness.publishing import EVENTS, ONE, SUBSCRIPTIONS, network_event, subscription_request
from harness.scene import Scene

__all__ = ["RunningService"]

_GATEWAY = "gateway"
_WARM_UP = 50


class RunningService:
    """The service, and a gateway that publishes for its subscriptions in turns.

    `pids` are those of the processes that were started; they may have children.
    """

    def __init__(self, place: Scene, stack: ExitStack, release: Release | None = None) -> None:
        self._place = place
        release = release or Release(ROOT, sys.executable)
        store = place.store
        self._api = stack.enter_context(service_api(SERVICE, place.folder, store, (_GATEWAY,), release))
        # The worker asks no issuer.
        environ = settings(store.url, "http://127.0.0.1:1/") | {
            "WEBRTC_EVENTS_SINK_CA_FILE": place.job.ca_file,
            "PYTHONPATH": str(release.folder),
        }
        command = (release.python, "-P", "-m", "webrtc_events.cli", "worker")
        worker = stack.enter_context(started(command, environ, place.folder / "worker.log"))
        self.pids = {"worker": worker.pid, "API": self._api.pid}
        self._ids = [self._subscribe(target) for target in range(place.job.targets)]
        self._published = [0] * place.job.targets
        self._numbers = count()
        self.play(_WARM_UP, _WARM_UP)

    def _subscribe(self, target: int) -> str:
        request = subscription_request(str(target), self._place.job.url(target))
        answer = requests.post(
            self._api.url + SUBSCRIPTIONS, json=request, headers=self._api.headers(_GATEWAY), timeout=60
        )
        answer.raise_for_status()
        subscription_id: str = answer.json()["id"]
        return subscription_id

    def play(self, rate: float, events: int, others: int = 0) -> Latencies:
        """Publishes `events` events, one a request; from before each request to the receipt.

        `others`: how many notifications come that were not published here.
        """
        forget_arrivals(self._place.folder)
        order: list[str] = []
        moments = request_at_rate(self._requests(order), rate, events)
        sent = {name: begin for name, (begin, _) in zip(order, moments, strict=True)}
        return until_received(sent, self._place, others)

    def _requests(self, order: list[str]) -> Iterator[Request]:
        """Adds to `order` the id that each notification will have."""
        headers = self._api.headers(_GATEWAY) | ONE
        for number in self._numbers:
            target = number % len(self._ids)
            self._published[target] += 1
            order.append(f"{self._ids[target]}.{self._published[target]}")
            body = network_event(self._place.job, number)
            yield Request("POST", self._api.url + EVENTS, 202, body.encode(), headers)
