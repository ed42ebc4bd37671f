"""How much a worker asks for, by what it holds."""

import dataclasses

from webrtc_events.core.model import Claim, OutboxItem, OutboxKind
from webrtc_events.core.settings import Settings
from webrtc_events.delivery.held_bytes import HeldBytes, HeldLimits

LIMITS = HeldLimits(worker=1000, claim=400, event=100)


def claim(*sizes: int) -> Claim:
    items = tuple(
        OutboxItem(number, OutboxKind.EVENT, 0, 1, 0, "x" * size)
        for number, size in enumerate(sizes, start=1)
    )
    return Claim(
        subscription_id="s",
        fence=1,
        now_ms=0,
        lease_until_ms=1,
        sink="https://a.example/",
        headers={},
        credential=None,
        attempts=0,
        end_once=False,
        contract="0.2",
        origin="",
        rate=None,
        client="app",
        items=items,
    )


def test_the_more_it_holds_the_fewer_partitions_it_asks() -> None:
    held = HeldBytes(LIMITS)
    assert held.partitions == 10
    held.take("a", claim(300, 250))
    assert held.partitions == 4
    held.take("b", claim(400))
    assert held.partitions == 0
    held.give("b")
    held.give("b")
    assert held.partitions == 4
    held.give("a", "b")
    assert held.partitions == 10


def test_one_that_holds_nothing_always_asks() -> None:
    """However small it is: the largest event must get out."""
    held = HeldBytes(dataclasses.replace(LIMITS, worker=50))
    assert held.partitions == 1
    held.take("a", claim(5000))
    assert held.partitions == 0


def test_each_partition_is_asked_for_a_share_in_which_the_largest_event_fits() -> None:
    held = HeldBytes(LIMITS)
    assert [held.share(partitions) for partitions in (1, 5, 10)] == [400, 200, 100]
    held.take("a", claim(755))
    assert held.share(held.partitions) == 122


def test_a_partition_that_gave_as_much_as_fits_may_have_more() -> None:
    held = HeldBytes(LIMITS)
    assert not held.may_be_cut(400, [claim(100, 100), claim(100)])
    assert held.may_be_cut(400, [claim(100, 100), claim(101)])


def test_what_nobody_holds_is_given_back_without_effect() -> None:
    held = HeldBytes(LIMITS)
    held.take("a", claim(800))
    held.give("b")
    assert held.share(1) == 200


def test_the_limits_are_those_of_the_settings() -> None:
    environ = {
        "WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:1/0",
        "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "http://127.0.0.1:1/.well-known/openid-configuration",
        "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
    }
    settings = Settings.from_environ(environ)
    limits = HeldLimits.of(settings)
    assert (limits.worker, limits.claim, limits.event) == (
        settings.worker_bytes,
        settings.claim_bytes,
        settings.event_bytes,
    )
    assert len({limits.worker, limits.claim, limits.event}) == 3
