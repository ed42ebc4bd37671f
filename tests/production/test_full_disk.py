"""The store's disk is full: what gateways and load balancers get, and that nothing accepted is lost."""

import pytest

from tests.harness.valkeys import eventually
from tests.production.service import Make, Service, restarted

pytestmark = pytest.mark.slow


def publish_until_refused(running: Service, first: int, max_events: int = 2_000) -> list[str]:
    """The sessions of those that were accepted."""
    accepted = []
    for number in range(first, first + max_events):
        answer = running.publish(number, session=f"m{number}")
        if answer.status_code == 503:
            return accepted
        assert answer.status_code == 202, answer.text
        accepted.append(f"m{number}")
    raise AssertionError(f"{max_events} events were taken")


def delivered(running: Service) -> set[str]:
    """The sessions of what the sink got."""
    return {request.json["data"].get("mediaSessionId") for request in running._sink.requests}


def is_ready(running: Service, status: int) -> bool:
    """As both processes of the API say; the one that answers is as it happens."""
    return all(running.ready()[0] == status for _ in range(10))


def test_a_store_that_takes_no_writes_is_not_ready_within_seconds(service: Make) -> None:
    running, server = service({"save": "", "appendonly": "yes", "appendfsync": "everysec"})
    running.start()
    assert running.subscribe().status_code == 201
    assert running.ready()[1]["store"] == {"status": "ok"}
    server.limit_files(20_000)
    accepted = publish_until_refused(running, 0)
    eventually(lambda: is_ready(running, 503), "it is not ready", 5)
    status, checks = running.ready()
    assert (status, checks["store"]["status"]) == (503, "unavailable")
    assert "takes no writes" in checks["store"]["detail"]
    server.limit_files()
    eventually(lambda: is_ready(running, 200), "it is ready again", 5)
    assert running.publish(9_000, session="m9000").status_code == 202
    wanted = {*accepted, "m9000"}
    eventually(lambda: delivered(running) >= wanted, "all that was accepted is delivered", 60)


def test_a_store_that_syncs_always_and_ends_on_a_full_disk_loses_nothing(service: Make) -> None:
    """Such a server ends by itself when it cannot write: what it answered is in its file."""
    running, server = service({"save": "", "appendonly": "yes", "appendfsync": "always"})
    running.start()
    assert running.subscribe().status_code == 201
    wanted: set[str] = set()
    for repeat in range(2):
        server.limit_files((repeat + 1) * 40_000)
        wanted |= set(publish_until_refused(running, repeat * 10_000))
        eventually(lambda: server._process is None or server._process.poll() is not None, "it ends", 20)
        assert "AOF write error" in server.log.read_text() or "write to the AOF" in server.log.read_text()
        eventually(lambda: is_ready(running, 503), "it is not ready", 10)
        # There is room again.
        restarted(server)
        eventually(lambda: is_ready(running, 200), "it is ready again", 20)
    assert len(wanted) > 2
    eventually(lambda: delivered(running) >= wanted, "all that was accepted is delivered", 60)
