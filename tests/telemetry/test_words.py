"""The words of labels: there is one for each reason that the code gives."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.harness.documents import ROOT
from webrtc_events.core.model import EventType
from webrtc_events.core.outcomes import PROXY_REASONS, Retry, SinkAnswer
from webrtc_events.delivery.retry_policy import decide
from webrtc_events.sinks.failures import CURL_REASONS
from webrtc_events.telemetry.families import FAMILIES, OTHER, known

RETRIES = FAMILIES["retries_total"]
DROPS = FAMILIES["given_up_total"]


def literals(name: str) -> Iterator[str]:
    """What each call of `name` has as its first argument, where it is written there."""
    for path in (ROOT / "webrtc_events").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                match node.args:
                    case [ast.Constant(value=str(reason)), *_]:
                        yield reason


def of_scripts() -> Iterator[str]:
    """What the store gives up by itself, with the reason that is written there."""
    call = re.compile(r"\b(?:dead_letter|add_letter|drop_pending)\([^\n]*?, '([a-z_]+)'")
    for path in (ROOT / "webrtc_events" / "store" / "lua").rglob("*.lua"):
        yield from call.findall(path.read_text("utf-8"))


def test_each_reason_to_give_up_has_a_word() -> None:
    assert {*literals("Drop"), *of_scripts()} | {OTHER} == {*DROPS.values}


def test_each_failure_of_a_request_has_a_word() -> None:
    reasons = {*literals("SinkFailure"), *CURL_REASONS.values(), *PROXY_REASONS, OTHER}
    assert {reason for reason in RETRIES.values if not reason.startswith("http_")} == reasons


def test_each_status_that_is_tried_again_has_a_word() -> None:
    found = set()
    for status in range(100, 600):
        outcome = decide(
            SinkAnswer(status, None, 1),
            attempt=1,
            remaining_ms=1000,
            credentialed=False,
            random=lambda: 0.5,
            now_s=0.0,
        )
        if isinstance(outcome, Retry):
            found.add(known(RETRIES, outcome.reason))
    assert found == {reason for reason in RETRIES.values if reason.startswith("http_")}


@pytest.mark.parametrize("reason", ["", "http_", "http_999", "a word\nof others", "tls "])
def test_every_other_word_is_one(reason: str) -> None:
    assert known(RETRIES, reason) == known(DROPS, reason) == OTHER


def test_each_type_of_events_has_a_word() -> None:
    words = {event_type.rpartition(".")[2] for event_type in EventType}
    assert {*FAMILIES["deliveries_total"].values} == words | {OTHER}
