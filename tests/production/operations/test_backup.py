"""A backup and its restore, by the blocks of docs/operations/backup.md, and what the table says of them."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.api.conftest import PUBLIC, assert_error, subscription_request
from tests.chaos.processes import Process
from tests.harness.documents import Document
from tests.harness.issuer import Issuer
from tests.harness.sinks import Answer, Received, RecordingSink
from tests.harness.valkeys import eventually
from tests.production.operations.client import CLOCK, Client
from tests.production.operations.conftest import Configure, ConfiguredValkey
from tests.production.operations.test_start import service
from tests.production.operations.tools import adapted, run_block, tool
from tests.production.operations.units import SCRIPTS, environment_file
from webrtc_events.core.clock import format_time

SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"


class Inbox:
    """A sink's answers: 503 at the paths that are `down`, else 204."""

    def __init__(self, down: set[str]) -> None:
        self.down = down
        self._taken: list[str] = []

    def __call__(self, request: Received) -> Answer:
        if request.path in self.down:
            return Answer(503)
        self._taken.append(request.json["id"])
        return Answer(204)

    def numbers(self, subscription: str) -> list[int]:
        """Of the subscription's events that were taken, in order."""
        parts = [event_id.split(".") for event_id in self._taken]
        return [int(number) for of, number in parts if of == subscription]


class Site:
    """API, worker and store as the document names them, and what systemctl does with them."""

    client: Client
    worker: Process

    def __init__(self, directory: Path, valkey: ConfiguredValkey, settings: Path, issuer: Issuer) -> None:
        self.directory = directory
        self.valkey = valkey
        self.settings = settings
        self.issuer = issuer
        self._stack = ExitStack()

    def start(self) -> None:
        self.client, _, self.worker = self._stack.enter_context(
            service(self.directory, self.settings, self.issuer)
        )

    def stop(self) -> None:
        self._stack.close()

    def run(self, block: str) -> None:
        """Line after line; those for systemd do to the processes here what they would do there."""
        workers = "webrtc-events-worker@1 webrtc-events-worker@2"
        services: Mapping[str, Callable[[], None]] = {
            "systemctl stop webrtc-events-api 'webrtc-events-worker@*'": self.stop,
            "systemctl stop valkey-server": self.valkey.stop,
            "systemctl start valkey-server": self._start_valkey,
            f"systemctl start webrtc-events-api {workers}": self.start,
        }
        lines: list[str] = []
        for line in block.splitlines():
            if line.startswith("systemctl "):
                self._shell(lines)
                lines = []
                services[line]()
            else:
                lines.append(line)
        self._shell(lines)

    def _shell(self, lines: list[str]) -> None:
        text = "\n".join(lines)
        if not text:
            return
        changes = {"/var/lib/valkey": str(self.valkey.directory), "/var/backups": str(self.directory)}
        if "valkey-cli" in text:
            cli = tool("redis-tools", "valkey-cli", "redis-cli")
            changes["valkey-cli "] = f"{cli} -p {self.valkey.port} "
        run_block(adapted(text, changes), self.directory)

    def _start_valkey(self) -> None:
        self.valkey.start()
        self.valkey.wait_ready()

    def erase(self, registration: str) -> None:
        command = [str(SCRIPTS / "webrtc-events"), "erase", "--registration", registration, "--yes"]
        run_block(" ".join(command), self.directory, **environment_file(self.settings))

    def set_key(self, key: str) -> None:
        text = self.settings.read_text()
        self.settings.write_text(re.sub(r"(?m)(?<=^WEBRTC_EVENTS_SECRET_KEY=).*$", key, text))


@pytest.fixture
def site(
    tmp_path: Path,
    configured_valkey: ConfiguredValkey,
    issuer: Issuer,
    sink: RecordingSink,
    configure: Configure,
) -> Iterator[Site]:
    settings = configure(tmp_path, configured_valkey.url, issuer, sink)
    running = Site(tmp_path, configured_valkey, settings, issuer)
    running.start()
    yield running
    running.stop()


@pytest.mark.slow
def test_what_a_restore_brings_back_is_as_the_table_says(site: Site, sink: RecordingSink) -> None:
    document = Document("operations/backup.md")
    documented = dict(document.table("Backup and restore"))
    inbox = Inbox(down={"/waits"})
    sink.answer = inbox
    waits = site.client.subscribe(sink.url_of("/waits"), "waits")
    ended = site.client.subscribe(sink.url_of("/ended"), "ended")
    erased = site.client.subscribe(sink.url_of("/erased"), "erased")
    sealed = with_credential(site.client, sink.url_of("/sealed"))
    assert site.client.publish(1, "waits") == "accepted"
    sink.wait_for(1, 20)

    site.run(document.block("Backup and restore"))
    with site.valkey.client() as client:  # As it was before.
        assert client.config_get("auto-aof-rewrite-percentage") == {"auto-aof-rewrite-percentage": "100"}

    inbox.down.clear()
    eventually(lambda: inbox.numbers(waits) == [1], "what waited is delivered")
    assert site.client.publish(2, "waits") == "accepted"
    eventually(lambda: inbox.numbers(waits) == [1, 2], "the next is delivered")
    later = site.client.subscribe(sink.url_of("/later"), "later")
    assert site.client("DELETE", f"{SUBSCRIPTIONS}/{ended}").status_code == 204
    site.erase("erased")
    assert_error(site.client("GET", f"{SUBSCRIPTIONS}/{erased}"), 404, "NOT_FOUND")
    # The key is another since the backup, and the former one was taken out.
    former = environment_file(site.settings)["WEBRTC_EVENTS_SECRET_KEY"]
    site.set_key("B" * 42 + "A")

    site.run(document.block("Backup and restore", 1))

    assert "with the ids that they had" in documented["events that waited in the backup"]
    eventually(lambda: inbox.numbers(waits) == [1, 2, 1], "what waited is sent again")
    assert "are duplicates" in documented["events in the backup that the gateway publishes again"]
    assert site.client.publish(1, "waits") == "duplicate"
    assert "accepted, and sent with new ids" in documented["events accepted after the backup"]
    assert site.client.publish(2, "waits") == "accepted"
    eventually(lambda: len(inbox.numbers(waits)) == 4, "it is sent")
    assert inbox.numbers(waits)[-1] > 1_000_000
    assert "404" in documented["subscriptions made after the backup"]
    assert_error(site.client("GET", f"{SUBSCRIPTIONS}/{later}"), 404, "NOT_FOUND")
    assert documented["subscriptions ended after the backup"] == "are back"
    assert "are back" in documented["registrations erased after the backup"]
    for subscription_id in (ended, erased):
        assert site.client("GET", f"{SUBSCRIPTIONS}/{subscription_id}").json()["status"] == "ACTIVE"
    site.erase("erased")
    assert_error(site.client("GET", f"{SUBSCRIPTIONS}/{erased}"), 404, "NOT_FOUND")

    assert "need the key of that time" in documented["sink credentials"]
    check_credentials_need_their_key(site, sink, inbox, sealed, former)


def check_credentials_need_their_key(
    site: Site, sink: RecordingSink, inbox: Inbox, sealed: str, former: str
) -> None:
    assert site.client.publish(3, "sealed") == "accepted"
    site.worker.wait_output(f"credential of subscription={sealed} cannot be opened")
    assert inbox.numbers(sealed) == []
    site.stop()
    site.set_key("B" * 42 + "A" + f",{former}")
    site.start()
    eventually(lambda: inbox.numbers(sealed) == [1_000_001], "it is sent with its credential", 60)
    received = next(request for request in sink.requests if request.path == "/sealed")
    assert received.header("Authorization") == "Bearer t0ken"


def with_credential(client: Client, sink: str) -> str:
    request = subscription_request(
        sink=sink,
        config={"subscriptionDetail": {"registrationId": "sealed"}},
        sinkCredential={
            "credentialType": "ACCESSTOKEN",
            "accessToken": "t0ken",
            "accessTokenExpiresUtc": format_time(round((CLOCK.now() + 3600) * 1000)),
            "accessTokenType": "bearer",
        },
    )
    made = client("POST", SUBSCRIPTIONS, json=request)
    assert made.status_code == 201, made.text
    found: str = made.json()["id"]
    return found
