"""What is kept of fetched tokens: bounded, shared fairly, and never one owner's for another."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from webrtc_events.core.model import PrivateKeyJwt
from webrtc_events.delivery.token_cache import TokenCache, TokenEntry, TokenKey

NEVER = float("inf")


def key(client: str = "app", client_id: str = "us", number: int = 0) -> TokenKey:
    return TokenKey(client, PrivateKeyJwt(client_id, f"https://as.example/{number}"))


def entry_with(life_s: float, asked_s: float = 0.0) -> TokenEntry[str]:
    entry: TokenEntry[str] = TokenEntry(key())
    entry.issued("t", life_s, asked_s)
    return entry


def half() -> float:
    return 0.5


@given(life_s=st.floats(0.001, 86_400), at=st.floats(0, 2))
def test_a_token_is_used_within_its_life_and_asked_for_anew_before(life_s: float, at: float) -> None:
    entry = entry_with(life_s)
    now_s = at * life_s
    if entry.token(now_s) is not None:
        assert now_s < life_s
    else:
        assert entry.is_due("task", now_s)
    assert not entry.is_due("task", 0.0)
    assert entry.is_due("task", life_s)


def test_a_long_life_is_renewed_a_minute_before_and_used_until_no_claim_could_end_in_time() -> None:
    entry = entry_with(3600)
    assert not entry.is_due("task", 3539)
    assert entry.is_due("task", 3540)
    assert entry.token(3584) is not None
    assert entry.token(3585) is None


def test_one_asks_and_the_others_do_not() -> None:
    entry: TokenEntry[str] = TokenEntry(key())
    entry.leader = "first"
    assert entry.is_due("first", 0.0)
    assert not entry.is_due("second", 0.0)
    entry.leader, entry.asking = None, True
    assert not entry.is_due("first", 0.0)


def test_pauses_double_up_to_a_minute_and_end_with_a_token() -> None:
    entry: TokenEntry[str] = TokenEntry(key())
    pauses = []
    for _ in range(9):
        entry.failed(0.0, 0.0, lambda: 1.0)
        pauses.append(entry.next_s)
        assert not entry.is_due("task", entry.next_s - 0.001)
        assert entry.is_due("task", entry.next_s)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    entry.issued("t", 60, 0.0)
    assert entry.failures == 0
    entry.failed(0.0, 0.0, lambda: 0.0)
    assert entry.next_s == 0.5


def test_a_server_may_ask_for_a_longer_pause_up_to_an_hour() -> None:
    entry: TokenEntry[str] = TokenEntry(key())
    entry.failed(120.0, 0.0, half)
    assert entry.next_s == 120
    entry.failed(1e9, 0.0, half)
    assert entry.next_s == 3600


def test_a_failed_renewal_leaves_the_token_that_is_still_good() -> None:
    entry = entry_with(3600)
    entry.failed(0.0, 3545, half)
    assert entry.token(3546) is not None
    assert not entry.is_due("task", 3545.1)


def test_a_refused_token_is_let_go_once_a_minute() -> None:
    entry = entry_with(3600)
    first = entry.token(0.0)
    assert first is not None
    entry.refused(first, 10.0)
    assert entry.token(10.0) is None
    assert entry.is_due("task", 10.0)
    entry.issued("u", 3600, 11.0)
    second = entry.token(11.0)
    assert second is not None
    entry.refused(first, 80.0)
    assert entry.token(80.0) is second, "that one is gone already"
    entry.refused(second, 69.0)
    assert entry.token(69.0) is second
    entry.refused(second, 70.0)
    assert entry.token(70.0) is None


def test_who_has_most_loses_the_one_unused_for_longest() -> None:
    cache: TokenCache[str] = TokenCache(10_000, 1 << 30)
    modest = [cache.touch(key("modest", number=number)) for number in range(10)]
    for number in range(20_000):
        cache.touch(key("greedy", number=number))
    assert len(cache) == 10_000
    assert all(cache.get(entry.key) is entry for entry in modest)
    assert cache.get(key("greedy", number=0)) is None
    assert cache.get(key("greedy", number=19_999)) is not None


def test_of_owners_who_have_equally_many_the_one_who_used_none_for_longest_loses_one() -> None:
    cache: TokenCache[str] = TokenCache(100, 1 << 30)
    constant = cache.touch(key("constant"))
    for number in range(1000):
        cache.touch(key(f"passing{number}"))
        assert cache.touch(key("constant")) is constant
    assert len(cache) == 100
    assert cache.get(key("passing998")) is not None
    assert cache.get(key("passing0")) is None


def looked_at_per_new_one(owners: int, monkeypatch: pytest.MonkeyPatch) -> float:
    """A tenth of as many tokens, each of another owner, is waited for: how many each new one looks at."""
    cache: TokenCache[str] = TokenCache(owners, 1 << 40)
    for number in range(owners):
        entry = cache.touch(key(f"c{number}"))
        if number % 10 == 0:
            entry.waiting["task"] = None
    looked = 0
    idle = vars(TokenEntry)["idle"].fget

    def counted(entry: TokenEntry[str]) -> bool:
        nonlocal looked
        looked += 1
        return bool(idle(entry))

    with monkeypatch.context() as patched:
        patched.setattr(TokenEntry, "idle", property(counted))
        for number in range(owners):
            cache.touch(key(f"new{number}"))
    assert len(cache) == owners
    return looked / owners


def test_a_new_token_costs_no_look_at_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    began_s = time.perf_counter()
    assert looked_at_per_new_one(20_000, monkeypatch) < 2
    # A look at each owner, for each new token, would take 20 s.
    assert time.perf_counter() - began_s < 5


def test_bytes_are_bounded_too_and_what_is_waited_for_stays() -> None:
    cache: TokenCache[str] = TokenCache(10_000, 100_000)
    awaited = cache.touch(key(number=-1))
    awaited.waiting["task"] = None
    for number in range(100):
        entry = cache.touch(key(number=number))
        cache.grown(entry.issued("t" * 8000, 3600, 0.0), but=entry)
    assert cache.size <= 100_000
    assert cache.get(awaited.key) is awaited


def test_nothing_of_it_shows_a_token_or_a_client_id() -> None:
    entry = entry_with(3600)
    token = entry.token(0.0)
    assert "us" not in repr(entry.key)
    assert "'t'" not in repr(token)
    with pytest.raises(AttributeError):
        token.value = "u"  # type: ignore[misc, union-attr]


class CacheMachine(RuleBasedStateMachine):
    """Against a plain dictionary of what was issued last, whatever the order of events."""

    def __init__(self) -> None:
        super().__init__()
        self.cache: TokenCache[str] = TokenCache(8, 40_000)
        self.issued: dict[TokenKey, tuple[str, float]] = {}
        self.now_s = 0.0
        self.count = 0

    keys = st.builds(
        key, st.sampled_from(["a", "b", "c"]), st.sampled_from(["us", "them"]), st.integers(0, 5)
    )

    @rule(seconds=st.floats(0, 120))
    def passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(wanted=keys, life_s=st.floats(0.5, 600), length=st.integers(1, 8192))
    def issues(self, wanted: TokenKey, life_s: float, length: int) -> None:
        entry = self.cache.touch(wanted)
        self.count += 1
        value = f"{self.count}".ljust(length, "x")
        self.cache.grown(entry.issued(value, life_s, self.now_s), but=entry)
        self.issued[wanted] = (value, self.now_s + life_s)
        others = [other for owned in self.cache._owners.values() for other in owned.values()]
        if any(other.idle for other in others if other is not entry):
            # Something could have been let go, and need not be.
            assert len(self.cache) <= 8
            assert self.cache.size <= 40_000

    @rule(wanted=keys)
    def fails(self, wanted: TokenKey) -> None:
        entry = self.cache.touch(wanted)
        entry.failed(0.0, self.now_s, half)
        assert not entry.is_due("task", self.now_s)

    @rule(wanted=keys)
    def is_refused(self, wanted: TokenKey) -> None:
        entry = self.cache.get(wanted)
        token = None if entry is None else entry.token(self.now_s)
        if entry is not None and token is not None:
            entry.refused(token, self.now_s)
            assert entry.token(self.now_s) in (None, token)

    @rule(wanted=keys, waits=st.booleans())
    def waits(self, wanted: TokenKey, waits: bool) -> None:
        entry = self.cache.touch(wanted)
        if waits:
            entry.waiting["task"] = None
        else:
            entry.waiting.clear()

    @rule(wanted=keys)
    def is_read(self, wanted: TokenKey) -> None:
        entry = self.cache.get(wanted)
        token = None if entry is None else entry.token(self.now_s)
        if token is not None:
            value, until_s = self.issued[wanted]
            assert token.value == value, "the latest of just this owner, server and client id"
            assert self.now_s < until_s
            assert token.key == wanted

    @invariant()
    def counts(self) -> None:
        entries = [entry for owned in self.cache._owners.values() for entry in owned.values()]
        assert len(self.cache) == len(entries)
        assert self.cache.size == sum(entry.size for entry in entries)
        counts = {owner: len(owned) for owner, owned in self.cache._owners.items()}
        found = [counts[owner] for owner in self.cache._counts.most_first()]
        assert found == sorted(counts.values(), reverse=True)


TestCache = CacheMachine.TestCase
