"""What is believed of the headers of proxies, and whose."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.core.forwarded import ForwardedRequest, TrustedProxies

PROXY, OTHER_PROXY, CLIENT = "10.0.0.1", "10.0.0.2", "198.51.100.7"
TRUSTED = TrustedProxies([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
NOTHING = ForwardedRequest()


def standard(text: str) -> dict[str, str]:
    return {"forwarded": text}


def other(addresses: str = "", proto: str = "", host: str = "") -> dict[str, str]:
    named = {"x-forwarded-for": addresses, "x-forwarded-proto": proto, "x-forwarded-host": host}
    return {name: value for name, value in named.items() if value}


@pytest.mark.parametrize("peer", [CLIENT, "2001:db8::1", "", "unix", "10.0.0.1x", "fe80::1%eth0"])
@pytest.mark.parametrize(
    "headers", [standard(f"for={CLIENT};proto=https"), other(CLIENT, "https", "a.example")]
)
def test_the_word_of_others_changes_nothing(peer: str, headers: dict[str, str]) -> None:
    assert TRUSTED.read(peer, headers) == NOTHING
    assert TrustedProxies([]).read(PROXY, headers) == NOTHING


@pytest.mark.parametrize("peer", [PROXY, "fd00::1", "::ffff:10.0.0.1"])
def test_a_trusted_proxy_tells_client_scheme_and_host(peer: str) -> None:
    told = ForwardedRequest(CLIENT, "https", "a.example:8443")
    assert TRUSTED.read(peer, other(CLIENT, "https", "a.example:8443")) == told
    text = f'For="{CLIENT}:4711";Proto=HTTPS;host="a.example:8443"'
    assert TRUSTED.read(peer, standard(text)) == told


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        # What a client put in front is beyond the first address that is no proxy's.
        (other(f"1.1.1.1, {CLIENT}"), ForwardedRequest(CLIENT)),
        (other(f"10.9.9.9, {CLIENT}, {OTHER_PROXY}"), ForwardedRequest(CLIENT)),
        (
            standard(f"for=1.1.1.1;host=evil.example, for={CLIENT};host=a.example"),
            ForwardedRequest(CLIENT, None, "a.example"),
        ),
        # The scheme and the host of that hop, if each has one.
        (
            other(f"{CLIENT}, {OTHER_PROXY}", "https, http", "a.example, inner"),
            ForwardedRequest(CLIENT, "https", "a.example"),
        ),
        (
            other(f"{CLIENT}, {OTHER_PROXY}", "https", "a.example"),
            ForwardedRequest(CLIENT, "https", "a.example"),
        ),
        (other(f"1.1.1.1, {CLIENT}, {OTHER_PROXY}", "https, http"), ForwardedRequest(CLIENT)),
        # Proxies all the way.
        (other(f"{OTHER_PROXY}"), ForwardedRequest(OTHER_PROXY)),
        # IPv6, with and without a port.
        (standard('for="[2001:db8::7]:443"'), ForwardedRequest("2001:db8::7")),
        (standard('for="[2001:db8::7]";proto=http'), ForwardedRequest("2001:db8::7", "http")),
        (other("2001:db8::7"), ForwardedRequest("2001:db8::7")),
        # Only a scheme, or only a host.
        (other("", "https"), ForwardedRequest(None, "https")),
        (standard("proto=https"), ForwardedRequest(None, "https")),
        # What a proxy keeps to itself ends what can be known.
        (standard(f"for=1.1.1.1, for=unknown, for={OTHER_PROXY}"), ForwardedRequest(OTHER_PROXY)),
        (standard("for=_hidden;proto=https"), ForwardedRequest(None, "https")),
        # Quoted pairs.
        (standard('for="10\\.0.0.7";by=_x'), ForwardedRequest("10.0.0.7")),
    ],
)
def test_chains(headers: dict[str, str], told: ForwardedRequest) -> None:
    assert TRUSTED.read(PROXY, headers) == told


@pytest.mark.parametrize(
    "headers",
    [
        # One of them may be the client's own.
        standard(f"for={CLIENT}") | other("", "https"),
        standard(f"for={CLIENT}") | other(CLIENT),
        standard(f"for={CLIENT};for=1.1.1.1"),
        standard(f"for={CLIENT},,for=1.1.1.1"),
        standard(f'for="{CLIENT}'),
        standard(f"for={CLIENT} proto=https"),
        standard("nonsense"),
        standard(";"),
        other("", "ftp"),
        other("", "", "evil.example/path"),
        other("", "", "a b"),
        other("", "", "user@a.example"),
        other("nonsense"),
        other(", ".join([CLIENT] * 33)),
        standard(", ".join([f"for={CLIENT}"] * 33)),
    ],
)
def test_what_cannot_be_read_is_not_believed(headers: dict[str, str]) -> None:
    assert TRUSTED.read(PROXY, headers) == NOTHING


@given(st.text(alphabet='for=;,"\\[]:.0123456789abcdef proto https_', max_size=200))
def test_nothing_raises_and_nothing_is_told_but_what_is_valid(text: str) -> None:
    for headers in (standard(text), other(text, text, text)):
        told = TRUSTED.read(PROXY, headers)
        assert told.scheme in (None, "http", "https")
        assert told.host is None or " " not in told.host
