"""URLs of sinks: one ASCII form of each, and none that parsers may read differently."""

from contextlib import suppress
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.core.port_set import PortSet
from webrtc_events.sinks.addresses import AddressPolicy
from webrtc_events.sinks.sink_url import check_sink_url

PUBLIC = AddressPolicy()


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://example.com", "https://example.com/"),
        ("https://example.com/", "https://example.com/"),
        ("HTTPS://Example.COM/Path", "https://example.com/Path"),
        ("https://example.com:443/a", "https://example.com/a"),
        ("https://example.com:8443/a?b=c&d=%2F", "https://example.com:8443/a?b=c&d=%2F"),
        ("https://example.com:65535/", "https://example.com:65535/"),
        ("https://example.com?x=/y?z", "https://example.com/?x=/y?z"),
        ("https://example.com/a/../b;c@d:e", "https://example.com/a/../b;c@d:e"),
        ("https://example.com./", "https://example.com./"),
        ("https://a_b.example.com/", "https://a_b.example.com/"),
        ("https://1.example/", "https://1.example/"),
        ("https://localhost:9443/", "https://localhost:9443/"),
        ("https://bücher.example/ä?ö=ü", "https://xn--bcher-kva.example/%C3%A4?%C3%B6=%C3%BC"),
        ("https://BÜCHER。example/", "https://xn--bcher-kva.example/"),
        ("https://straße.example/", "https://xn--strae-oqa.example/"),
        ('https://example.com/{"a|b"}', "https://example.com/%7B%22a%7Cb%22%7D"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://134744072/", "https://8.8.8.8/"),
        ("https://0x8.010.0x808/", "https://8.8.8.8/"),
        ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/"),
        ("https://[2606:4700:0:0:0:0:0:1111]:8443/", "https://[2606:4700::1111]:8443/"),
    ],
)
def test_url_of_a_sink_is_normalised(url: str, normal: str) -> None:
    assert check_sink_url(url, PUBLIC) == normal
    assert check_sink_url(normal, PUBLIC) == normal


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "https:///path",
        "https:/example.com/",
        "https:example.com/",
        "http://example.com/",
        "ftp://example.com/",
        "//example.com/",
        "xhttps://example.com/",
        " https://example.com/",
        "https://example.com/ ",
        "https://example.com/a b",
        "https://example.com/\n",
        "https://exam\tple.com/",
        "https://example.com/\x00",
        "https://example.com/\x7f",
        "https://example.com/\u2028",
        "https://example.com/\u00a0",
        "https://example.com/\u200b",
        "https://exam\u00adple.com/",
        "https://example.com/\ud800",
        "https://example.com\\@evil.example/",
        "https://example.com/a\\b",
        "https://example.com/#",
        "https://example.com/#fragment",
        "https://example.com#@evil.example/",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com:/",
        "https://example.com:0/",
        "https://example.com:22/",
        "https://example.com:80/",
        "https://example.com:1023/",
        "https://example.com:0443/",
        "https://example.com:+443/",
        "https://example.com:65536/",
        "https://example.com:443:443/",
        "https://example.com:44\uff13/",
        "https://:8443/",
        "https://.example.com/",
        "https://example..com/",
        "https://./",
        "https://-a.example/",
        "https://a-.example/",
        "https://exam%70le.com/",
        "https://exam!ple.com/",
        "https://*.example.com/",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 127}example/",
        "https://☃.example/",
        "https://example.com/%",
        "https://example.com/%zz",
        "https://1.2.3.4.5/",
        "https://256.1.1.1/",
        "https://1.2.3.08/",
        "https://1.2.3.4./",
        "https://a.1/",
        "https://0x/",
        "https://4294967296/",
        "https://[]/",
        "https://[v1.x]/",
        "https://[::1/",
        "https://::1/",
        "https://[2606:4700::1111]8443/",
        "https://[2606:4700::1111%25eth0]/",
        "https://example.com/" + "a" * 2048,
        "https://example.com/" + "ä" * 1000,
    ],
)
def test_url_that_parsers_may_read_differently_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^sink must "):
        check_sink_url(url, PUBLIC)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0X7F.1",
        "0x7f.0.0.0x1",
        "017700000001",
        "0177.1",
        "0",
        "0.0.0.0",
        "127。0。0。1",
        "\uff11\uff12\uff17.0.0.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[fe80::1]",
    ],
)
def test_every_spelling_of_a_refused_address_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="not a public address"):
        check_sink_url(f"https://{host}/", PUBLIC)


def test_allowed_network_permits_literal_addresses() -> None:
    policy = AddressPolicy((ip_network("127.0.0.0/8"), ip_network("::1/128")))
    assert check_sink_url("https://127.1:9443/", policy) == "https://127.0.0.1:9443/"
    assert check_sink_url("https://[::1]:9443/", policy) == "https://[::1]:9443/"
    with pytest.raises(ValueError, match="not a public address"):
        check_sink_url("https://10.0.0.1/", policy)


@pytest.mark.parametrize(
    ("ports", "url", "named"),
    [
        (PortSet.of(443), "https://example.com:8443/", "443"),
        (PortSet.of(9001, 8443, 9000), "https://example.com/", "8443, 9000-9001"),
        (PortSet.of(8443), "https://example.com:443/", "8443"),
        (PUBLIC.ports, "https://example.com:25/", "443, 1024-65535"),
    ],
)
def test_only_the_ports_of_the_policy_may_be_used(ports: PortSet, url: str, named: str) -> None:
    with pytest.raises(ValueError, match=f"^sink must use one of the ports {named}$"):
        check_sink_url(url, AddressPolicy(ports=ports))
    assert check_sink_url("https://example.com:25/", AddressPolicy(ports=PortSet.of(25)))


@pytest.mark.parametrize(
    ("host", "normal"),
    [
        ("\u0430pple.example", "xn--pple-43d.example"),  # a Cyrillic letter among Latin ones
        ("\u03b1\u0431\u0432.example", "xn--mxa0xd.example"),  # Greek and Cyrillic
        ("\u212aelvin.example", "kelvin.example"),  # the sign of the unit
        ("\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45\uff0e\uff43\uff4f\uff4d", "example.com"),  # fullwidth
        ("example\uff61com", "example.com"),  # halfwidth dot
        ("fa\u00df.example", "xn--fa-hia.example"),  # IDNA2008; IDNA2003 said fass
        ("\u03b2\u03cc\u03bb\u03bf\u03c2.example", "xn--nxasmm1c.example"),  # final sigma, likewise
        ("XN--FA-HIA.example", "xn--fa-hia.example"),
    ],
)
def test_international_names_go_out_in_one_ascii_form(host: str, normal: str) -> None:
    assert check_sink_url(f"https://{host}/", PUBLIC) == f"https://{normal}/"


@pytest.mark.parametrize(
    "host",
    [
        "a\u200db.example",  # zero width joiner
        "a\u200cb.example",  # zero width non-joiner
        "a\u2060b.example",  # word joiner
        "\u202eexample.com",  # right-to-left override
        "\u0301a.example",  # starts with a combining mark
        "example.com\u2100.evil.example",  # maps to a/c
        "example.com\uff0f.evil.example",  # fullwidth /
        "example.com\uff1f.evil.example",  # fullwidth ?
        "example.com\uff03.evil.example",  # fullwidth #
        "example.com\uff20evil.example",  # fullwidth @
        "example.com\uff1a25",  # fullwidth :
        "example.com\uff3cevil.example",  # fullwidth backslash
        "\u05d0a.example",  # right-to-left and left-to-right in one label
        "a\ufffd.example",
        "%65xample.com",
        "example%2ecom",
        "127%2e0%2e0%2e1",
        "%C3%A4.example",
    ],
)
def test_names_that_hide_what_they_are_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"^sink must "):
        check_sink_url(f"https://{host}/", PUBLIC)


@pytest.mark.parametrize(
    "host", ["\u2460\u2461\u2466.0.0.1", "\U0001d7cf\U0001d7d0\U0001d7d5.0.0.1", "\uff10x7f.1"]
)
def test_digits_in_disguise_are_read_as_digits(host: str) -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1, which is not a public address"):
        check_sink_url(f"https://{host}/", PUBLIC)


@given(st.text())
def test_any_text_gives_a_stable_ascii_url_or_a_value_error(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.com/{text}"):
        checked = ""
        with suppress(ValueError):
            checked = check_sink_url(url, PUBLIC)
        assert checked.isascii()
        assert not checked or check_sink_url(checked, PUBLIC) == checked


def test_the_longest_url_and_the_longest_name_are_allowed() -> None:
    start = "https://example.com/"
    longest = start + "a" * (2048 - len(start))
    assert check_sink_url(longest, PUBLIC) == longest
    name = ".".join(["a" * 63] * 3 + ["b" * 53, "example"])
    assert len(name) == 253
    assert check_sink_url(f"https://{name}/", PUBLIC) == f"https://{name}/"


def test_ports_are_named_in_runs() -> None:
    policy = AddressPolicy(ports=PortSet.of(443, 1024, (2000, 2001), (2001, 2002)))
    with pytest.raises(ValueError, match=r"one of the ports 443, 1024, 2000-2002$"):
        check_sink_url("https://example.com:25/", policy)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://example.com/" + "a" * 2029, "have at most 2048 characters"),
        ("https://example.com/" + "\u00e4" * 1000, "have at most 2048 characters once percent-encoded"),
        ("https://example.com/a b", "not contain spaces or control characters"),
        ("https://example.com/a\\b", "not contain a backslash"),
        ("https://example.com/#a", "not have a fragment"),
        ("http://example.com/", "be an https:// URL"),
        ("https://user@example.com/", "not contain a user name or password"),
        ("https://[::1/", "have a valid host and port"),
        ("https:///", "have a host"),
        ("https://a..example/", "have a valid host name"),
        ("https://\u00e4\u0338.-\u05d0a/", "have a valid host name"),
        ("https://[::x]/", "have a valid IPv6 address in its brackets"),
        ("https://1.2.3.x9.9/", "have a valid IPv4 address"),
        ("https://1.2.3.256/", "have a valid IPv4 address"),
        ("https://127.0.0.1/", "not be at 127.0.0.1, which is not a public address"),
        ("https://example.com:25/", "use one of the ports 443, 1024-65535"),
        ("https://example.com/%4", "escape with % and two hexadecimal digits"),
    ],
)
def test_a_refusal_says_which_rule_it_is_by(url: str, rule: str) -> None:
    with pytest.raises(ValueError, match="sink") as caught:
        check_sink_url(url, PUBLIC)
    assert str(caught.value) == f"sink must {rule}"


def test_a_part_of_an_address_may_be_255() -> None:
    assert check_sink_url("https://1.255.3.255/", PUBLIC) == "https://1.255.3.255/"
