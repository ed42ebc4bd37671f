"""The service as an operator runs it: gunicorn, workers, a store, a token issuer; and its clients."""

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.chaos.gateway import OF_A_DEVICE, PREFIX, Channel
from tests.chaos.inbox import Inbox
from tests.chaos.processes import Process
from tests.harness import device_subscriptions as v0_3
from tests.harness.issuer import Issuer
from tests.harness.valkeys import eventually, free_port
from webrtc_events.core.clock import SystemClock

__all__ = ["SCOPES", "Service", "Subscriber"]

CLOCK = SystemClock()
GUNICORN_CONF = "python:webrtc_events.gunicorn_conf"
SCRIPTS = Path(sys.executable).parent
APP = "webrtc_events.app:create_app()"
SCOPES = " ".join(
    [f"webrtc-events:{PREFIX}{kind}:create" for kind in v0_3.KINDS]
    + [f"webrtc-events:{what}" for what in ("read", "delete", "network", "channels:write")]
    + [v0_3.SCOPES]
)


@dataclass(frozen=True)
class Subscriber:
    """A subscription that was made, and to what. `path`: of its sink, or its notification channel's URL.

    `to_device`: made under 0.3, to the device of the channel's registration.
    """

    id: str
    channel: Channel
    path: str
    max_events: int | None
    to_device: bool = False


class Service:
    """Its processes by name; `stop` ends them all. Start the processes from the main thread."""

    def __init__(
        self, directory: Path, store_url: str, issuer: Issuer, inbox: Inbox, settings: Mapping[str, str]
    ) -> None:
        self.processes: dict[str, Process] = {}
        self.token = issuer.token(CLOCK.now(), scope=SCOPES, exp=CLOCK.now() + 86_400)
        self._directory = directory
        self._inbox = inbox
        self._port = free_port()
        self._environ = {
            "WEBRTC_EVENTS_REDIS_URL": store_url,
            "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
            "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
            "WEBRTC_EVENTS_SINK_CA_FILE": str(inbox.ca_file),
            "WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS": "127.0.0.0/8",
            "WEBRTC_EVENTS_REQUESTS_PER_S": "0",
            **{f"WEBRTC_EVENTS_{name}": value for name, value in settings.items()},
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def public(self) -> str:
        return f"{self.url}/webrtc-events/v0.2/subscriptions"

    @property
    def of_devices(self) -> str:
        return self.url + v0_3.SUBSCRIPTIONS

    def run(self, name: str, *command: str) -> Process:
        """Starts a process, or starts it again."""
        if name not in self.processes:
            self.processes[name] = Process(name, self._directory, self._environ, command)
        self.processes[name].start()
        return self.processes[name]

    def start_api(self, workers: int = 1, app: str = APP, options: Sequence[str] = ()) -> Process:
        """gunicorn; always on the same port."""
        own = ("-c", GUNICORN_CONF, "-w", str(workers), "-b", f"127.0.0.1:{self._port}")
        api = self.run("api", str(SCRIPTS / "gunicorn"), *own, *options, app)
        eventually(self.ready, "the API is ready", 60, every_s=0.1)
        return api

    def start_turned_api(self, dials: Path) -> Process:
        """gunicorn, with the store's time as the dials have it."""
        self._environ["CHAOS_DIALS"] = str(dials)
        folder = ("--pythonpath", str(Path(__file__).parent))
        return self.start_api(app="turned_app:create_app()", options=folder)

    def start_mortal_api(self, deaths: Path) -> Process:
        """gunicorn, whose processes die now and then when an event is half published: a byte a death."""
        deaths.touch()
        self._environ["CHAOS_DEATHS"] = str(deaths)
        folder = ("--pythonpath", str(Path(__file__).parent))
        return self.start_api(workers=2, app="mortal_app:create_app()", options=folder)

    def start_worker(self, number: int) -> Process:
        """`webrtc-events worker`."""
        worker = self.run(f"worker-{number}", str(SCRIPTS / "webrtc-events"), "worker")
        worker.wait_output("Delivering.")
        return worker

    def start_turned_worker(self, number: int, dials: Path, *, lease_ms: int, exchange_ms: int) -> Process:
        """A worker whose clocks can be set, with a shorter lease and a shorter time for a POST."""
        script = str(Path(__file__).with_name("worker_process.py"))
        # -P: its folder is not to be imported from.
        command = (sys.executable, "-P", script, str(dials), str(lease_ms), str(exchange_ms))
        worker = self.run(f"worker-{number}", *command)
        worker.wait_output("Delivering.")
        return worker

    def ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def tell_of_losses(self) -> list[str]:
        """The processes that say that the store lost something."""
        said = ("was emptied", "without its latest writes")
        logs = {name: process.log.read_text(errors="replace") for name, process in self.processes.items()}
        return [name for name, text in logs.items() if any(words in text for words in said)]

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill_all()

    def subscribe(
        self,
        channel: Channel,
        number: int = 0,
        *,
        sink: int = 0,
        max_events: int | None = None,
        expires: str = "",
        url: str = "",
    ) -> Subscriber:
        """A new subscription to a channel; `number` tells apart several to the same.

        Its sink is at `url`, or one of the inbox.
        """
        path = url or f"/{channel.key}/{number}"
        answer = self.try_to_subscribe(
            channel, number, sink=sink, max_events=max_events, expires=expires, url=url
        )
        # 202: its sink is asked first.
        assert answer.status_code in (201, 202), answer.text
        return Subscriber(answer.json()["id"], channel, path, max_events, is_to_device(channel, number))

    def try_to_subscribe(
        self,
        channel: Channel,
        number: int = 0,
        *,
        sink: int = 0,
        max_events: int | None = None,
        expires: str = "",
        url: str = "",
    ) -> requests.Response:
        to_device = is_to_device(channel, number)
        config: dict[str, Any] = {"subscriptionDetail": {"registrationId": channel.key}}
        if to_device:
            config["subscriptionDetail"] = {"deviceId": channel.device}
        elif channel.kind == "session-status":
            # Each by another registration, so that they are in different partitions.
            config["subscriptionDetail"] = {
                "registrationId": f"{channel.key}-{number}",
                "sessionId": channel.key,
            }
        if max_events is not None:
            config["subscriptionMaxEvents"] = max_events
        if expires:
            config["subscriptionExpireTime"] = expires
        request = {
            "protocol": "HTTP",
            "sink": url or self._inbox.url(f"/{channel.key}/{number}", sink),
            "types": v0_3.wire_types(v0_3.KINDS) if to_device else [PREFIX + channel.kind],
            "config": config,
        }
        return self._request("POST", self.of_devices if to_device else self.public, json=request)

    def register(self, channel: Channel, **changes: Any) -> None:
        """Says whose the channel's registration is, and on which device, as a gateway does."""
        body = {"deviceId": channel.device, "owner": "app"} | changes
        answer = self._request("PUT", f"{self.url}/network/v0/registrations/{channel.key}", json=body)
        assert answer.ok, answer.text

    def listen_in(self, channel: Channel, token: str) -> requests.Response:
        """Subscribes to all of the channel's device, as another client, whose token it is."""
        request = v0_3.request_for(channel.device, self._inbox.url(f"/stranger/{channel.key}"))
        headers = {"Authorization": f"Bearer {token}"}
        return requests.post(self.of_devices, json=request, headers=headers, timeout=15)

    @property
    def notification_channels(self) -> str:
        return f"{self.url}/channels/v0/channels"

    def make_notification_channel(self) -> dict[str, str]:
        """Its id, sink and token."""
        answer = self._request("POST", self.notification_channels)
        assert answer.status_code == 201, answer.text
        made: dict[str, str] = answer.json()
        return made

    def delete(self, subscriber: Subscriber) -> requests.Response:
        """As its owner, under the version under which it was made."""
        return self._request("DELETE", self._url_of(subscriber))

    def get(self, subscriber: Subscriber) -> requests.Response:
        """As its owner sees it, as with `delete`."""
        return self._request("GET", self._url_of(subscriber))

    def _url_of(self, subscriber: Subscriber) -> str:
        return f"{self.of_devices if subscriber.to_device else self.public}/{subscriber.id}"

    def terminate(self, subscription_id: str) -> requests.Response:
        """Ends it for the operator."""
        return self._request("DELETE", f"{self.url}/network/v0/subscriptions/{subscription_id}")

    def together(self, function: Any, *arguments: Any) -> list[Any]:
        """`function` of each, eight at a time."""
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(function, *arguments))

    def _request(self, method: str, url: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.request(method, url, headers=headers, timeout=15, **options)


def is_to_device(channel: Channel, number: int) -> bool:
    """Of a channel with a device the first subscription is one of 0.2, if all its events are of one type."""
    return bool(channel.device) and (number > 0 or channel.kind == OF_A_DEVICE)
