"""What is JSON here, and what is not though the standard library takes it."""

import json

import pytest

from webrtc_events.contract.strict_json import MAX_DEPTH, parse_json
from webrtc_events.core.errors import InvalidArgument


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, true, null, "\\u00e4\xc3\xa4"]}', {"a": [1, 2.5, True, None, "ää"]}),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"[[[[{{{{"', "[[[[{{{{"),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
        (b"-" + b"9" * 99, -int("9" * 99)),
        (b'["' + b'\\"[",' + b'"["' * 1 + b"]", ['"[', "["]),
    ],
)
def test_json_is_read(body: bytes, value: object) -> None:
    parsed = parse_json(body)
    assert value is None or parsed == value


def test_brackets_within_strings_are_no_nesting() -> None:
    text = "[{" * 200
    assert parse_json(f'["{text}", "a\\"{text}"]'.encode()) == [text, f'a"{text}']


@pytest.mark.parametrize("text", ["\\\\", '\\"', '\\\\\\"', "\\n\\\\", "]]}}", "\\u005c"])
@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1])
def test_no_string_hides_the_depth(text: str, depth: int) -> None:
    """At each level a string, and behind it the next level; many more brackets than levels are in strings."""
    body = f'["{text}","{"]" * 200}",' * depth + "1" + "]" * depth
    if depth == MAX_DEPTH:
        assert parse_json(body.encode()) == json.loads(body)
    else:
        with pytest.raises(InvalidArgument, match="levels deep"):
            parse_json(body.encode())


@pytest.mark.parametrize("rest", [b"", b'{"a":1,"a":1}', b"NaN", b"\xff", b"1e999", b'"\\ud800"', b'\\\\"]'])
def test_depth_is_named_before_whatever_else_is_wrong(rest: bytes) -> None:
    with pytest.raises(InvalidArgument, match="levels deep"):
        parse_json(b"[" * (MAX_DEPTH + 1) + rest + b"]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{} {}",
        b"'a'",
        b"NaN",
        b"[-Infinity]",
        b"1e999",
        b'{"a": 1, "a": 1}',
        b'{"b": {"a": 1, "\\u0061": 2}}',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf{}",
        b'{"a": "\\ud800"}',
        b'{"\\udc00": 1}',
        b'"\\ud800\\ud800\\udc00"',
        b"1" * 5000,
        b"0." + b"1" * 5000,
        b"[" * 50_000 + b"]" * 50_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"[" * 50_000,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'"a' + b"[" * 50_000,
    ],
)
def test_what_is_no_json_is_an_invalid_argument(body: bytes) -> None:
    with pytest.raises(InvalidArgument):
        parse_json(body)


def test_message_does_not_repeat_the_content() -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse_json(b'{"token": "s3cret", "token": "s3cret"}')
    assert "s3cret" not in refused.value.message
    assert "token" not in refused.value.message
