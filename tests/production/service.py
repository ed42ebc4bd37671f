"""gunicorn and a worker, as an operator starts them, on a store that a test looks after."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from tests.chaos.processes import Process
from tests.chaos.service import APP, GUNICORN_CONF, SCRIPTS
from tests.harness.issuer import Issuer
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import CLOCK, ValkeyServer, eventually, free_port

__all__ = ["TYPE", "Make", "Service", "environ_of", "event", "processes", "restarted"]

TYPE = "org.camaraproject.webrtc-events.v0.session-invitation"
SCOPE = f"webrtc-events:{TYPE}:create webrtc-events:network webrtc-events:read"


def event() -> dict[str, Any]:
    return {
        "id": "e1",
        "source": "/gateway",
        "specversion": "1.0",
        "type": TYPE,
        "time": "2026-03-10T09:00:00Z",
        "subject": "r1",
        "data": {
            "mediaSessionId": "s1",
            "originatorAddress": "tel:+12025550100",
            "receiverAddress": "tel:+12025550101",
            "status": "Initial",
        },
    }


def environ_of(issuer: Issuer, store: str, ca_file: Path, **settings: str) -> dict[str, str]:
    """The least that a service needs, and further settings by their names without prefix."""
    environ = {
        "REDIS_URL": store,
        "OPENID_CONFIGURATION_URL": issuer.discovery_url,
        "SECRET_KEY": "A" * 43,
        "SINK_CA_FILE": str(ca_file),
        "SINK_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    return {f"WEBRTC_EVENTS_{name}": value for name, value in (environ | settings).items()}


def processes(
    directory: Path, environ: dict[str, str], url: str, *, api_processes: int
) -> tuple[Process, Process]:
    """gunicorn with this number of processes, which listens at `url`, and a worker; neither is started."""
    bind = url.removeprefix("http://")
    gunicorn = (str(SCRIPTS / "gunicorn"), "-c", GUNICORN_CONF, "-w", str(api_processes), "-b", bind)
    return (
        Process("api", directory, environ, (*gunicorn, APP)),
        Process("worker", directory, environ, (str(SCRIPTS / "webrtc-events"), "worker")),
    )


class Service:
    """An API of two processes and a worker, with a sink. `host`: where the API listens, as URLs have it."""

    def __init__(
        self,
        directory: Path,
        issuer: Issuer,
        store: str,
        sink: RecordingSink,
        host: str = "127.0.0.1",
        **settings: str,
    ) -> None:
        self.url = f"http://{host}:{free_port()}"
        self._public = f"{self.url}/webrtc-events/v0.2/subscriptions"
        self.headers = {"Authorization": f"Bearer {issuer.token(CLOCK.now(), scope=SCOPE)}"}
        self._sink = sink
        self.environ = environ_of(issuer, store, sink.ca_file, **settings)
        self.api, self.worker = processes(directory, self.environ, self.url, api_processes=2)

    def start(self) -> None:
        self.api.start()
        self.worker.start()
        self.worker.wait_output("Delivering.")
        eventually(lambda: self.api.output.count("Application startup complete") == 2, "the API is up", 60)

    def stop(self) -> None:
        self.api.kill_all()
        self.worker.kill_all()

    def ready(self) -> tuple[int, dict[str, Any]]:
        answer = requests.get(f"{self.url}/readyz", timeout=10)
        return answer.status_code, answer.json()["checks"]

    def subscribe(self, **more: Any) -> requests.Response:
        request = {
            "protocol": "HTTP",
            "sink": self._sink.url,
            "types": [TYPE],
            "config": {"subscriptionDetail": {"registrationId": "r1"}},
        } | more
        return requests.post(self._public, json=request, headers=self.headers, timeout=10)

    def publish_batch(self, numbers: range) -> requests.Response:
        headers = self.headers | {"Content-Type": "application/cloudevents-batch+json"}
        body = [event() | {"id": f"e{number}"} for number in numbers]
        return requests.post(f"{self.url}/network/v0/events", json=body, headers=headers, timeout=30)

    def publish(self, number: int, session: str = "s1") -> requests.Response:
        headers = self.headers | {"Content-Type": "application/cloudevents+json"}
        body = event() | {"id": f"e{number}"}
        body["data"]["mediaSessionId"] = session
        return requests.post(f"{self.url}/network/v0/events", json=body, headers=headers, timeout=10)

    def subscriptions(self) -> list[str]:
        return [
            resource["id"] for resource in requests.get(self._public, headers=self.headers, timeout=10).json()
        ]


Make = Callable[..., tuple[Service, ValkeyServer]]
"""Of a service that is yet to be started, and its store, by the store's options and further settings."""


def restarted(server: ValkeyServer) -> None:
    server.kill()
    server.start()
    server.wait_ready()
