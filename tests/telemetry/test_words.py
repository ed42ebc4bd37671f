"""The words of labels: there is one for each reason that the code gives."""

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.harness.documents import ROOT
from webrtc_events.core.model import EventType
from webrtc_events.core.outcomes import Retry, SinkAnswer
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


def assigned(name: str, path: Path) -> Iterator[str]:
    """The words that a module gives a variable of that name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            chosen = (
                [node.value.body, node.value.orelse] if isinstance(node.value, ast.IfExp) else [node.value]
            )
            for value in chosen:
                match value:
                    case ast.Constant(value=str(reason)):
                        yield reason


def texts_of(folder: str, pattern: str = "*.py") -> str:
    return "\n".join(path.read_text("utf-8") for path in (ROOT / folder).rglob(pattern))


def given_up_by_the_store() -> set[str]:
    """The reasons that stand in its scripts."""
    texts = texts_of("webrtc_events/store/lua", "*.lua")
    calls = r"\b(?:dead_letter|add_letter|drop_pending)\([^\n']*'([a-z_]+)'"
    return set(re.findall(calls, texts))


def test_each_reason_to_give_up_has_a_word() -> None:
    of_store = given_up_by_the_store()
    assert of_store == {"access_token_expired", "damaged", "outbox_full", "subscription_ended"}
    assert {*literals("Drop")} | of_store | {OTHER} == {*DROPS.values}


def test_each_failure_of_a_request_has_a_word() -> None:
    sinks = ROOT / "webrtc_events/sinks"
    through_a_proxy = {*assigned("reason", sinks / "failures.py"), *assigned("reason", sinks / "client.py")}
    assert through_a_proxy >= {"proxy", "tunnel"}
    not_sent = set(re.findall(r'Retry\([^\n]*, "([a-z_]+)"\)', texts_of("webrtc_events/delivery")))
    assert not_sent == {"contract_unknown", "credential_unreadable"}
    no_token = set(re.findall(r'"(token_[a-z]+)"', texts_of("webrtc_events/sinks", "token_answers.py"))) - {
        "token_type"
    }
    reasons = (
        {*literals("SinkFailure")}
        | {*CURL_REASONS.values()}
        | through_a_proxy
        | not_sent
        | no_token
        | {OTHER}
    )
    assert {reason for reason in RETRIES.values if not reason.startswith("http_")} == reasons


def test_each_status_that_is_tried_again_has_a_word() -> None:
    found = set()
    for status, fetched in product(range(100, 600), (False, True)):
        outcome = decide(
            SinkAnswer(status, None, 1),
            attempt=1,
            remaining_ms=1000,
            credentialed=False,
            fetched=fetched,
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
