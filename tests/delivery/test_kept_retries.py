"""What is remembered of retries that wait for a host, and what is forgotten."""

from webrtc_events.delivery.kept_retries import KeptRetries
from webrtc_events.store.retries import WaitingRetry

SIZE = 100


def retry(number: int) -> WaitingRetry:
    return WaitingRetry(f"s-{number}", number)


def kept(*numbers: int, host: str = "h", client: str = "c", until_s: float = 60.0) -> KeptRetries:
    retries = KeptRetries(SIZE)
    for number in numbers:
        retries.add(host, client, retry(number), until_s, 0.0)
    return retries


def test_what_has_waited_longest_goes_first_and_is_then_forgotten() -> None:
    retries = kept(1, 2)
    assert [retries.take("h", "c", 1.0) for _ in range(3)] == [retry(1), retry(2), None]
    assert ("h" in retries, len(retries), list(retries.clients("h"))) == (False, 0, [])


def test_what_is_due_by_itself_is_not_taken() -> None:
    retries = kept(1, until_s=5.0)
    retries.add("h", "c", retry(2), 6.0, 0.0)
    assert retries.take("h", "c", 5.0) == retry(2)
    assert kept(1, until_s=5.0).take("h", "c", 5.0) is None


def test_nothing_is_kept_for_another_host_or_client() -> None:
    retries = kept(1)
    assert retries.take("other", "c", 1.0) is None
    assert retries.take("h", "other", 1.0) is None
    assert len(retries) == 1


def test_clients_of_a_host_take_turns() -> None:
    retries = kept(1, 2)
    retries.add("h", "d", retry(3), 60.0, 0.0)
    assert list(retries.clients("h")) == ["c", "d"]
    retries.take("h", "c", 1.0)
    assert list(retries.clients("h")) == ["d", "c"]


def test_what_does_not_fit_is_not_kept() -> None:
    retries = kept(*range(200))
    assert len(retries) == 80
    retries.add("h", "other", retry(1), 60.0, 0.0)
    assert len(retries) == 81


def test_what_is_due_by_itself_leaves_its_room() -> None:
    retries = kept(*range(80), until_s=5.0)
    retries.add("elsewhere", "c", retry(99), 60.0, 4.0)
    assert len(retries) == 80
    # All are looked at every ten seconds at most.
    retries.add("elsewhere", "c", retry(99), 60.0, 13.9)
    assert len(retries) == 80
    retries.add("elsewhere", "c", retry(99), 60.0, 14.0)
    assert (len(retries), "h" in retries) == (1, False)


def test_of_what_is_due_only_that_is_forgotten() -> None:
    retries = kept(*range(40), until_s=90.0)
    for number in range(40, 80):
        retries.add("h", "c", retry(number), 5.0, 0.0)
    retries.add("h", "c", retry(80), 60.0, 6.0)
    assert len(retries) == 41
    assert retries.take("h", "c", 6.0) == retry(0)


def test_the_oldest_of_a_host_are_forgotten_as_others_come() -> None:
    retries = kept(1, 2, until_s=5.0)
    retries.add("h", "c", retry(3), 60.0, 6.0)
    assert len(retries) == 1
