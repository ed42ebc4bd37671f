"""What the registrar knows becomes registrations of the service and their ends."""

from collections.abc import Callable
from typing import Any

from tests.gateways.kamailio.builders import T0_S, bindings, contact, expired
from tests.gateways.recorded import new_intake, requests_of
from webrtc_events.core.clock import SystemClock, parse_time
from webrtc_events.gateways.journal import Journal
from webrtc_events.gateways.network_requests import PutRegistration

Play = Callable[..., list[dict[str, Any]]]


def ends(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["data"]["registrationId"], event["data"]["terminationReason"]) for event in events]


def puts(journal: Journal) -> list[PutRegistration]:
    return [request for request in requests_of(journal) if isinstance(request, PutRegistration)]


def test_a_registration_is_put_for_longer_than_the_registrar_has_it(play: Play, journal: Journal) -> None:
    """The service's own end is for a gateway that is gone: 60 s of grace here."""
    assert play(bindings(contact(1, T0_S + 600))) == []
    (put,) = puts(journal)
    assert put.registration_id == "bob"
    assert put.body["owner"] == "softphone"
    assert parse_time(put.body["expiresAt"]) == (T0_S + 660) * 1000


def test_a_registration_that_is_not_renewed(play: Play) -> None:
    (event,) = play(bindings(contact(1, T0_S + 5)), expired(contact(1, T0_S + 5), at_s=T0_S + 17))
    assert ends([event]) == [("bob", "REGISTRATION_EXPIRED")]
    # When it ran out, not when Kamailio noticed.
    assert parse_time(event["time"]) == (T0_S + 5) * 1000


def test_a_registration_that_the_endpoint_ends(play: Play) -> None:
    assert ends(play(bindings(contact(1)), bindings(at_s=T0_S + 1))) == [("bob", "NETWORK_TERMINATED")]


def test_a_contact_that_goes_while_another_stays_ends_nothing(play: Play) -> None:
    begin = bindings(contact(1, T0_S + 5), contact(2))
    assert play(begin, expired(contact(1, T0_S + 5), at_s=T0_S + 6)) == []
    assert ends(play(bindings(at_s=T0_S + 7))) == [("bob", "NETWORK_TERMINATED")]


def test_a_new_contact_of_the_same_endpoint_ends_nothing(play: Play) -> None:
    """A browser that connects again has another contact."""
    assert play(bindings(contact(1)), bindings(contact(2), at_s=T0_S + 1)) == []


def test_an_end_that_a_renewal_overtook_is_none(play: Play) -> None:
    renewed = bindings(contact(1, T0_S + 600), at_s=T0_S + 4)
    assert play(bindings(contact(1, T0_S + 5)), renewed, expired(contact(1, T0_S + 5), at_s=T0_S + 6)) == []


def test_a_registration_ends_once(play: Play) -> None:
    over = expired(contact(1, T0_S + 5), at_s=T0_S + 6)
    events = play(bindings(contact(1, T0_S + 5)), over, over, bindings(at_s=T0_S + 8))
    assert ends(events) == [("bob", "REGISTRATION_EXPIRED")]


def test_a_contact_that_has_run_out_and_is_still_there_is_over(play: Play) -> None:
    """Another contact registers before Kamailio's timer has removed it."""
    events = play(bindings(contact(1, T0_S + 5)), bindings(contact(1, T0_S + 5), at_s=T0_S + 6))
    assert ends(events) == [("bob", "REGISTRATION_EXPIRED")]


def test_a_kamailio_that_restarted_and_was_asked_ends_nothing(play: Play, journal: Journal) -> None:
    """Its endpoints register again by and by."""
    assert play(bindings(contact(1)), bindings(asked=True)) == []
    assert new_intake(journal, SystemClock()).addresses() == ["bob@example.com"]
    assert play(bindings(contact(1, T0_S + 900), asked=True)) == []
    assert len(puts(journal)) == 2


def test_nobodys_registration_is_left_out(play: Play, journal: Journal) -> None:
    assert play(bindings(contact(1), uri="sip:bob@elsewhere.example")) == []
    assert puts(journal) == []
