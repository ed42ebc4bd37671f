"""Entries of outboxes that cannot be read become dead letters; what is behind them is delivered."""

from collections.abc import Mapping

import pytest

from tests.store.damage.conftest import FAR, GARBLED, NEAR, NEIGHBOUR, P, Service, others

ENTRIES = [
    *GARBLED.values(),
    b"1 0 5",
    b"1 7 1 1 1\n{}",
    b"x 0 1 1 1\n{}",
    b"99999999999 0 1000 9999999999999 1\n{}",
    b'1 0 1000 9999999999999 1\n{"type": "\xff"}',
    b"1 0 1000 9999999999999 1\n" + b"[" * 100_000,
    b"1 1 9" + b"9" * 30 + b" 99999999999999999999999999999999999 0\nSUBSCRIPTION_EXPIRED",
    b"1 1 1000 9999999999999 0\nNO_REASON",
    b"0 0 1000 9999999999999 1\n{}",
]


def damaged_outbox(service: Service, path: str, entry: bytes, command: str) -> str:
    victim = service.subscribe(path, NEAR)
    getattr(service.raw, command)(P.outbox(victim), entry)
    service.raw.zadd(P.due, {victim: 1})
    return victim


def all_get_what_is_behind(service: Service, case: int, damaged: Mapping[str, bytes]) -> None:
    """`damaged` has the entry of each path."""
    paths = others(service, case)
    # The number of the first may be that of the damaged one.
    for registration in (NEAR, NEAR, NEIGHBOUR, FAR):
        service.publish(registration)
    lasting = [path for path, entry in damaged.items() if not entry.startswith(b"1 1 1000 ")]
    service.waits_for(*paths, *lasting)


COMMANDS = ("lpush", "rpush")


def test_all_entries_of_outboxes(service: Service) -> None:
    """An outbox for each, and for each end of it."""
    cases = {
        f"/{command}{number}": (entry, command)
        for number, entry in enumerate(ENTRIES)
        for command in COMMANDS
    }
    victims = [damaged_outbox(service, path, entry, command) for path, (entry, command) in cases.items()]
    all_get_what_is_behind(service, 0, {path: entry for path, (entry, _) in cases.items()})
    service.is_well(*victims)


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES, ids=range(len(ENTRIES)))
def test_an_entry_of_an_outbox(service: Service, entry: bytes) -> None:
    """Wherever it is in the outbox, what is behind it is delivered to its own subscription too."""
    for case, command in enumerate(COMMANDS):
        victim = damaged_outbox(service, f"/victim{case}", entry, command)
        all_get_what_is_behind(service, case, {f"/victim{case}": entry})
        service.is_well(victim)


def test_a_damaged_entry_is_a_dead_letter_with_its_bytes(service: Service) -> None:
    victim = service.subscribe("/victim", NEAR)
    service.raw.rpush(P.outbox(victim), b"garbled \xff\x00 bytes")
    service.raw.rpush(P.outbox(victim), b"x" * 1_000_000)
    service.raw.zadd(P.due, {victim: 1})
    service.publish(NEAR)
    service.waits_for("/victim")
    dead_letters = [fields for _, fields in service.raw.xrange(P.dead)]
    assert [dead_letter[b"reason"] for dead_letter in dead_letters] == [b"damaged", b"damaged"]
    assert dead_letters[0][b"entry"] == b"garbled \xff\x00 bytes"
    assert len(dead_letters[1][b"entry"]) == 65536
    assert victim in service.caplog.text


def test_the_end_whose_entry_is_damaged_is_sent_all_the_same(service: Service) -> None:
    victim = service.subscribe("/victim", NEAR)
    service.raw.hset(
        P.subscription(victim), mapping={"status": "EXPIRED", "end_reason": "NETWORK_TERMINATED"}
    )
    service.raw.rpush(P.outbox(victim), b"\xff\xff")
    service.raw.zadd(P.due, {victim: 1})
    service.waits_for("/victim")
    (got,) = service.sink.requests
    assert got.json["data"]["terminationReason"] == "NETWORK_TERMINATED"
