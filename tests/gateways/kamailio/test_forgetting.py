"""Addresses whose end Kamailio never told are forgotten; what is known already is not put again."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.gateways.kamailio.builders import T0_S, bindings, contact
from tests.gateways.recorded import new_intake, requests_of
from tests.harness.clocks import SteppedClock
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.kamailio.intake import Batch, Intake

DAY_S = 86_400


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def journal(tmp_path: Path, clock: SteppedClock) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "queue", clock)) as journal:
        yield journal


@pytest.fixture
def intake(journal: Journal, clock: SteppedClock) -> Intake:
    return new_intake(journal, clock)


def take(intake: Intake, *records: bytes) -> None:
    first = intake.position().number + 1
    numbered = list(enumerate(records, start=first))
    intake.take(Batch("1800000000.1.100", first, first + len(records) - 1, numbered))


def users(count: int, expires_s: int, *, asked: bool = False) -> list[bytes]:
    return [
        bindings(contact(1, expires_s), uri=f"sip:user-{number}@example.com", asked=asked)
        for number in range(count)
    ]


def test_ten_thousand_that_are_asked_for_and_known_are_not_put_again(
    intake: Intake, journal: Journal
) -> None:
    """Kamailio had no room for a record, and the adapter asks for all."""
    take(intake, *users(10_000, T0_S + 600))
    assert len(requests_of(journal)) == 10_000
    take(intake, *users(9_990, T0_S + 600, asked=True))
    assert len(requests_of(journal)) == 10_000
    take(intake, *users(10, T0_S + 900, asked=True))
    with journal.transaction() as transaction:
        assert transaction._database.execute("SELECT entries FROM totals").fetchone() == (10_010,)


def test_addresses_that_ran_out_while_kamailio_was_killed_are_forgotten(
    intake: Intake, clock: SteppedClock
) -> None:
    """Those without an end, and those of long ones, stay."""
    take(intake, *users(3, T0_S + 600))
    take(intake, bindings(contact(1, 0), uri="sip:for-ever@example.com"))
    take(intake, bindings(contact(1, T0_S + 30 * DAY_S), uri="sip:month@example.com"))
    clock.elapsed = 0.9 * DAY_S
    intake.forget()
    assert len(intake.addresses()) == 5
    for day in range(2, 8):
        clock.elapsed = day * DAY_S
        intake.forget()
    assert intake.addresses() == ["for-ever@example.com", "month@example.com"]
