"""What is reported to operators, and how seldom."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.operator_events.cloud_events import OperatorEvents
from webrtc_events.operator_events.conditions import (
    Conditions,
    DeadLetters,
    Kind,
    Memory,
    Observed,
    Occurrence,
    OpenCircuit,
)
from webrtc_events.operator_events.rules import (
    BEGINNINGS_A_MINUTE,
    BEGINNINGS_AT_ONCE,
    HOLD_MS,
    MAX_HOLD_MS,
    MAX_SINKS,
    UNSEEN_MS,
    Rules,
    changed,
)
from webrtc_events.store.long_failures import LongFailure, SinkNews

HOST = "https://a.example:443"
SINK = "https://a.example/inbox"
DAY_MS = 86_400_000
RULES = Rules(dead_letters_a_minute=60, sink_failure_ms=DAY_MS)
NOTHING = Observed()
JUST_NOW = OpenCircuit(0, 0, "connect")


class Service:
    """Conditions that are kept as text in between, and a clock."""

    def __init__(self) -> None:
        self.now_ms = 1_900_000_000_000
        self.state = b"{}"
        self.sent: list[Occurrence] = []
        self._events = OperatorEvents("/here")

    def see(self, seen: Observed = NOTHING, after_ms: int = 2_000) -> list[Kind]:
        self.now_ms += after_ms
        conditions = msgspec.json.decode(self.state, type=Conditions)
        found = changed(conditions, seen, self.now_ms, RULES)
        self.state = msgspec.json.encode(conditions)
        for occurrence in found:
            # All that is reported is valid.
            self._events.text(occurrence, self.now_ms)
        self.sent += found
        return [occurrence.kind for occurrence in found]

    def pass_s(self, seconds: int, seen: Observed = NOTHING, step_s: int = 2) -> list[Kind]:
        return [kind for _ in range(seconds // step_s) for kind in self.see(seen, 1000 * step_s)]


@pytest.fixture
def service() -> Service:
    return Service()


def opens(*hosts: str, failed_ms: int = 0, since_ms: int = 0) -> Observed:
    return Observed(open=dict.fromkeys(hosts, OpenCircuit(since_ms, failed_ms, "connect")))


def answers(*hosts: str) -> Observed:
    return Observed(answering=frozenset(hosts))


def failure(news: SinkNews, number: int = 1, sink: str = SINK, since_ms: int = 1_800_000_000_000) -> Observed:
    return Observed(failures=(LongFailure(f"s{number}", news, since_ms, sink),))


def hosts(count: int, first: int = 0) -> list[str]:
    return [f"https://h{number}.example:443" for number in range(first, first + count)]


def test_a_circuit_is_reported_once_however_many_see_it(service: Service) -> None:
    assert service.see(opens(HOST)) == [Kind.CIRCUIT_OPENED]
    assert [service.see(opens(HOST), 1) for _ in range(3)] == [[], [], []]


def test_its_end_is_reported_once_it_answers_and_nobody_saw_a_failure_for_the_hold(service: Service) -> None:
    service.see(opens(HOST))
    assert service.see(answers(HOST)) == []
    assert service.see(after_ms=HOLD_MS - 5_000) == []
    assert service.see(after_ms=5_000) == [Kind.RECOVERED]
    began, over = service.sent
    assert (began.subject, began.data["since"]) == (over.subject, over.data["since"])
    assert over.data["reason"] == "answered"


def test_another_worker_that_still_fails_holds_the_end_back(service: Service) -> None:
    service.see(opens(HOST))
    service.see(answers(HOST))
    assert service.see(opens(HOST), HOLD_MS) == []
    assert service.see(after_ms=HOLD_MS) == []
    assert service.see(answers(HOST)) == [Kind.RECOVERED]


def test_a_worker_that_has_not_tried_since_does_not_begin_it_anew(service: Service) -> None:
    service.see(opens(HOST))
    service.see(answers(HOST), HOLD_MS)
    assert service.see(opens(HOST, failed_ms=HOLD_MS + 10_000)) == []


def test_what_nobody_asks_any_more_ends_and_says_so(service: Service) -> None:
    service.see(opens(HOST))
    assert service.see(after_ms=UNSEEN_MS - 1) == []
    assert service.see(after_ms=1) == [Kind.RECOVERED]
    assert service.sent[-1].data["reason"] == "not_asked"


def test_a_host_that_flaps_is_reported_ever_more_seldom(service: Service) -> None:
    """Down for 10 s, up for 50 s, for a day."""
    kinds = []
    for _ in range(1440):
        kinds += service.pass_s(10, opens(HOST), 5)
        kinds += service.pass_s(50, answers(HOST), 10)
    assert len(kinds) < 30
    # Once it stays up, that is reported at last.
    kinds += service.pass_s(MAX_HOLD_MS // 1000 + 10, answers(HOST))
    assert kinds[-1] is Kind.RECOVERED
    assert kinds == [Kind.CIRCUIT_OPENED, Kind.RECOVERED] * (len(kinds) // 2)


def test_ten_thousand_hosts_that_flap_are_bounded_and_said_to_be(service: Service) -> None:
    down, up = opens(*hosts(10_000)), answers(*hosts(10_000))
    kinds = []
    minutes = 30
    for _ in range(minutes):
        kinds += service.pass_s(10, down, 5)
        kinds += service.pass_s(50, up, 50)
    beginnings = kinds.count(Kind.CIRCUIT_OPENED)
    assert beginnings <= BEGINNINGS_AT_ONCE + BEGINNINGS_A_MINUTE * minutes
    assert kinds.count(Kind.RECOVERED) <= beginnings
    assert kinds.count(Kind.LIMITED) == 1
    assert len(service.state) < 200_000
    kinds += service.pass_s(MAX_HOLD_MS // 1000 + 600, up, 60)
    assert kinds.count(Kind.RECOVERED) == beginnings
    assert kinds.count(Kind.RESUMED) == 1


def test_hosts_that_stay_away_are_bounded_too(service: Service) -> None:
    service.pass_s(3600 * 2, opens(*hosts(2 * MAX_SINKS)), 20)
    assert [occurrence.kind for occurrence in service.sent].count(Kind.CIRCUIT_OPENED) == MAX_SINKS
    assert len(service.state) < 200_000


def test_a_failing_sink_is_reported_once_with_when_it_ends(service: Service) -> None:
    assert service.see(failure(SinkNews.FAILING)) == [Kind.FAILING]
    assert service.see(failure(SinkNews.FAILING)) == []
    assert service.see(failure(SinkNews.FAILING, 2)) == []
    [sent] = service.sent
    assert sent.data["subscriptionIds"] == ["s1"]
    assert sent.data["host"] == HOST


def test_it_is_over_when_all_that_failed_are_delivered_to(service: Service) -> None:
    service.see(failure(SinkNews.FAILING, 1))
    service.see(failure(SinkNews.FAILING, 2))
    assert service.see(failure(SinkNews.DELIVERED, 1)) == []
    assert service.see(failure(SinkNews.DELIVERED, 2)) == [Kind.RECOVERED]


def test_one_end_for_a_host_that_was_open_and_failing(service: Service) -> None:
    service.see(opens(HOST))
    assert service.see(failure(SinkNews.FAILING)) == [Kind.FAILING]
    assert service.see(answers(HOST), HOLD_MS) == []
    assert service.see(failure(SinkNews.DELIVERED)) == [Kind.RECOVERED]
    assert service.pass_s(3600) == []


def test_subscriptions_that_end_are_reported_together_and_none_is_left_out(service: Service) -> None:
    assert service.see(failure(SinkNews.ENDED, 1)) == [Kind.ENDED]
    for number in range(2, 50):
        assert service.see(failure(SinkNews.ENDED, number), 1) == []
    assert service.see(after_ms=60_000) == [Kind.ENDED]
    first, then = service.sent
    assert (first.data["subscriptions"], then.data["subscriptions"]) == (1, 48)
    assert len(then.data["subscriptionIds"]) == 20
    assert service.pass_s(600) == []


def test_subscriptions_of_ten_thousand_hosts_that_end_at_once_are_all_counted(service: Service) -> None:
    failures = tuple(
        LongFailure(f"s{number}", SinkNews.ENDED, 1, f"https://h{number}.example/inbox")
        for number in range(10_000)
    )
    service.see(Observed(failures=failures))
    service.pass_s(120)
    ended = [occurrence for occurrence in service.sent if occurrence.kind is Kind.ENDED]
    assert len(ended) == BEGINNINGS_AT_ONCE + 1
    assert sum(occurrence.data["subscriptions"] for occurrence in ended) == 10_000
    assert "host" not in ended[-1].data


def test_the_end_of_a_subscription_does_not_say_that_its_sink_has_recovered(service: Service) -> None:
    service.see(failure(SinkNews.FAILING))
    assert service.see(failure(SinkNews.ENDED)) == [Kind.ENDED]
    assert service.pass_s(UNSEEN_MS // 1000 - 10) == []
    assert service.pass_s(60) == [Kind.RECOVERED]
    assert service.sent[-1].data["reason"] == "not_asked"


def test_dead_letters_are_reported_above_their_rate_and_once_few_for_long(
    service: Service,
) -> None:
    def letters(now: int, highest: int) -> Observed:
        return Observed(dead_letters=DeadLetters(now, highest))

    assert service.see(letters(60, 60)) == []
    assert service.see(letters(61, 61)) == [Kind.DEAD_LETTERS_HIGH]
    assert service.see(letters(500, 500)) == []
    assert service.see(letters(0, 61)) == []
    assert service.see(letters(0, 60)) == [Kind.DEAD_LETTERS_NORMAL]
    assert service.sent[0].data["since"] == service.sent[1].data["since"]


def test_the_store_is_reported_to_be_full_and_to_have_room_again(service: Service) -> None:
    def used(share: float) -> Observed:
        return Observed(memory=Memory("127.0.0.1:6379", int(share * 1000), 1000))

    assert service.see(used(1.0)) == []
    assert service.see(used(1.01)) == [Kind.ABOVE_WATERMARK]
    assert [service.see(used(share)) for share in (0.99, 1.2, 0.96)] == [[], [], []]
    assert service.see(used(0.95)) == [Kind.BELOW_WATERMARK]


def test_when_nothing_is_wrong_nothing_is_written(service: Service) -> None:
    full = Observed(dead_letters=DeadLetters(0, 0), memory=Memory("n", 1, 1000))
    assert service.pass_s(600, full) == []
    assert service.state == b"{}"


def test_a_damaged_sink_is_passed_over(service: Service) -> None:
    assert service.see(failure(SinkNews.FAILING, sink="https://[")) == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from([1_000, 2_000, 40_000, 1_000_000]),
        st.sets(st.sampled_from(hosts(3))),
        st.sets(st.sampled_from(hosts(3))),
        st.lists(st.tuples(st.sampled_from(SinkNews), st.integers(0, 2), st.integers(0, 2)), max_size=3),
    ),
    max_size=30,
)


def _pairs(sent: Iterable[Occurrence]) -> None:
    """Nothing begins twice without an end, and nothing ends that did not begin."""
    begun: dict[str, set[Kind]] = {}
    for occurrence in sent:
        of_host = begun.setdefault(occurrence.subject, set())
        if occurrence.kind is Kind.RECOVERED:
            assert of_host
            of_host.clear()
        elif occurrence.kind in (Kind.CIRCUIT_OPENED, Kind.FAILING):
            assert occurrence.kind not in of_host
            of_host.add(occurrence.kind)


@given(STEPS)
def test_whatever_is_seen_ends_are_of_beginnings_and_all_is_valid(steps: list) -> None:  # type: ignore[type-arg]
    service = Service()
    for after_ms, down, up, news in steps:
        failures = tuple(
            LongFailure(f"s{number}", kind, 1, f"https://h{host}.example/") for kind, host, number in news
        )
        seen = Observed(dict.fromkeys(sorted(down), JUST_NOW), frozenset(up), failures)
        service.see(seen, after_ms)
    _pairs(service.sent)
    for _ in range(3):
        service.see(after_ms=UNSEEN_MS)
    assert all(not sink.since for sink in msgspec.json.decode(service.state, type=Conditions).sinks.values())
