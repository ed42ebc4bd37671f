from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.sinks.addresses import AddressPolicy

PUBLIC = AddressPolicy()

ALLOWED = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.0.3.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2000::1",
    "2001:200::1",
    "2001:db7:ffff::1",
    "2001:db9::1",
    "2003::1",
    "2606:4700:4700::1111",
    "3ffe::1",
    "3fff:1000::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.9",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:8.8.8.8",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b:1::808:808",
    "100::1",
    "1fff:ffff::1",
    "2001::1",
    "2001:0:808:808::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "2002:808:808::1",
    "2620:4f:8000::1",
    "3fff::1",
    "3fff:fff:ffff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700:4700::1111%eth0",
    "fec0::1",
    "ff02::1",
    "",
    "localhost",
    "127.1",
    "0x7f000001",
    "8.8.8.8 ",
    "08.8.8.8",
]


@pytest.mark.parametrize("address", ALLOWED)
def test_public_address_is_allowed(address: str) -> None:
    assert PUBLIC.allows(address)


@pytest.mark.parametrize("address", REFUSED)
def test_address_that_is_not_public_unicast_is_refused(address: str) -> None:
    assert not PUBLIC.allows(address)


@given(st.ip_addresses(v=4))
def test_mapped_form_is_checked_as_its_ipv4_address(address: IPv4Address) -> None:
    policy = AddressPolicy((ip_network("10.1.0.0/16"),))
    assert policy.allows(f"::ffff:{address}") == policy.allows(str(address))


@given(st.ip_addresses())
def test_whatever_is_allowed_python_calls_global(address: IPv4Address | IPv6Address) -> None:
    assert address.is_global or not PUBLIC.allows(str(address))


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("127.0.0.0/8", "127.0.0.1"),
        ("127.0.0.0/8", "::ffff:127.0.0.1"),
        ("::1/128", "::1"),
        ("fd00::/8", "fd12::1"),
        ("::ffff:10.0.0.0/104", "::ffff:10.0.0.1"),
        ("224.0.0.0/4", "224.0.0.1"),
    ],
)
def test_allowed_network_wins(network: str, address: str) -> None:
    assert AddressPolicy((ip_network(network),)).allows(address)


@pytest.mark.parametrize("address", ["64:ff9b::7f00:1", "2002:7f00:1::1", "::127.0.0.1", "127.0.0.1%lo"])
def test_allowed_ipv4_network_does_not_open_other_embeddings(address: str) -> None:
    assert not AddressPolicy((ip_network("127.0.0.0/8"),)).allows(address)


def test_scoped_address_is_refused_even_in_an_allowed_network() -> None:
    assert not AddressPolicy((ip_network("fe80::/10"),)).allows("fe80::1%eth0")
