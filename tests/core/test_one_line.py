"""Whatever a peer says stays one value of one line."""

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.core.log_masking import Masking
from webrtc_events.core.one_line import key_values, one_line

MASKING = Masking(b"k" * 32, show=False)
LINE = re.compile(r'(?:\w+=(?:"[^"]*"|[^\s"]*)(?: |$))*')
# What a masked text may hold, and what would break a line, more often than chance would have it.
HOSTILE = st.lists(
    st.sampled_from(
        [
            *(
                '"',
                "\\",
                "\n",
                "\r",
                "\x1b[2J",
                "\x9b",
                "\u202e",
                "\u2028",
                "\udcf0",
                "\x00",
                " ",
                "=",
                "'",
                "ü",
            ),
            *("~", "Bearer ", "access_token=", "eyJ", ".", "tel:", "sip:a@b.c", "+12025550100", "<", ">"),
            *("/registrations/", "Command # 1 (", ") of pipeline", "outcome=delivered", "x"),
        ]
    )
).map("".join)


@given(st.text() | HOSTILE)
def test_any_text_becomes_printable_and_short(text: str) -> None:
    line = one_line(text)
    assert len(line) <= 300
    assert not {'"', "\\"} & set(line)
    line.encode()
    assert all(
        unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for character in line
    )
    assert one_line(line) == line


@given(st.lists(HOSTILE | st.just("plain"), max_size=4))
def test_each_value_is_shown_as_if_it_were_alone(texts: list[str]) -> None:
    """Also one with a line end, which may look like two that need no quotes."""
    record = {f"name{at}": text for at, text in enumerate(texts)}
    assert key_values(record) == " ".join(key_values({name: text}) for name, text in record.items())


@given(HOSTILE)
def test_values_stay_apart_also_once_the_line_is_masked(text: str) -> None:
    record = {"event": "s.1", "reason": "tls", "detail": MASKING.text(one_line(text)), "status": None}
    line = MASKING.text(key_values(record))
    assert LINE.fullmatch(line), line
    assert [name for name, _ in re.findall(r'(\w+)=("[^"]*"|[^\s"]*)', line)] == list(record)


def test_what_stands_alone_is_not_quoted() -> None:
    record = {
        "reason": "",
        "status": 204,
        "host": "https://[::1]:443",
        "detail": "Connection refused",
        "a": "b=c",
    }
    line = 'reason= status=204 host=https://[::1]:443 detail="Connection refused" a="b=c"'
    assert key_values(record) == line


def test_words_are_shown_as_far_as_they_can_be() -> None:
    assert one_line('subject "x" \\ \n\x1b[31m été \udcf0') == "subject 'x' / ??[31m été ?"
