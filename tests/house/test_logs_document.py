"""docs/operations/logs.md names every field and every line of the log."""

import re

from tests.house.log_table import DOCUMENT, fields, with_table
from webrtc_events.core.json_lines import RESERVED


def named() -> list[str]:
    head = DOCUMENT.read_text(encoding="utf-8").partition("## Every line")[0]
    return re.findall(r"(?m)^\| `(\w+)` \|", head)


def test_the_fields_are_those_of_the_code() -> None:
    assert sorted(named()) == sorted({*fields(), *RESERVED})


def test_no_field_has_a_name_that_every_line_has() -> None:
    assert not fields() & RESERVED


def test_the_lines_are_those_of_the_code() -> None:
    """`python -m tests.house.log_table` writes them anew."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == with_table(text)
