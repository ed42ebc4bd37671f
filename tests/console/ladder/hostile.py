"""Entries as damage, other releases and attackers may write them."""

from typing import Any

from hypothesis import strategies as st

__all__ = ["entries"]

_TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"><svg onload=alert(1)>',
            "]]>&amp;<!--",
            "\x00\x0b\x1b[31m",
            "\ud800",
            "\u202eevil",
            "\ufffe\uffff",
            "javascript:alert(1)",
            "日本語" * 40,
            "x" * 2_000,
        ]
    ),
)
_NUMBERS = st.one_of(
    st.integers(-5, 20), st.integers(), st.sampled_from([253_402_300_799_999, 2**63, 1_800_000_000_000])
)
_ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, st.floats(allow_nan=False), _TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)),
    max_leaves=6,
)
_AT = st.one_of(st.integers(1_800_000_000_000, 1_800_000_060_000), _ANY)


def _members(**likely: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {}, optional={name: st.one_of(values, _ANY) for name, values in likely.items()}
    )


_ACCEPTED = _members(
    kind=st.just("accepted"),
    at=_AT,
    source=st.sampled_from(["/g/1", "/g/2"]),
    id=_TEXTS,
    type=_TEXTS,
    status=_TEXTS,
    sequence=_NUMBERS,
    duplicate=st.booleans(),
    subscriptions=_NUMBERS,
    data=st.dictionaries(st.sampled_from(["offer", "answer", "status"]), _ANY, max_size=3),
)
_ATTEMPT = _members(
    kind=st.just("attempt"),
    at=_AT,
    ms=st.integers(0, 20_000),
    accepted_at=_AT,
    subscription=st.sampled_from(["a", "b", "c"]),
    event=st.sampled_from(["a.1", "a.2"]),
    type=_TEXTS,
    status=_TEXTS,
    attempt=st.integers(0, 3),
    outcome=st.sampled_from(["delivered", "retry", "drop", "end", "agreed", "refused", "other"]),
    reason=_TEXTS,
    http=st.sampled_from([0, 204, 503]),
    delay_ms=_NUMBERS,
    host=_TEXTS,
    sink=_TEXTS,
    last=st.booleans(),
    body=st.sampled_from(['{"data":{"offer":{"sdp":"v=0"}}}', "[", "{}", '{"data":7}']),
)
_GAP = _members(kind=st.just("gap"), at=_AT, count=_NUMBERS)


def entries(max_size: int = 12) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.one_of(_ACCEPTED, _ATTEMPT, _GAP, _ANY), max_size=max_size)
