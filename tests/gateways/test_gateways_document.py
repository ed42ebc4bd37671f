"""docs/gateways.md says what the code does: the table of SIP responses, the options, the bounds."""

import re

import click
import pytest

from tests.harness.documents import ROOT
from webrtc_events.cli.gateways import gateway
from webrtc_events.gateways.journal import DEFAULT_LIMITS
from webrtc_events.gateways.sip_status import FINAL_STATUSES, PROVISIONAL_STATUSES, TRIED_AGAIN, SessionStatus

PAGE = (ROOT / "docs" / "gateways.md").read_text(encoding="utf-8")
ADAPTERS = sorted(set(gateway.commands) - {"status"})


def test_sip_responses_have_the_statuses_of_the_code() -> None:
    rows = re.findall(r"(?m)^\| (\d{3}) \| `(\w+)` \| (?:`(\w+)`)? ?\|$", PAGE)
    found = {int(code): (status, later) for code, status, later in rows}
    assert len(found) == len(rows)
    expected = {code: (status.value, "") for code, status in PROVISIONAL_STATUSES.items()}
    expected[200] = (SessionStatus.CONNECTED.value,) * 2
    expected |= {code: (before.value, after.value) for code, (before, after) in FINAL_STATUSES.items()}
    assert found == expected
    assert list(found) == sorted(found)
    *first, last = sorted(TRIED_AGAIN)
    assert f"A {', '.join(map(str, first))} or {last} is no answer" in PAGE


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_option_of_an_adapter_has_a_row(name: str) -> None:
    rows = dict(re.findall(r"(?m)^\| `(--[a-z-]+)` \| `([A-Z_]+)` \|", PAGE))
    options = {
        parameter.opts[0]: parameter.envvar
        for parameter in gateway.commands[name].params
        if isinstance(parameter, click.Option)
    }
    assert {option: variable for option, variable in options.items() if rows.get(option) != variable} == {}


def test_every_row_of_an_option_is_one_of_an_adapter() -> None:
    rows = re.findall(r"(?m)^\| `(--[a-z-]+)` \| `[A-Z_]+` \|", PAGE)
    known = {parameter.opts[0] for name in ADAPTERS for parameter in gateway.commands[name].params}
    assert set(rows) - known == set()


def test_the_bounds_of_the_queue_are_those_of_the_code() -> None:
    assert f"{DEFAULT_LIMITS.max_entries:,} requests" in PAGE
    assert f"the newest {DEFAULT_LIMITS.max_rejected:,}" in PAGE
    assert f"| {DEFAULT_LIMITS.seen_ms // 3_600_000} h: longer" in PAGE
