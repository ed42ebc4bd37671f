"""Commands that are begun are answered as those that are waited for, however they end."""

import socket

import pytest
import redis

from tests.harness.valkeys import eventually
from webrtc_events.store.redis.begun import Begun
from webrtc_events.store.redis.client import Client
from webrtc_events.store.store import Store

SET, GET = (("SET", "{a}", "1"), {}), (("GET", "{a}"), {})


@pytest.fixture
def client(store: Store) -> Client:
    return store.client


def begun(client: Client, *commands: tuple[tuple[str, ...], dict[str, object]]) -> Begun:
    client.keep(commands)
    found = client.begin(commands)
    assert found is not None
    found.send()
    return found


def test_without_a_connection_nothing_is_begun(client: Client) -> None:
    assert client.begin([SET]) is None


def test_answers_are_taken_as_they_come(client: Client) -> None:
    under_way = begun(client, SET, GET)
    assert under_way.is_sent
    assert len(under_way.descriptors) == 1
    eventually(lambda: under_way.receive() and under_way.is_over, "all have come")
    assert under_way.is_clean
    assert under_way.descriptors == []
    assert client.run(under_way.commands, begun=under_way)[1] == "1"
    client.end(under_way)
    client.end(under_way)
    # Its connection is used again.
    again = client.begin([GET])
    assert again is not None
    again.send()
    client.end(again)


def test_a_connection_with_answers_to_come_is_closed(client: Client) -> None:
    client.end(begun(client, GET))
    assert client.begin([GET]) is None


def test_who_waits_gets_what_is_still_to_come(client: Client) -> None:
    under_way = begun(client, SET, GET)
    assert client.run(under_way.commands, begun=under_way)[1] == "1"
    client.end(under_way)


def test_what_does_not_fit_into_the_socket_is_sent_by_who_waits(client: Client) -> None:
    large = "x" * 32_000_000
    under_way = begun(client, (("SET", "{a}", large), {}), (("STRLEN", "{a}"), {}))
    assert not under_way.is_sent
    assert client.run(under_way.commands, begun=under_way)[1] == len(large)
    client.end(under_way)


def test_what_is_given_up_was_not_answered_in_time(client: Client) -> None:
    under_way = begun(client, GET)
    under_way.give_up()
    assert under_way.is_over
    assert not under_way.is_clean
    (answer,) = client.run(under_way.commands, begun=under_way)
    assert isinstance(answer, redis.TimeoutError)
    client.end(under_way)


@pytest.mark.parametrize("repeats", [True, False])
def test_what_breaks_is_repeated_unless_it_must_not_be(client: Client, *, repeats: bool) -> None:
    client.run([SET])
    # Nothing is answered before the first is, after a second.
    under_way = begun(client, (("BLPOP", "{a}:none", "1"), {}), GET)
    under_way._parts[0].socket.shutdown(socket.SHUT_RDWR)
    eventually(under_way.receive, "its end is noticed")
    answers = client.run(under_way.commands, repeats=repeats, begun=under_way)
    client.end(under_way)
    assert answers == [None, "1"] if repeats else isinstance(answers[1], redis.ConnectionError)
