"""Addresses of SIP as the contract has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.contract.documents import load_network
from webrtc_events.gateways.sip_addresses import Party, address_of, party_of

VALIDATOR = load_network().validator("NetworkAddress")


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("sip:bob@example.com", "sip:bob@example.com"),
        ("sips:bob@example.com:5061;transport=tls?x=y", "sip:bob@example.com"),
        ("sip:bob:secret@example.com", "sip:bob@example.com"),
        ("sip:+12125550100@example.com;user=phone", "tel:+12125550100"),
        ("tel:+1-212-555-0100;phone-context=x", "tel:+12125550100"),
        ("tel:7042;phone-context=example.com", "sip:7042@pbx.invalid"),
        ("sip:1001@127.0.0.1:5070", "sip:1001@pbx.invalid"),
        ("sip:1001@[::1]:5070", "sip:1001@pbx.invalid"),
        ("1001", "sip:1001@pbx.invalid"),
        ("sip:%62ob%20x@example.com", "sip:bob%20x@example.com"),
        ("sip:example.com", "sip:anonymous@anonymous.invalid"),
        ("", "sip:anonymous@anonymous.invalid"),
    ],
)
def test_an_address(uri: str, address: str) -> None:
    assert address_of(uri, "pbx.invalid") == address


@pytest.mark.parametrize(
    ("header", "party"),
    [
        ('"Bob \\"B\\"" <sip:bob@example.com>;tag=1', Party("sip:bob@example.com", 'Bob "B"')),
        ("Bob B <sip:bob@example.com;x=1>;tag=1", Party("sip:bob@example.com", "Bob B")),
        ("<sip:bob@example.com>", Party("sip:bob@example.com")),
        ("sip:bob@example.com;tag=1", Party("sip:bob@example.com")),
    ],
)
def test_a_party(header: str, party: Party) -> None:
    assert party_of(header, "pbx.invalid") == party


@given(st.text(max_size=60) | st.from_regex(r"(sip|tel):.{0,30}@?.{0,30}"))
def test_any_text_becomes_an_address_that_the_contract_takes(uri: str) -> None:
    assert VALIDATOR.is_valid(address_of(uri, "pbx.invalid"))
