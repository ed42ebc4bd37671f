"""What is remembered of each client, and of whom no longer."""

from webrtc_events.delivery.client_accounts import ClientAccounts
from webrtc_events.delivery.shares import Pool


def test_a_client_has_one_account() -> None:
    accounts = ClientAccounts(10)
    mine = accounts.get("a")
    assert accounts.get("a") is mine
    assert accounts.get("b") is not mine
    assert mine.idle


def test_of_too_many_those_that_are_idle_are_forgotten() -> None:
    accounts, permits, queues = ClientAccounts(3), Pool(10), Pool(10)
    sending, waiting, idle = (accounts.get(name) for name in ("sending", "waiting", "idle"))
    permits.take(sending.permits, prompt=True)
    queues.take(waiting.waiting, prompt=False)
    assert (sending.idle, waiting.idle, idle.idle) == (False, False, True)
    assert accounts.get("idle") is idle
    accounts.get("one more")
    assert accounts.get("sending") is sending
    assert accounts.get("waiting") is waiting
    assert accounts.get("idle") is not idle


def test_nobody_is_forgotten_while_there_is_room() -> None:
    accounts = ClientAccounts(3)
    known = [accounts.get(f"c{number}") for number in range(3)]
    assert [accounts.get(f"c{number}") for number in range(3)] == known
    accounts.get("one more")
    assert accounts.get("c0") is not known[0]
