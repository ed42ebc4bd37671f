"""How times, spans, sizes and counts look."""

import pytest
from flask import Flask, render_template_string

from webrtc_events.console.display import count, moment, register_display, size, span


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "—"),
        (0, "0 ms"),
        (-5, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 s"),
        (119_999, "1 min"),
        (7_200_000, "2 h"),
        (200_000_000, "2 d"),
    ],
)
def test_a_span_has_one_unit(ms: int | None, text: str) -> None:
    assert span(ms) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "—"), (0, "0 B"), (999, "999 B"), (1_250, "1.2 kB"), (16_777_216, "16.8 MB")]
)
def test_a_size_has_one_unit(value: int | None, text: str) -> None:
    assert size(value) == text


def test_moments_and_counts() -> None:
    assert (moment(None), moment(1_773_133_200_123)) == ("—", "2026-03-10 09:00:00")
    assert (count(None), count(1_234_567)) == ("—", "1,234,567")


def test_what_is_no_text_is_shown_as_something_else() -> None:
    app = Flask(__name__)
    register_display(app)
    with app.app_context():
        shown = render_template_string("{{ text }} {{ 1234|grouped }}", text="\udcff<é")
    assert shown == "?&lt;é 1,234"
