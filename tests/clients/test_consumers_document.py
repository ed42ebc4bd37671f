"""docs/consumers.md: its code runs, and what it says of answers is so."""

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.harness.documents import ROOT, Document
from webrtc_events_client.consumer import (
    BearerTokens,
    Claim,
    ClaimState,
    Event,
    Gone,
    InMemory,
    KeySet,
    Receiver,
    ReceiverSettings,
    Refuse,
    TryLater,
)
from webrtc_events_client.consumer.errors import (
    BadSignature,
    BadToken,
    BeingHandled,
    InvalidNotification,
    KeysUnavailable,
    MethodNotAllowed,
    ReceiveError,
    TooLarge,
    UnknownKey,
    WrongType,
)

DOCUMENT = Document("consumers.md")
README = (ROOT / "clients" / "python" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.text, re.DOTALL | re.MULTILINE)
NOW = 1_800_000_000.0


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "document"}
    exec(compile(code, "docs/consumers.md", "exec"), names)  # noqa: S102
    return names


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_its_code_runs(number: int) -> None:
    assert run(BLOCKS[number])


def test_the_code_of_the_package_runs() -> None:
    code = re.search(r"^## Receive notifications\n+```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert code is not None
    assert isinstance(run(code[1])["receiver"], Receiver)


def test_the_quick_start_answers() -> None:
    answer = run(BLOCKS[0])["app"].test_client().post("/inbox", content_type="application/cloudevents+json")
    assert (answer.status_code, answer.data) == (403, b"the request is not signed\n")


def test_its_memory_in_redis(environ: dict[str, str]) -> None:
    (code,) = [block for block in BLOCKS if "class RedisMemory" in block]
    with redis.Redis.from_url(environ["WEBRTC_EVENTS_REDIS_URL"]) as client:
        memory = run(code)["RedisMemory"](client)
        _use(memory)


def test_the_memories_of_the_package_do_the_same() -> None:
    _use(InMemory())


def _use(memory: Any) -> None:
    """All that a memory promises, in the order of a session's life."""
    line = uuid.uuid4().hex
    first, second, third = (Event(f"{line}-{number}", line, number) for number in (1, 2, 3))
    claim: Claim = memory.begin(third, NOW)
    assert (claim.state, claim.is_stale) == (ClaimState.NEW, False)
    assert memory.begin(third, NOW).state is ClaimState.RUNNING
    memory.abandon(claim)
    again = memory.begin(third, NOW)
    assert again.state is ClaimState.NEW
    memory.abandon(claim)
    assert memory.begin(third, NOW).state is ClaimState.RUNNING
    memory.done(again, NOW)
    assert memory.begin(third, NOW).state is ClaimState.DONE
    late = memory.begin(first, NOW)
    assert (late.state, late.is_stale) == (ClaimState.NEW, True)
    memory.done(late, NOW)
    # The highest number counts, not the last one.
    assert memory.begin(second, NOW).is_stale
    assert not memory.begin(Event(f"{line}-x"), NOW).is_stale


# What stands in the table of answers, and what it is about.
_ROWS: dict[str, type[ReceiveError]] = {
    "the handler raised `TryLater(after_s=5)`": TryLater,
    "the handler raised `Refuse()`": Refuse,
    "the handler raised `Gone()`": Gone,
    "the same event is being handled": BeingHandled,
    "the signature does not hold": BadSignature,
    "the access token is missing or wrong": BadToken,
    "the body is no valid notification": InvalidNotification,
    "it has more than `max_body` bytes (1 MiB)": TooLarge,
    "it is not `application/cloudevents+json` in UTF-8, or compressed": WrongType,
    "neither POST nor OPTIONS": MethodNotAllowed,
}
_KEYS = "the key is not known, or keys cannot be fetched"
_OTHERS = {
    "the handler returned, now or before": "204",
    "the handler raised an exception, or the memory failed": "500, by the framework",
    _KEYS: "503, `Retry-After`",
}


def test_its_table_of_answers_is_that_of_the_errors() -> None:
    rows = {what: answer for what, answer, _ in DOCUMENT.table("When it is answered")}
    assert rows.keys() == _ROWS.keys() | _OTHERS.keys()
    for what, kind in _ROWS.items():
        response = kind("why").response()
        expected = (
            f"{response.status}, `Retry-After`"
            if "Retry-After" in dict(response.headers)
            else str(response.status)
        )
        assert rows[what] == expected
    for kind in (UnknownKey, KeysUnavailable):
        assert kind("why").response().status == 503
    assert {what: rows[what] for what in _OTHERS} == _OTHERS
    assert ReceiverSettings().max_body == 1024 * 1024


def test_what_the_service_does_with_an_answer_is_its_delivery_policy() -> None:
    """Each answer stands beside what the service's own table says of its status."""
    policy = {
        code: row[1]
        for row in Document("delivery-policy.md").table("What an answer means")
        for code in row[0].replace("`", "").split(", ")
    }
    words = {
        "is delivered": "goes on",
        "is tried again": "sends the event again",
        "is given up": "gives the event up",
    }
    for what, answer, then in DOCUMENT.table("When it is answered"):
        code = answer.partition(",")[0]
        said = policy.get(code) or policy[f"{code[0]}xx"]
        if code in ("410", "401"):
            assert then.startswith("ends the subscription"), what
        else:
            assert then.startswith(words[said]), what


def test_the_parts_that_it_names_are_there(tmp_path: Path) -> None:
    handle: Callable[[Any], None] = print
    tokens = BearerTokens(["s3cret"])
    Receiver(handle, ReceiverSettings(tokens=tokens, agree_to=["a.example"], allowed_rate=600))
    KeySet("https://events.operator.example/.well-known/jwks.json", initial=b'{"keys": []}')
