"""Many calls while the adapter does not read: SIP goes on as before, and all of it comes in the end."""

import signal
import uuid

from tests.gateways.real.kamailio.conftest import Way
from tests.harness.commands import eventually

CALLS = 500
RATE = 100


def test_calls_go_on_while_the_adapter_is_stopped(way: Way) -> None:
    """Not one is retransmitted for it. Then each invitation comes, once and in order."""
    way.register("bob")
    invitations = way.subscribe("session-invitation", "bob")
    way.adapter.process.send_signal(signal.SIGSTOP)
    run = uuid.uuid4().hex
    answering = way.sipp.begin("callee-is-busy", port=way.contacts["bob"], calls=CALLS)
    statistics = way.queue.with_name("calls.csv")
    way.sipp.run(
        "caller-gets-486",
        *("-cid_str", f"call-%u-{run}", "-r", str(RATE), "-l", str(CALLS)),
        *("-trace_stat", "-stf", str(statistics)),
        calls=CALLS,
    )
    answering.finish()
    names, *_, last = statistics.read_text().splitlines()
    figures = dict(zip(names.split(";"), last.split(";"), strict=False))
    assert figures["SuccessfulCall(C)"] == str(CALLS)
    assert figures["Retransmissions(C)"] == "0"
    assert way.received(invitations) == []
    way.adapter.process.send_signal(signal.SIGCONT)
    eventually(lambda: len(way.received(invitations)) >= CALLS, 60)
    sessions = [event["data"]["mediaSessionId"] for event in way.received(invitations)]
    assert sorted(sessions, key=lambda name: int(name.split("-")[1])) == [
        f"call-{number}-{run}" for number in range(1, CALLS + 1)
    ]
    assert way.kamailio.errors == []


def test_what_kamailio_has_no_room_for_is_counted_and_the_adapter_asks(way: Way) -> None:
    """The bound is of bytes: SIP goes on, the log says how many were lost, registrations go on."""
    way.register("bob")
    way.adapter.process.kill()
    way.adapter.process.wait()
    way.kamailio.stop()
    way.kamailio.start("WEBRTC_EVENTS_MAX_BYTES=20000")
    way.register_only("bob", sequence=2)
    answering = way.sipp.begin("callee-is-busy", port=way.contacts["bob"], calls=20)
    way.sipp.run("caller-gets-486", "-r", "20", calls=20)
    answering.finish()
    way.start_adapter()
    way.adapter.await_output("Kamailio had no room for")
    invitations = way.subscribe("session-invitation", "bob")
    answering = way.callee("callee-is-busy")
    way.sipp.run("caller-gets-486", "-cid_str", "after-%u")
    answering.finish()
    eventually(lambda: "after-1" in [event["data"]["mediaSessionId"] for event in way.received(invitations)])
