"""`webrtc-events gateway` as an operator runs it."""

import json
import signal
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.harness.clocks import SteppedClock
from tests.harness.commands import Running, eventually, run, start  # noqa: F401 (a fixture)
from webrtc_events.core.clock import SystemClock
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.journal_entries import Rejected
from webrtc_events.gateways.network_requests import PublishEvent, PutRegistration
from webrtc_events.gateways.waiting_reason import WaitingReason

NOBODY = ("--service", "http://127.0.0.1:9", "--token-url", "http://127.0.0.1:9/token")


def command(queue: Path, *more: str) -> tuple[str, ...]:
    return ("gateway", "janus", "--queue", str(queue), *NOBODY, "--listen", "127.0.0.1:0", *more)


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    return tmp_path / "janus.queue"


def test_status_shows_what_waits_and_what_was_rejected(queue: Path) -> None:
    journal = Journal(queue, SteppedClock())
    sent = {"type": "org.camaraproject.webrtc-events.v0.session-status", "data": {"status": "Busy"}}
    with journal.transaction() as transaction:
        transaction.append([PublishEvent(sent | {"id": str(number)}) for number in range(3)])
    journal.settle([], [Rejected(journal.head(1)[0], "$.data: is not right")])
    # The adapter runs.
    done = run("gateway", "status", "--queue", str(queue))
    journal.close()
    assert done.returncode == 0
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("waiting   2 requests, ")
    assert lines[1].startswith("oldest    2027-01-15T08:00:00.000Z, ")
    assert lines[2] == "rejected  1"
    assert lines[3].endswith("session-status Busy id=0: $.data: is not right")
    shown = json.loads(run("gateway", "status", "--queue", str(queue), "--json").stdout)
    assert (shown["waiting"], shown["rejected"]) == (2, 1)
    assert shown["bytes"] > 0


def test_what_was_set_aside_is_shown_and_brought_back_while_the_adapter_runs(
    start: Callable[..., Running],  # noqa: F811
    queue: Path,
) -> None:
    journal = Journal(queue, SteppedClock())
    with journal.transaction() as transaction:
        transaction.append([PutRegistration("alice", {"owner": "a"})])
    journal.set_aside(journal.head(1)[0], "HTTP 403 PERMISSION_DENIED: no")
    journal.close()
    adapter = start(*command(queue, "--owner", "softphone"))
    adapter.await_output("Takes events of Janus")
    lines = run("gateway", "status", "--queue", str(queue)).stdout.decode().splitlines()
    assert lines[:3] == ["waiting   0 requests, 0 bytes", "rejected  0", "set aside 1"]
    assert lines[3].endswith("put registration: HTTP 403 PERMISSION_DENIED: no")
    assert "gateway requeue" in lines[4]
    assert "alice" not in "".join(lines)
    assert json.loads(run("gateway", "status", "--queue", str(queue), "--json").stdout)["setAside"] == 1
    for said in (b"1 requests are in the queue again.\n", b"Nothing was set aside.\n"):
        done = run("gateway", "requeue", "--queue", str(queue))
        assert (done.returncode, done.stdout) == (0, said)
    shown = json.loads(run("gateway", "status", "--queue", str(queue), "--json").stdout)
    assert (shown["waiting"], shown["setAside"]) == (1, 0)
    # The service is nowhere, so it waits; and the adapter has seen it.
    eventually(lambda: "the queue waits" in adapter.output)
    assert "Traceback" not in adapter.output


def test_status_says_why_the_queue_waits_and_what_to_do(queue: Path) -> None:
    journal = Journal(queue, SteppedClock())
    with journal.transaction() as transaction:
        transaction.append([PublishEvent({"id": "1"})])
    journal.explain(WaitingReason("HTTP 403 PERMISSION_DENIED: no", "give it the scope", 1_800_000_000_000))
    lines = run("gateway", "status", "--queue", str(queue)).stdout.decode().splitlines()
    assert lines[2] == "because   HTTP 403 PERMISSION_DENIED: no; since 2027-01-15T08:00:00.000Z"
    assert lines[3] == "to do     give it the scope. Nothing is lost meanwhile, within --queue-hours."
    shown = json.loads(run("gateway", "status", "--queue", str(queue), "--json").stdout)
    assert shown["waitsBecause"] == "HTTP 403 PERMISSION_DENIED: no"
    journal.settle(journal.head(1), [])
    journal.close()
    assert b"because" not in run("gateway", "status", "--queue", str(queue)).stdout


def test_requeue_of_what_is_no_queue_is_an_error(queue: Path) -> None:
    assert b"there is no such file" in run("gateway", "requeue", "--queue", str(queue)).stderr
    queue.write_text("no queue at all")
    done = run("gateway", "requeue", "--queue", str(queue))
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"is it a queue of an adapter?" in done.stderr
    queue.unlink()
    with closing(sqlite3.connect(queue)) as database:
        database.execute("CREATE TABLE of_another_program (x)")
    assert run("gateway", "requeue", "--queue", str(queue)).returncode == 1
    with closing(sqlite3.connect(queue)) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("of_another_program",)]


def test_status_of_what_is_no_queue_is_an_error(queue: Path) -> None:
    done = run("gateway", "status", "--queue", str(queue))
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"there is no such file" in done.stderr
    queue.write_text("no queue at all")
    done = run("gateway", "status", "--queue", str(queue))
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"is it a queue of an adapter?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), b"one of --registrations and --owner"),
        (("--owner", "a", "--registrations", "b"), b"one of --registrations and --owner"),
        (("--registrations", "nowhere.toml"), b"there is no such file"),
        (("--owner", "a", "--issuer", "http://127.0.0.1:9"), b"one of --issuer and --token-url"),
        (("--owner", "a", "--service", "events.example.com"), b"must start with http:// or https://"),
        (("--owner", "a", "--service", "http://"), b"must name a host: https://events.example.com"),
        (("--owner", "a", "--service", "https:///network"), b"must name a host"),
        (("--owner", "a", "--service", "http://:8080"), b"must name a host"),
        (("--owner", "a", "--service", "http://[::1"), b"must name a host, and a port that is a number"),
        (("--owner", "a", "--service", "http://host:port"), b"must name a host, and a port that is a number"),
        (("--owner", "a", "--domain", "10.0.0.1"), b"must be a name such as"),
        (("--owner", "a", "--listen", "8090"), b"must be host:port"),
        (("--owner", "a", "--password-file", "nowhere"), b"there is no such file"),
        (("--owner", "a", "--client-secret-file", "nowhere"), b"there is no such file"),
        (("--owner", "a", "--ca-file", "nowhere.pem"), b"there is no such file"),
    ],
)
def test_wrong_options_are_an_error_that_says_what_to_do(
    arguments: tuple[str, ...], words: bytes, queue: Path
) -> None:
    done = run(*command(queue, *arguments))
    assert done.returncode == 2, done.stderr
    assert words in b" ".join(done.stderr.split())
    assert b"Traceback" not in done.stderr
    assert not queue.exists()


def test_an_adapter_says_what_it_does_and_ends_when_asked(
    start: Callable[..., Running],  # noqa: F811
    queue: Path,
) -> None:
    adapter = start(*command(queue, "--owner", "softphone"))
    adapter.await_output("Takes events of Janus at http://127.0.0.1:")
    assert str(queue) in adapter.output
    second = run(*command(queue, "--owner", "softphone"))
    assert second.returncode == 1
    assert b"another adapter runs with this queue" in second.stderr
    assert adapter.stop(signal.SIGTERM) == 0
    assert "Traceback" not in adapter.output


def test_the_queue_of_an_adapter_that_was_killed_is_taken_over(
    start: Callable[..., Running],  # noqa: F811
    queue: Path,
) -> None:
    for _ in range(2):
        adapter = start(*command(queue, "--owner", "softphone"))
        adapter.await_output("Takes events of Janus")
        adapter.process.kill()
        adapter.process.wait()


def test_a_second_signal_does_not_wait_for_a_service_that_hangs(
    start: Callable[..., Running],  # noqa: F811
    queue: Path,
) -> None:
    with closing(Journal(queue, SystemClock())) as journal, journal.transaction() as transaction:
        transaction.append([PublishEvent({"id": "1"})])
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        hanging.settimeout(30)
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        adapter = start(*command(queue, "--owner", "softphone", "--token-url", url))
        adapter.await_output("Takes events of Janus")
        connection, _ = hanging.accept()
        adapter.process.send_signal(signal.SIGINT)
        eventually(lambda: not _listens(adapter))
        assert adapter.stop(signal.SIGTERM) == 130
        connection.close()
    with closing(Journal(queue, SystemClock())) as journal:
        assert len(journal.head(2)) == 1


def test_the_queue_of_another_kind_of_adapter_is_refused(queue: Path) -> None:
    with closing(Journal(queue, SystemClock())) as journal:
        journal.belong_to("kamailio")
    done = run(*command(queue, "--owner", "softphone"))
    assert done.returncode == 1
    assert b"it is that of gateway kamailio; name another file" in done.stderr


def _listens(adapter: Running) -> bool:
    port = adapter.output.partition("http://127.0.0.1:")[2].partition("/")[0]
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(port))) == 0
