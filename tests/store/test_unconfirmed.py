"""What is remembered of subscriptions that were made has bounds."""

from webrtc_events.store.unconfirmed import Unconfirmed


def test_each_is_taken_once() -> None:
    unconfirmed = Unconfirmed()
    for number in range(3):
        unconfirmed.add("app", f"s{number}")
    unconfirmed.add("other", "t")
    assert unconfirmed.take("app") == ["s0", "s1", "s2"]
    assert unconfirmed.take("app") == []
    assert unconfirmed.take("other") == ["t"]


def test_the_latest_are_remembered() -> None:
    unconfirmed = Unconfirmed()
    for number in range(250):
        unconfirmed.add("app", f"s{number}")
    assert unconfirmed.take("app") == [f"s{number}" for number in range(150, 250)]


def test_the_clients_that_made_one_last_are_remembered() -> None:
    unconfirmed = Unconfirmed()
    for number in range(1_000):
        unconfirmed.add(f"c{number}", "s")
    unconfirmed.add("c0", "t")
    unconfirmed.add("another", "u")
    assert unconfirmed.take("c0") == ["s", "t"]
    assert unconfirmed.take("c1") == []
    assert unconfirmed.take("c2") == ["s"]
