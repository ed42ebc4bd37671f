"""Names are looked up in threads, each once, and names that hang hold back no others."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.harness.clocks import SteppedClock
from webrtc_events.sinks.resolver import LookupResult, NamedHost, Resolver, named_host

GONE = socket.gaierror(socket.EAI_NONAME, "no such name")
AGAIN = socket.gaierror(socket.EAI_AGAIN, "try again")


class Directory:
    """A lookup: an address for every name, but for those that fail, and those that hang until `let_go`."""

    def __init__(self) -> None:
        self.faults: dict[str, Exception] = {}
        self.asked: list[str] = []
        self.let_go = threading.Event()

    def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        if name.startswith("hangs"):
            self.let_go.wait(30)
        if name in self.faults:
            raise self.faults[name]
        return [f"192.0.2.{self.asked.count(name)}"]


class Desk:
    """A resolver, with a way to wait for what it finds."""

    def __init__(self) -> None:
        self.time = SteppedClock()
        self.directory = Directory()
        self._woken = threading.Semaphore(0)
        self.resolver = Resolver(self.time, self._woken.release, self.directory)

    def finished(self) -> list[LookupResult]:
        assert self._woken.acquire(timeout=5)
        return self.resolver.finished()

    def find(self, name: str) -> tuple[str, ...]:
        """What is known of it, once it was looked up."""
        if found := self.resolver.ask(name):
            return found
        while True:
            for result in self.finished():
                if result.name == name:
                    return result.addresses


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.directory.let_go.set()
    desk.resolver.close()


def until(condition: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(500):
        if condition():
            return
        waited.wait(0.01)
    raise AssertionError("not within 5 s")


def test_a_name_is_looked_up_once_for_a_minute(desk: Desk) -> None:
    assert desk.resolver.ask("a") == ()
    (result,) = desk.finished()
    assert (result.name, result.addresses, result.fault) == ("a", ("192.0.2.1",), "")
    desk.time.sleep(59)
    assert desk.resolver.ask("a") == ("192.0.2.1",)
    assert desk.directory.asked == ["a"]


def test_after_a_minute_it_is_used_while_it_is_looked_up_anew(desk: Desk) -> None:
    desk.find("a")
    desk.time.sleep(61)
    assert desk.resolver.ask("a") == ("192.0.2.1",)
    desk.finished()
    assert desk.resolver.ask("a") == ("192.0.2.2",)


def test_what_was_found_is_used_for_an_hour_while_lookups_fail(desk: Desk) -> None:
    desk.find("a")
    desk.directory.faults["a"] = AGAIN
    for _ in range(59):
        desk.time.sleep(61)
        assert desk.resolver.ask("a") == ("192.0.2.1",)
        desk.finished()
    desk.time.sleep(61)
    assert desk.resolver.ask("a") == ()
    assert desk.finished()[0].fault == AGAIN.strerror


def test_a_name_that_is_gone_is_not_used(desk: Desk) -> None:
    desk.find("a")
    desk.directory.faults["a"] = GONE
    desk.time.sleep(61)
    desk.resolver.ask("a")
    desk.finished()
    assert desk.resolver.ask("a") == ()


def test_a_name_that_was_not_found_is_looked_up_at_each_time(desk: Desk) -> None:
    desk.directory.faults["a"] = GONE
    assert desk.find("a") == ()
    del desk.directory.faults["a"]
    assert desk.find("a") == ("192.0.2.2",)


def test_a_label_that_is_too_long_is_a_failure_like_others(desk: Desk) -> None:
    desk.directory.faults["a"] = UnicodeError("label too long")
    assert desk.find("a") == ()


def test_a_name_that_hangs_has_one_thread(desk: Desk) -> None:
    for _ in range(100):
        assert desk.resolver.ask("hangs") == ()
    until(lambda: desk.directory.asked == ["hangs"])


def test_new_names_that_hang_hold_back_no_name_that_is_known(desk: Desk) -> None:
    desk.find("a")
    for number in range(200):
        desk.resolver.ask(f"hangs-{number}")
    until(lambda: len(desk.directory.asked) == 33)
    desk.time.sleep(61)
    desk.resolver.ask("a")
    desk.finished()
    assert desk.resolver.ask("a") == ("192.0.2.2",)


def test_names_that_failed_before_hold_back_no_new_one(desk: Desk) -> None:
    names = [f"hangs-{number}" for number in range(40)]
    for name in names:
        desk.directory.faults[name] = GONE
    desk.directory.let_go.set()
    for name in names:
        desk.find(name)
    desk.directory.let_go.clear()
    for name in names:
        desk.resolver.ask(name)
    until(lambda: len(desk.directory.asked) == 40 + 16)
    assert desk.find("a") == ("192.0.2.1",)


def test_a_name_that_once_hung_is_looked_up_with_its_like(desk: Desk) -> None:
    """It takes none of the threads that are for known names, although it was found in the end."""
    desk.resolver.ask("hangs")
    until(lambda: desk.directory.asked == ["hangs"])
    desk.time.sleep(10)
    desk.directory.let_go.set()
    desk.finished()
    assert desk.resolver._names["hangs"].suspect
    desk.time.sleep(61)
    desk.resolver.ask("hangs")
    desk.finished()
    assert not desk.resolver._names["hangs"].suspect


def test_names_of_one_client_that_hang_hold_back_no_other_client(desk: Desk) -> None:
    for number in range(200):
        desk.resolver.ask(f"hangs-{number}", "greedy")
    until(lambda: len(desk.directory.asked) == 32)
    for number in range(40):
        desk.resolver.ask(f"fine-{number}", f"other-{number}")
    until(lambda: len(desk.directory.asked) == 72)


def test_clients_whose_names_all_hang_take_the_threads_in_equal_parts(desk: Desk) -> None:
    for number in range(200):
        desk.resolver.ask(f"hangs-{number}-of-a", "a")
        desk.resolver.ask(f"hangs-{number}-of-b", "b")
    until(lambda: len(desk.directory.asked) >= 43)
    assert abs(sum(name.endswith("of-a") for name in desk.directory.asked) * 2 - 43) <= 3
    desk.resolver.ask("fine", "c")
    until(lambda: "fine" in desk.directory.asked)


def test_a_name_that_waited_in_vain_is_no_longer_new(desk: Desk) -> None:
    """Its like are many: they would keep those that nothing is known against from being looked up."""
    names = [f"hangs-{number}" for number in range(40)]
    for name in names:
        desk.resolver.ask(name, "greedy")
    until(lambda: len(desk.directory.asked) == 32)
    desk.time.sleep(6)
    desk.directory.let_go.set()
    until(lambda: not desk.resolver.finished() and not desk.resolver._under_way)
    assert all(desk.resolver._names[name].suspect for name in names[32:])
    assert desk.find(names[-1])


def test_what_nobody_asks_for_any_longer_is_not_looked_up(desk: Desk) -> None:
    names = [f"hangs-{number}" for number in range(40)]
    for name in names:
        desk.resolver.ask(name)
    until(lambda: len(desk.directory.asked) == 32)
    desk.time.sleep(6)
    desk.resolver.ask("a")
    desk.directory.let_go.set()
    until(lambda: "a" in desk.directory.asked)
    assert len(desk.directory.asked) == 33
    # It may be asked for again.
    until(lambda: not desk.resolver.finished() and not desk.resolver._under_way)
    assert desk.find(names[-1])


def test_names_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webrtc_events.sinks.resolver._NAMES", 3)
    for name in ("a", "b", "c", "a", "d"):
        desk.find(name)
    assert list(desk.resolver._names) == ["c", "a", "d"]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a.example/x", NamedHost("a.example", 443)),
        ("https://A.example:8443/", NamedHost("a.example", 8443)),
        ("https://localhost:1/", NamedHost("localhost", 1)),
        ("https://xn--bcher-kva.example/", NamedHost("xn--bcher-kva.example", 443)),
        ("https://127.0.0.1/", None),
        ("https://127.1/", None),
        ("https://2130706433/", None),
        ("https://0x7f000001/", None),
        ("https://[::1]/", None),
        ("https://a b/", None),
        ("https://bücher.example/", None),
        ("https://a,b.example/", None),
        ("https://a.example:x/", None),
        ("", None),
    ],
)
def test_names_are_distinct_from_addresses(url: str, host: NamedHost | None) -> None:
    assert named_host(url) == host
