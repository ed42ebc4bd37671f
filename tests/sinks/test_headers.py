"""Which headers and tokens a subscriber may have sent along."""

import pytest

from webrtc_events.sinks.headers import (
    FRAMING_HEADERS,
    check_sink_headers,
    check_sink_token,
    is_sendable_header,
)


def test_ordinary_headers_are_fine() -> None:
    headers = {"X-App": "a b\tc", "X-Empty": "", "traceparent": "00-1-2-01"}
    check_sink_headers(headers)
    assert all(is_sendable_header(name, value) for name, value in headers.items())


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "Authorization", "Content-Length", "content-type", "CE-id", "x-correlator", "Connection"),
        *("WebHook-Request-Origin", "webhook-allowed-rate"),
        *("Transfer-Encoding", "TE", "Upgrade", "", "a b", "a:b", "a\r\nb", "a\0", "é", "a" * 129),
        *("Signature", "signature-input", "Content-Digest", "WebHook-Request-Origin", "webhook-anything"),
        *("Forwarded", "X-Forwarded-For", "x-forwarded-anything", "X-Real-IP", "Via"),
        *("Proxy-Authenticate", "Cookie", "User-Agent", "X_Correlator", "ce_id", "CONTENT_TYPE"),
    ],
)
def test_headers_of_the_service_and_of_the_connection_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="header"):
        check_sink_headers({name: "1"})


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\0", "é", " a", "a ", "\x7f", "a" * 2049])
def test_values_that_would_break_a_request_are_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII") as caught:
        check_sink_headers({"x-app": value})
    assert value not in str(caught.value).replace("visible ASCII", "") or len(value) < 3


@pytest.mark.parametrize("name", sorted(FRAMING_HEADERS))
def test_what_the_sink_sets_itself_is_refused_at_once(name: str) -> None:
    """Else it would be found out only at delivery, time and again."""
    with pytest.raises(ValueError, match="set by the service"):
        check_sink_headers({name: "1"})


def test_too_many_or_twice_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 32"):
        check_sink_headers({f"x-{n}": "1" for n in range(33)})
    for second in ("X-A", "x_a"):
        with pytest.raises(ValueError, match="twice"):
            check_sink_headers({"x-a": "1", second: "2"})


def test_headers_are_bounded_in_all() -> None:
    check_sink_headers({f"x-{n}": "1" * 2044 for n in range(8)})
    with pytest.raises(ValueError, match="in all"):
        check_sink_headers({f"x-{n}": "1" * 2048 for n in range(8)})


@pytest.mark.parametrize("token", ["eyJ2ZXIiOiIxLjAiLCJ0eXAiOiJKV1QiL..", "a", "a==", "A-._~+/9"])
def test_bearer_tokens_are_fine(token: str) -> None:
    check_sink_token(token)


@pytest.mark.parametrize("token", ["", "=", "a b", "a\r\nb", "é", "a=b", "a" * 8193])
def test_what_is_no_bearer_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="bearer token"):
        check_sink_token(token)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "a"),
        ("host", "a"),
        ("x-app", "a\r\nb"),
        ("x-app", "\u00e9"),
        ("a b", "1"),
        ("x: y", "1"),
        ("", "1"),
    ],
)
def test_what_would_break_a_request_is_not_sent(name: str, value: str) -> None:
    assert not is_sendable_header(name, value)


def test_what_is_just_short_enough_is_fine() -> None:
    check_sink_token("a" * 8192)
    check_sink_headers({"x" * 128: "1" * 2048})
    check_sink_headers({f"x-{number}": "1" for number in range(32)})
    check_sink_headers({f"x{number}": "1" * 2046 for number in range(8)})
    with pytest.raises(ValueError, match="in all"):
        check_sink_headers({f"x{number}": "1" * 2046 for number in range(7)} | {"x7": "1" * 2047})


@pytest.mark.parametrize(
    ("headers", "rule"),
    [
        ({f"x{number}": "1" for number in range(33)}, "more than 32 headers"),
        ({f"x{number}": "1" * 2048 for number in range(9)}, "headers of more than 16384 characters in all"),
        ({"x-a": "1", "X-A": "1"}, "a header is named twice"),
        ({"a b": "1"}, "a header name is not a token of at most 128 characters"),
        ({"Via": "1"}, "header 'Via' is set by the service"),
        ({"x": "\n"}, "the value of header 'x' is not visible ASCII of at most 2048 characters"),
    ],
)
def test_a_refusal_says_which_header_and_why(headers: dict[str, str], rule: str) -> None:
    with pytest.raises(ValueError, match="header") as caught:
        check_sink_headers(headers)
    assert str(caught.value) == rule


def test_a_refused_token_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="token") as caught:
        check_sink_token("s3cret!")
    assert str(caught.value) == "not a bearer token of at most 8192 characters (RFC 6750, 2.1)"
