"""A connection that is kept between calls answers none of them with what was meant for another."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.cluster.relays import EditingRelay, HalvingRelay
from tests.harness.clusters import Cluster
from tests.harness.valkeys import ValkeyServer, eventually
from webrtc_events.core.store_url import parse_store_url
from webrtc_events.store.redis.client import Client
from webrtc_events.store.redis.topology import Node, open_nodes

Open = Callable[[str], Client]

ANSWER, OTHER = "what was asked for first", "what was asked for after it"
STRAY = b"$5\r\nstray\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path) as server, server.client() as raw:
        raw.mset({"first": ANSWER, "other": OTHER})
        yield server


@pytest.fixture
def opened() -> Iterator[Open]:
    """A client of the store at a URL."""
    clients: list[Client] = []

    def make(url: str) -> Client:
        clients.append(Client(open_nodes(parse_store_url(url))))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def connection_id(client: Client) -> int:
    """The server's number of the connection that the next call uses."""
    ((number,),) = client.ask_each(("CLIENT ID",)).values()
    return int(number)


def in_use(client: Client) -> int:
    """How many places of the pool's 100 are taken."""
    return len(only(client).client.connection_pool._in_use_connections)


def only(client: Client) -> Node:
    (node,) = client.nodes.all()
    return node


def at_once(client: Client, server: ValkeyServer, threads: int = 5) -> set[int]:
    """The connections of so many threads that each have one at the same time. They end."""
    numbers: list[int] = []

    def call() -> None:
        number, _ = client.run([(("CLIENT", "ID"), {}), (("BLPOP", "gate", "0"), {})])
        numbers.append(number)

    running = [threading.Thread(target=call) for _ in range(threads)]
    for thread in running:
        thread.start()
    with server.client() as raw:
        eventually(lambda: raw.info("clients")["blocked_clients"] == threads, "all have one", every_s=0.002)
        raw.rpush("gate", *range(threads))
    for thread in running:
        thread.join()
    return set(numbers)


def test_a_call_has_the_connection_of_the_one_before(server: ValkeyServer, opened: Open) -> None:
    client = opened(server.url)
    number = connection_id(client)
    # An error that the server answers is an answer.
    assert isinstance(client.run([(("LPUSH", "first", "1"), {})])[0], redis.ResponseError)
    assert client.get("first") == ANSWER
    assert connection_id(client) == number


def test_a_thread_that_ends_leaves_its_connection_to_others(server: ValkeyServer, opened: Open) -> None:
    client = opened(server.url)
    before = at_once(client, server)
    assert len(before) == 5
    assert at_once(client, server) == before
    assert in_use(client) == 5


@pytest.fixture
def failing(server: ValkeyServer, opened: Open) -> Client:
    """Its calls of STRLEN fail when the answer is there, by a bug."""
    client = opened(server.url)

    def fail(answer: Any) -> None:
        raise ZeroDivisionError(answer)

    only(client).client.set_response_callback("STRLEN", fail)
    return client


def test_what_fails_on_the_way_leaves_its_place_in_the_pool(failing: Client) -> None:
    for _ in range(120):
        with pytest.raises(ZeroDivisionError):
            failing.run([(("STRLEN", "first"), {}), (("GET", "first"), {})])
    assert failing.get("other") == OTHER
    assert in_use(failing) == 1


def test_an_answer_to_come_to_what_failed_on_the_way_is_read_by_nobody(failing: Client) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            # The second is answered after a while, with nothing.
            failing.run([(("STRLEN", "first"), {}), (("BLPOP", "gate", "0.2"), {})])
        assert failing.get("other") == OTHER


@pytest.mark.parametrize("breaks_off", [False, True])
def test_the_rest_of_an_answer_that_came_too_late_is_read_by_nobody(
    server: ValkeyServer, opened: Open, *, breaks_off: bool
) -> None:
    relay = HalvingRelay(server.port)
    client = opened(f"redis://127.0.0.1:{relay.port}")
    number = connection_id(client)
    relay.mark, relay.breaks_off = ANSWER.encode(), breaks_off
    with pytest.raises(redis.TimeoutError):
        client.get("first")
    relay.go_on.set()
    assert [client.get("other") for _ in range(3)] == [OTHER] * 3
    assert client.get("first") == ANSWER
    assert connection_id(client) != number
    relay.close()


def test_an_answer_that_breaks_off_is_asked_for_again_on_another_connection(
    server: ValkeyServer, opened: Open
) -> None:
    relay = HalvingRelay(server.port)
    client = opened(f"redis://127.0.0.1:{relay.port}")
    number = connection_id(client)
    relay.mark, relay.breaks_off = ANSWER.encode(), True
    relay.go_on.set()
    assert client.run([(("GET", "first"), {}), (("GET", "other"), {})]) == [ANSWER, OTHER]
    assert connection_id(client) != number
    relay.close()


def test_an_answer_that_nobody_asked_for_is_read_by_nobody(server: ValkeyServer, opened: Open) -> None:
    relay = EditingRelay(server.port, bytes)
    client = opened(f"redis://127.0.0.1:{relay.port}")
    number = connection_id(client)
    # It comes with the answer to another command, so that it is there before the next is sent.
    relay.edit = lambda data: data + STRAY if ANSWER.encode() in data else data
    assert client.get("first") == ANSWER
    assert client.get("other") == OTHER
    assert connection_id(client) != number
    relay.close()


def test_a_store_that_was_started_anew_is_reached_at_once_by_every_call(
    server: ValkeyServer, opened: Open
) -> None:
    client = opened(server.url)
    at_once(client, server)
    server.stop()
    with pytest.raises(redis.ConnectionError):
        client.get("first")
    server.start()
    server.wait_ready()
    with server.client() as raw:
        raw.set("first", ANSWER)
    assert [client.get("first") for _ in range(6)] == [ANSWER] * 6
    assert len(at_once(client, server)) == 5
    assert in_use(client) == 5


def test_connections_that_the_store_closed_while_idle_are_replaced(
    server: ValkeyServer, opened: Open
) -> None:
    client = opened(server.url)
    at_once(client, server)
    with server.client() as raw:
        raw.client_kill_filter(skipme=True)
    # As it must not be sent twice, each has to be open.
    answers = [client.run([(("GET", "first"), {})], repeats=False) for _ in range(6)]
    assert answers == [[ANSWER]] * 6


def test_those_to_a_store_that_does_not_answer_are_given_up_together(
    server: ValkeyServer, opened: Open
) -> None:
    client = opened(server.url)
    before = at_once(client, server)
    server.pause()
    with pytest.raises(redis.TimeoutError):
        client.get("first")
    server.resume()
    eventually(lambda: client.get("first") == ANSWER, "it answers again")
    assert not at_once(client, server) & before
    assert in_use(client) == 5


def test_those_to_a_node_of_a_cluster_that_does_not_answer_are_given_up(
    cluster: Cluster, opened: Open
) -> None:
    client = opened(cluster.url)
    first, second = (
        next(key for key in "abcdefgh" if cluster.master_of(key) is m) for m in cluster.masters[:2]
    )
    client.run([(("SET", first, "1"), {}), (("SET", second, "2"), {})])
    silent, other = client.nodes.of(first), client.nodes.of(second)
    assert (client._kept.count(silent), client._kept.count(other)) == (1, 1)
    cluster.masters[0].pause()
    with pytest.raises(redis.TimeoutError):
        client.get(first)
    assert (client._kept.count(silent), client._kept.count(other)) == (0, 1)
    cluster.masters[0].resume()
    eventually(lambda: client.get(first) == "1", "it answers again")
    assert client.get(second) == "2"


def test_after_a_failover_those_to_the_former_master_are_given_up(server: ValkeyServer, opened: Open) -> None:
    client = opened(server.url)
    before = at_once(client, server)
    former = only(client)
    # As the thread does that asks the Sentinels.
    client.nodes._renew()  # type: ignore[attr-defined]
    assert connection_id(client) not in before
    assert in_use(client) == 1
    # One that was under way meanwhile is given up when it is over.
    late = former.client.connection_pool.get_connection()
    client._kept.keep(former, late)
    assert in_use(client) == 1


def test_a_process_that_was_forked_leaves_the_connections_to_its_parent(
    server: ValkeyServer, opened: Open
) -> None:
    client = opened(server.url)
    number = connection_id(client)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        # Nothing of the test goes on in it, however it ends.
        try:
            os.write(writing, f"{connection_id(client)} {client.get('other')}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        childs_number, _, answer = said.read().partition(" ")
    os.waitpid(child, 0)
    assert answer == OTHER
    assert int(childs_number) != number
    assert connection_id(client) == number
    assert client.get("first") == ANSWER


def test_what_was_closed_opens_again_for_who_calls(server: ValkeyServer, opened: Open) -> None:
    client = opened(server.url)
    number = connection_id(client)
    client.close()
    assert in_use(client) == 0
    assert connection_id(client) != number
