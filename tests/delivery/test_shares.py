"""One client leaves something to the others, and one that is alone has most of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.delivery.shares import Account, HostStanding, Pool


def fill(pool: Pool, account: Account, standing: HostStanding, *, first: bool = False) -> int:
    """Takes all that the client may have at this moment; returns how much that was."""
    taken = 0
    prompt = standing is HostStanding.PROMPT
    while pool.room(prompt=prompt) and pool.may_take(account, standing, 0.0, first=first):
        pool.take(account, prompt=prompt)
        if standing in (HostStanding.NEW, HostStanding.PASSED_OVER):
            account.young[object()] = 0.0
        taken += 1
    return taken


@given(st.sampled_from(HostStanding), st.integers(64, 512), st.integers(1, 12))
def test_whoever_comes_finds_something_beside_those_who_take_all_they_may(
    standing: HostStanding, size: int, greedy: int
) -> None:
    """Also where they came one after the other, and the first had it all for itself."""
    pool = Pool(size * greedy)
    accounts = [Account() for _ in range(greedy)]
    for _ in range(30):
        for account in accounts:
            fill(pool, account, standing)
        for account in accounts:
            account.young.clear()
            for _ in range(account.used // 4):
                pool.give(account, prompt=standing is HostStanding.PROMPT)
    for account in accounts:
        fill(pool, account, standing)
    assert fill(pool, Account(), HostStanding.NEW, first=True) >= 1
    assert fill(pool, Account(), HostStanding.PROMPT, first=True) >= 1


@given(st.sampled_from([HostStanding.PROMPT, HostStanding.OWING]), st.integers(64, 4096), st.integers(2, 12))
def test_the_same_is_left_for_all_that_alternate(standing: HostStanding, size: int, clients: int) -> None:
    """No client gets more while another that wants it has less, and there is room for it."""
    pool = Pool(size)
    accounts = [Account() for _ in range(clients)]
    prompt = standing is HostStanding.PROMPT
    is_taken = True
    while is_taken:
        is_taken = False
        for account in accounts:
            if pool.room(prompt=prompt) and pool.may_take(account, standing, 0.0, first=False):
                pool.take(account, prompt=prompt)
                is_taken = True
    assert max(account.used for account in accounts) - min(account.used for account in accounts) <= 1


def test_a_single_client_may_have_more_than_half() -> None:
    pool = Pool(2048)
    assert fill(pool, Account(), HostStanding.PROMPT) == pool.room_of_one + fill(
        Pool(2048), Account(), HostStanding.PROMPT
    )
    assert fill(Pool(2048), Account(), HostStanding.PROMPT) >= 2048 * 3 // 4
    assert fill(Pool(2048), Account(), HostStanding.OWING) >= 1024 // 2


def test_hosts_that_owe_leave_a_reserve_to_new_ones_of_the_same_client() -> None:
    pool, account = Pool(2048), Account()
    fill(pool, account, HostStanding.OWING)
    assert fill(pool, account, HostStanding.OWING) == 0
    assert fill(pool, account, HostStanding.PASSED_OVER) >= 4
    assert fill(pool, account, HostStanding.NEW) >= 4


def test_new_hosts_that_prove_unreachable_never_use_up_what_is_kept_for_the_next() -> None:
    """For two seconds new ones come without end; each keeps its permit for ten. Then it is one a tick."""
    pool, account = Pool(2048), Account()
    until_s: list[float] = []

    def ask(standing: HostStanding, now_s: float) -> bool:
        may = pool.room(prompt=False) > 0 and pool.may_take(account, standing, now_s, first=True)
        if may:
            pool.take(account, prompt=False)
            account.young[object()] = now_s
            until_s.append(now_s + 10)
        return may

    for tick in range(200):
        now_s = tick / 4
        while until_s and until_s[0] <= now_s:
            pool.give(account, prompt=False)
            del until_s[0]
        if now_s >= 2:
            assert ask(HostStanding.NEW, now_s), f"no permit after {now_s} s"
        while ask(HostStanding.PASSED_OVER, now_s) or (now_s < 2 and ask(HostStanding.NEW, now_s)):
            pass


@given(st.integers(1, 200))
def test_who_was_passed_over_finds_a_permit_once_there_is_one_however_few_there_are(size: int) -> None:
    assert fill(Pool(size), Account(), HostStanding.PASSED_OVER) >= 1


def test_what_is_given_back_can_be_taken_again() -> None:
    pool, account = Pool(100), Account()
    taken = fill(pool, account, HostStanding.PROMPT)
    for _ in range(taken):
        pool.give(account, prompt=True)
    assert (account.used, pool.room(prompt=True)) == (0, 100)
    assert fill(pool, account, HostStanding.PROMPT) == taken


def test_one_host_may_have_a_whole_number_of_permits_and_one_while_there_is_any() -> None:
    pool, account = Pool(64), Account()
    shares = []
    for _ in range(65):
        shares.append(pool.share(prompt=True))
        pool.take(account, prompt=True)
    assert {type(share) for share in shares} == {int}
    assert shares == sorted(shares, reverse=True)
    assert shares[-4:] == [1, 1, 1, 0]


def test_each_request_given_back_is_one_less() -> None:
    pool, account = Pool(100), Account()
    for prompt in (False, False, False, True):
        pool.take(account, prompt=prompt)
    pool.give(account, prompt=False)
    assert (account.used, account.others) == (3, 2)
    assert (pool.room(prompt=True), pool.room(prompt=False)) == (97, 48)


def test_a_new_host_is_young_for_250_ms() -> None:
    account = Account()
    account.young = {"early": 1.0, "late": 1.125}
    assert [account.young_at(now_s) for now_s in (1.0, 1.24, 1.25, 1.374, 1.375)] == [2, 2, 1, 1, 0]


def used_by(account: Account, *, prompt: int = 0, others: int = 0, size: int, by_all: int = 0) -> Pool:
    """A pool of which the client has that much, and somebody else, for prompt hosts, the rest of `by_all`."""
    pool = Pool(size)
    for _ in range(prompt):
        pool.take(account, prompt=True)
    for _ in range(others):
        pool.take(account, prompt=False)
    for _ in range(by_all - prompt - others):
        pool.take(Account(), prompt=True)
    return pool


def test_hosts_that_are_not_prompt_have_half_of_it() -> None:
    assert [Pool(size).room(prompt=False) for size in (9, 10)] == [5, 5]
    pool = used_by(Account(), prompt=2, others=3, size=10)
    assert (pool.room(prompt=True), pool.room(prompt=False)) == (5, 2)
    assert used_by(Account(), prompt=8, size=10).room(prompt=False) == 2


def test_one_client_alone_may_have_four_fifths() -> None:
    assert [used_by(Account(), prompt=used, size=64).room_of_one for used in (0, 50, 51, 60)] == [51, 1, 0, 0]


@pytest.mark.parametrize(("used", "share"), [(0, 3), (12, 3), (13, 2), (28, 2), (29, 1), (63, 1), (64, 0)])
def test_a_host_has_a_sixteenth_of_what_is_left_less_a_reserve(used: int, share: int) -> None:
    assert used_by(Account(), prompt=used, size=64).share(prompt=True) == share


def test_a_host_that_is_not_prompt_has_the_same_of_its_half() -> None:
    assert [Pool(size).share(prompt=False) for size in (64, 128, 2048)] == [1, 3, 56]
    assert used_by(Account(), others=32, size=64).share(prompt=False) == 0


@pytest.mark.parametrize(
    ("used", "first", "may"), [(79, False, True), (80, False, False), (80, True, True), (89, True, False)]
)
def test_a_client_has_four_times_what_it_leaves_and_eight_for_a_host_that_has_none(
    used: int, first: bool, may: bool
) -> None:
    account = Account()
    pool = used_by(account, prompt=used, size=100)
    assert pool.may_have(account, prompt=True, first=first) is may
    assert pool.may_take(account, HostStanding.PROMPT, 0.0, first=first) is may


def test_whose_hosts_are_not_prompt_has_four_times_too() -> None:
    account = Account()
    pool = used_by(account, prompt=79, size=100)
    assert pool.may_have(account, prompt=False)
    pool.take(account, prompt=True)
    assert not pool.may_have(account, prompt=False)
    assert not pool.may_take(account, HostStanding.NEW, 0.0, first=False)
    assert pool.may_take(account, HostStanding.NEW, 0.0, first=True)


@pytest.mark.parametrize(("used", "by_all", "may"), [(7, 150, True), (8, 149, True), (8, 150, False)])
def test_the_last_sixteenth_is_for_those_who_have_little(used: int, by_all: int, may: bool) -> None:
    account = Account()
    assert used_by(account, prompt=used, size=160, by_all=by_all).may_have(account, prompt=True) is may


@pytest.mark.parametrize(("used", "others", "may"), [(8, 74, True), (8, 75, False), (7, 75, True)])
def test_so_is_that_of_the_half(used: int, others: int, may: bool) -> None:
    account = Account()
    pool = used_by(account, prompt=used, size=160)
    for _ in range(others):
        pool.take(Account(), prompt=False)
    assert pool.may_have(account, prompt=False) is may


@pytest.mark.parametrize(("others", "may"), [(31, True), (32, False)])
def test_of_the_half_a_client_has_twice_what_it_leaves(others: int, may: bool) -> None:
    account = Account()
    assert used_by(account, others=others, size=96).may_have(account, prompt=False) is may


@pytest.mark.parametrize(
    ("standing", "others", "young", "may"),
    [
        (HostStanding.OWING, 27, 9, True),
        (HostStanding.OWING, 28, 0, False),
        (HostStanding.NEW, 0, 5, True),
        (HostStanding.NEW, 0, 6, False),
        (HostStanding.NEW, 28, 0, True),
        (HostStanding.NEW, 28, 1, False),
        (HostStanding.PASSED_OVER, 0, 2, True),
        (HostStanding.PASSED_OVER, 0, 3, False),
        (HostStanding.PASSED_OVER, 27, 0, True),
        (HostStanding.PASSED_OVER, 27, 1, False),
        (HostStanding.PASSED_OVER, 28, 0, False),
    ],
)
def test_a_reserve_is_kept_for_hosts_that_were_never_asked(
    standing: HostStanding, others: int, young: int, may: bool
) -> None:
    """Of 48 for hosts that are not prompt 12; of what is left a sixteenth, or half of that, within 250 ms."""
    account = Account()
    pool = used_by(account, others=others, size=96)
    account.young = dict.fromkeys(range(young), 1.0)
    assert pool.may_take(account, standing, 1.2, first=False) is may
    if young:
        assert pool.may_take(account, standing, 1.25, first=False)
