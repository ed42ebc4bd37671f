"""A channel over a WebSocket: the events, ids and bounds of the stream, and acknowledgements on it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.channels.conftest import Stack
from tests.harness.valkeys import CLOCK, eventually
from webrtc_events.api import websocket_protocol
from webrtc_events.channels import readers
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.channel_logs import ChannelLogs
from webrtc_events.store.channel_records import ChannelRecords

# More than the buffers between server and reader take, of 400 events, and room for all of them.
LONG = "a=" + 30_000 * "x"
ROOM = {"channel_bytes": 64_000_000}


def test_a_message_is_an_event_of_the_stream(service: Stack) -> None:
    channel = service.make()
    service.subscribed(channel)
    socket, stream = service.open(channel), service.read(channel)
    numbers = service.publish(3)
    assert socket.wait_events(3).numbers() == numbers
    streamed = stream.wait_events(3).events
    assert [(event.id, event.type, event.json) for event in socket.events] == [
        (event.id, event.type, event.json) for event in streamed
    ]


def test_a_reader_that_comes_back_goes_on_behind_its_last_event_whichever_way(service: Stack) -> None:
    channel = service.make()
    service.subscribed(channel)
    numbers = service.publish(6)
    first = service.open(channel).wait_events(6)
    first.close()
    assert first.numbers() == numbers
    assert service.open(channel, first.events[2].id).wait_events(3).numbers() == numbers[3:]
    assert service.read(channel, first.events[2].id).wait_events(3).numbers() == numbers[3:]
    assert service.open(channel).wait_events(6).numbers() == numbers


def test_a_log_that_was_trimmed_says_how_much_was_missed(service_with: Callable[..., Stack]) -> None:
    service = service_with(channel_length=10)
    channel = service.make()
    service.subscribed(channel)
    first = service.open(channel)
    service.publish(5)
    first.wait_events(5).close()
    other = service.open(channel, first.last_id)
    numbers = service.publish(30)
    eventually(lambda: other.numbers()[-1:] == numbers[-1:], "the latest is there")
    late = service.open(channel, first.last_id).wait_events(11)
    assert (late.types[0], late.events[0].json) == ("gap", {"missed": 20})
    assert late.numbers() == numbers[-10:]


def test_what_is_acknowledged_is_not_read_again(service: Stack) -> None:
    channel = service.make()
    service.subscribed(channel)
    numbers = service.publish(5)
    reader = service.open(channel).wait_events(5)
    for _ in range(2):
        cursor = reader.events[2].id
        assert reader.acknowledge(cursor) == {"event": "acknowledged", "data": {"cursor": cursor}}
    # An earlier one later changes nothing, nor one of another partition.
    reader.acknowledge(reader.events[0].id)
    reader.acknowledge("63-7.60000-1")
    assert service.open(channel).wait_events(2).numbers() == numbers[3:]
    assert service.read(channel).wait_events(2).numbers() == numbers[3:]


def test_an_acknowledgement_in_an_outage_is_answered_with_an_error_and_may_be_sent_again(
    service_with: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledge, outages = ChannelLogs.acknowledge_some, iter(range(1))

    def out_at_first(*args: Any) -> Any:
        return acknowledge(*args) if next(outages, None) is None else [Unavailable() for _ in args[1]]

    monkeypatch.setattr(ChannelLogs, "acknowledge_some", out_at_first)
    service = service_with()
    channel = service.make()
    service.subscribed(channel)
    service.publish(2)
    reader = service.open(channel).wait_events(2)
    answer = reader.acknowledge(reader.last_id)
    assert answer["event"] == "error"
    assert (answer["data"]["status"], answer["data"]["code"]) == (503, "UNAVAILABLE")
    assert reader.acknowledge(reader.last_id)["event"] == "acknowledged"
    numbers = service.publish(1)
    assert service.open(channel).wait_events(1).numbers() == numbers


def test_a_deleted_channel_closes_its_readers(service: Stack) -> None:
    channel = service.make()
    service.subscribed(channel)
    reader = service.open(channel)
    assert service.delete(channel).status_code == 204
    reader.wait_end()
    assert (reader.code, reader.reason) == (4404, "NOT_FOUND: The channel has ended.")
    late = service.open(channel).wait_end()
    assert (late.code, late.reason) == (4404, "NOT_FOUND: There is no such resource.")


def test_a_server_that_stops_says_so_and_its_readers_go_on_at_the_next(service: Stack) -> None:
    channel = service.make()
    service.subscribed(channel)
    numbers = service.publish(3)
    reader = service.open(channel).wait_events(3)
    service.stop_api()
    reader.wait_end()
    assert (reader.code, reader.reason) == (1001, "the service stops")
    service.start_api()
    numbers += service.publish(3)
    again = service.open(channel, reader.last_id).wait_events(3)
    assert reader.numbers() + again.numbers() == numbers


def test_a_look_that_met_an_outage_is_made_again_soon(
    service: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What no reader was told of is found by it: not only 15 minutes later."""
    monkeypatch.setattr(readers.Readers, "_tell", lambda self: self._told.clear())
    channel = service.make()
    reader = service.open(channel)
    use, outages = ChannelRecords.use, iter(range(2))

    def out(*args: object) -> object:
        if next(outages, None) is not None:
            raise Unavailable
        return use(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(ChannelRecords, "use", out)
    service.subscribed(channel)
    numbers = service.publish(2)
    assert reader.wait_events(2).numbers() == numbers
    assert caplog.text.count("channels are not renewed") == 1


def test_a_heartbeat_is_a_ping(service: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's library answers by itself, so the reader stays."""
    monkeypatch.setattr(websocket_protocol, "_PING_S", 0.1)
    monkeypatch.setattr(websocket_protocol, "_PONG_S", 30.0)
    channel = service.make()
    service.subscribed(channel)
    reader = service.open(channel)
    CLOCK.sleep(1)
    numbers = service.publish(1)
    assert reader.wait_events(1).numbers() == numbers


def test_a_ping_of_the_client_is_answered(service: Stack) -> None:
    assert service.open(service.make()).is_answered(20)
