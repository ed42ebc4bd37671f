"""The names of event types, by the version of the contract."""

import pytest

from webrtc_events.contract.documents import load_public, load_subscriptions
from webrtc_events.core.event_names import SUBSCRIBABLE, event_type_of, wire_type
from webrtc_events.core.model import ContractVersion, EventType

CONTRACTS = {
    ContractVersion.V0_2: load_public(),
    ContractVersion.NEXT: load_public(strict_cloudevents=True),
    ContractVersion.V0_3: load_subscriptions(),
}


@pytest.mark.parametrize("version", ContractVersion)
def test_the_names_are_those_of_the_contract(version: ContractVersion) -> None:
    schemas = CONTRACTS[version].document["components"]["schemas"]
    assert {wire_type(version, event_type) for event_type in EventType} == set(
        schemas["CloudEvent"]["discriminator"]["mapping"]
    )
    assert {wire_type(version, event_type) for event_type in SUBSCRIBABLE} == set(
        schemas["SubscriptionEventType"]["enum"]
    )


@pytest.mark.parametrize("version", ContractVersion)
def test_a_name_leads_back_to_its_type(version: ContractVersion) -> None:
    for event_type in EventType:
        assert event_type_of(version, wire_type(version, event_type)) is event_type


@pytest.mark.parametrize(
    ("version", "other"),
    [(ContractVersion.V0_2, ContractVersion.V0_3), (ContractVersion.V0_3, ContractVersion.V0_2)],
)
def test_a_name_of_another_version_is_none(version: ContractVersion, other: ContractVersion) -> None:
    for event_type in EventType:
        with pytest.raises(ValueError, match=r"session|registration|subscription"):
            event_type_of(version, wire_type(other, event_type))


def test_a_version_that_is_not_known_has_no_names() -> None:
    with pytest.raises(ValueError, match="v9"):
        event_type_of("v9", EventType.SESSION_STATUS.value)
