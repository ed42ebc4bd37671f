"""One client leaves something to the others, and one that is alone has most of it."""

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
def test_the_same_is_left_for_all_that_take_by_turns(standing: HostStanding, size: int, clients: int) -> None:
    """No client gets more while another that wants it has less, and there is room for it."""
    pool = Pool(size)
    accounts = [Account() for _ in range(clients)]
    prompt = standing is HostStanding.PROMPT
    took = True
    while took:
        took = False
        for account in accounts:
            if pool.room(prompt=prompt) and pool.may_take(account, standing, 0.0, first=False):
                pool.take(account, prompt=prompt)
                took = True
    assert max(account.used for account in accounts) - min(account.used for account in accounts) <= 1


def test_who_is_alone_has_most_of_it() -> None:
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


def test_new_hosts_that_turn_out_unreachable_never_use_up_what_is_kept_for_the_next() -> None:
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


def test_one_host_may_have_a_whole_number_of_places_and_one_while_there_is_any() -> None:
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
