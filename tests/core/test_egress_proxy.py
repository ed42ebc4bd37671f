"""What the settings of the egress proxy may say."""

import pytest

from webrtc_events.core.egress_proxy import (
    EgressProxy,
    parse_no_proxy,
    parse_proxy_credentials,
    parse_proxy_url,
)
from webrtc_events.core.settings import Settings, SettingsError

LEAST = {
    "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "https://id.example/.well-known/openid-configuration",
    "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
}


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("http://proxy.example:8080", "http://proxy.example:8080"),
        ("http://proxy.example", "http://proxy.example:3128"),
        ("https://Proxy.Example/", "https://proxy.example:443"),
        ("http://10.0.0.1:3128", "http://10.0.0.1:3128"),
        ("http://[::1]:3128", "http://[::1]:3128"),
    ],
)
def test_a_proxy_is_http_or_https_with_host_and_port(raw: str, shown: str) -> None:
    assert str(parse_proxy_url(raw)) == shown


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "proxy.example:3128",
        "socks5://proxy.example:1080",
        "http://",
        "http://proxy.example:0",
        "http://proxy.example:99999",
        "http://proxy.example:3128/path",
        "http://proxy.example:3128?x",
        "http://[fe80::1",
        "http://pro xy:1",
    ],
)
def test_anything_else_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match="must be http://host:port"):
        parse_proxy_url(raw)


def test_credentials_do_not_belong_into_the_url_and_are_not_shown() -> None:
    with pytest.raises(ValueError, match="must not hold credentials") as raised:
        parse_proxy_url("http://me:secret@proxy.example:3128")
    assert "secret" not in str(raised.value)
    for bad in ("justname", ":secret", "me:sec\nret"):
        with pytest.raises(ValueError, match="must be user:password") as raised:
            parse_proxy_credentials(bad)
        assert "sec" not in str(raised.value)


def test_a_password_may_hold_anything_printable() -> None:
    proxy = EgressProxy(parse_proxy_url("http://p:1"), credentials=parse_proxy_credentials("me:a:b@/ü"))
    assert proxy.user == ("me", "a:b@/ü")
    assert proxy.url_with_credentials == "http://me:a%3Ab%40%2F%C3%BC@p:1"
    assert "a:b" not in repr(proxy)


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("internal.example", True),
        ("sink.internal.example", True),
        ("sink.internal.example.", True),
        ("notinternal.example", False),
        ("example", False),
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("192.0.2.7", True),
        ("2001:db8::7", True),
        ("2001:db9::7", False),
        # A name that looks like an address of the network is none.
        ("10.1.2.3.example", False),
    ],
)
def test_what_goes_round_the_proxy(host: str, *, covered: bool) -> None:
    no_proxy = parse_no_proxy(" internal.example, 10.0.0.0/8,2001:db8::/32,192.0.2.7 ")
    assert no_proxy.covers(host) is covered


@pytest.mark.parametrize("raw", [".internal.example", "*.internal.example", "INTERNAL.example"])
def test_a_domain_may_be_written_as_other_programs_have_it(raw: str) -> None:
    assert parse_no_proxy(raw).covers("a.internal.example")


@pytest.mark.parametrize("raw", ["10.0.0.1/8", "a b", "*", "http://x", "10.0.0.0/99"])
def test_no_proxy_that_is_neither_name_nor_network_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match="must be host names and CIDR networks"):
        parse_no_proxy(raw)


def test_without_settings_there_is_no_proxy() -> None:
    settings = Settings.from_environ(LEAST)
    assert EgressProxy.of(settings) is None


def test_settings_name_the_proxy_and_do_not_show_its_credentials() -> None:
    settings = Settings.from_environ(
        LEAST
        | {
            "WEBRTC_EVENTS_EGRESS_PROXY": "http://proxy.example:3128",
            "WEBRTC_EVENTS_EGRESS_PROXY_CREDENTIALS": "me:secret",
            "WEBRTC_EVENTS_EGRESS_NO_PROXY": "internal.example",
        }
    )
    proxy = EgressProxy.of(settings)
    assert proxy is not None
    assert proxy.user == ("me", "secret")
    assert proxy.no_proxy.covers("internal.example")
    assert "secret" not in repr(settings)


def test_credentials_without_a_proxy_are_a_mistake() -> None:
    with pytest.raises(SettingsError, match="EGRESS_PROXY is not set"):
        Settings.from_environ(LEAST | {"WEBRTC_EVENTS_EGRESS_PROXY_CREDENTIALS": "me:secret"})
