"""The queues of tasks that wait for busy hosts, and how much may wait."""

from webrtc_events.delivery.client_accounts import ClientAccount
from webrtc_events.delivery.host_queues import HostQueues


def queued(*entries: tuple[str, int, ClientAccount, bool], size: int = 100) -> HostQueues[int]:
    """Host, task, client, and whether the host is prompt."""
    queues: HostQueues[int] = HostQueues(size)
    for host, task, client, prompt in entries:
        queues.put(host, task, client, prompt=prompt)
    return queues


def test_each_host_has_its_queue_in_order() -> None:
    client = ClientAccount()
    queues = queued(("a", 1, client, True), ("b", 2, client, False), ("a", 3, client, False))
    assert (queues.hosts, queues.count("a"), queues.count("b"), queues.count("c")) == (["a", "b"], 2, 1, 0)
    assert (client.waiting.used, client.waiting.others) == (3, 2)
    assert [queues.take("a") for _ in range(3)] == [1, 3, None]
    assert queues.hosts == ["b"]
    assert (client.waiting.used, client.waiting.others) == (1, 1)


def test_the_first_of_a_client_that_may_go_goes() -> None:
    greedy, other = ClientAccount(), ClientAccount()
    queues = queued(("a", 1, greedy, True), ("a", 2, other, True), ("a", 3, other, True))
    assert queues.take("a", lambda client: client is other) == 2
    assert (queues.count("a"), other.waiting.used) == (2, 1)
    assert queues.take("a", lambda _: False) is None
    assert queues.take("a") == 1


def test_what_came_while_the_host_was_prompt_goes_and_the_rest_stays_in_order() -> None:
    client = ClientAccount()
    prompts = (False, True, False, True, True, False)
    queues = queued(*(("a", task, client, prompt) for task, prompt in enumerate(prompts)))
    assert queues.take_prompt("a") == [1, 3, 4]
    assert (client.waiting.used, client.waiting.others) == (3, 3)
    assert [queues.take("a") for _ in range(4)] == [0, 2, 5, None]


def test_clear_gives_back_all() -> None:
    client = ClientAccount()
    queues = queued(("a", 1, client, True), ("b", 2, client, False), ("a", 3, client, False))
    assert queues.clear() == [1, 3, 2]
    assert (queues.hosts, queues.room_of_one, client.waiting.used) == ([], queued().room_of_one, 0)


def test_for_a_prompt_host_waits_what_it_does_in_a_second() -> None:
    client = ClientAccount()
    queues = queued(("a", 1, client, True), ("a", 2, client, True))
    assert queues.has_room("a", client, 2.5, prompt=True)
    assert not queues.has_room("a", client, 2.0, prompt=True)
    assert queues.has_room("b", client, 0.5, prompt=True)


def test_one_host_that_is_prompt_may_have_all_the_room_that_there_is() -> None:
    queues: HostQueues[int] = HostQueues(4)
    for task, client in enumerate([ClientAccount() for _ in range(4)]):
        assert queues.has_room("a", client, 1000.0, prompt=True)
        queues.put("a", task, client, prompt=True)
    assert not queues.has_room("a", ClientAccount(), 1000.0, prompt=True)


def test_one_that_is_not_has_a_share_of_half_of_it() -> None:
    """Of 64 half, less a sixteenth of all, and a sixteenth of what is left: one."""
    queues: HostQueues[int] = HostQueues(64)
    client = ClientAccount()
    assert queues.has_room("a", client, 1000.0, prompt=False)
    queues.put("a", 1, client, prompt=False)
    assert not queues.has_room("a", client, 1000.0, prompt=False)
    assert queues.has_room("b", client, 1000.0, prompt=False)
    assert queues.has_room("a", client, 1000.0, prompt=True)


def test_a_client_has_no_more_than_its_part() -> None:
    """Four times what is left: 80 of 100. It was not a matter of the host."""
    queues: HostQueues[int] = HostQueues(100)
    client, waiting = ClientAccount(), 0
    while queues.has_room(f"h{waiting}", client, 1000.0, prompt=True):
        queues.put(f"h{waiting}", waiting, client, prompt=True)
        waiting += 1
    assert waiting == 80
    assert queues.room_of_one == 0
    assert queues.has_room("h", ClientAccount(), 1000.0, prompt=True)


def test_what_waits_for_hosts_that_are_not_prompt_takes_no_room_from_those_that_are() -> None:
    clients = [ClientAccount() for _ in range(2)]
    entries = [(f"h{number}", number, clients[number >= 32], False) for number in range(48)]
    queues = queued(*entries, size=96)
    for client in clients:
        assert queues.has_room("fine", client, 1000.0, prompt=True)
        assert not queues.has_room("slow", client, 1000.0, prompt=False)
