"""What is personal or secret does not get into the logs, whoever logs it."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from webrtc_events.core.log_masking import Masking, PersonalData, mask_logs

KEY = b"k" * 32
HIDDEN, SHOWN = Masking(KEY, show=False), Masking(KEY, show=True)
ALICE = HIDDEN.pseudonym("sip:alice@ims.example")
NUMBER = HIDDEN.pseudonym("tel:+12025550100")

Lines = Callable[[], str]


@pytest.fixture
def logger() -> Iterator[tuple[logging.Logger, Lines]]:
    """A logger of somebody else, and what its own handler made of its records."""
    formatter = logging.Formatter("%(message)s")
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(formatter.format(record))

    handler = Keep()
    made = logging.getLogger("somebody.else")
    made.addHandler(handler)
    made.setLevel(logging.DEBUG)
    yield made, lambda: "\n".join(lines)
    made.removeHandler(handler)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("tel:+12025550100", NUMBER),
        ("to tel:+1-202-555-0100;phone-context=x, next", f"to {NUMBER}, next"),
        ("originator=+12025550100.", f"originator={NUMBER}."),
        ("+1 (202) 555-0100 called", f"{NUMBER} called"),
        ("+1 202 555 0100 called", f"{NUMBER} called"),
        ("/x/tel%3A%2B12025550100?y", f"/x/{NUMBER}?y"),
        ("/x?n=%2B12025550100&y", f"/x?n={NUMBER}&y"),
        ("sip:alice@ims.example", ALICE),
        ("SIPS:Alice@IMS.example:5061;transport=tls.", f"{ALICE}."),
        ("mailto:alice@ims.example", ALICE),
        ("mail to alice@ims.example!", f"mail to {ALICE}!"),
        ("alice%40ims.example", ALICE),
        ('{"a":"sip:alice@ims.example"}', f'{{"a":"{ALICE}"}}'),
        ('"Alice Smith" <sip:alice@ims.example>', f"{HIDDEN.pseudonym('Alice Smith')} <{ALICE}>"),
        (
            "PUT /network/v0/registrations/r-1 HTTP/1.1",
            f"PUT /network/v0/registrations/{HIDDEN.pseudonym('r-1')} HTTP/1.1",
        ),
        (
            "Command # 1 (HSET 17:registration-record:r-1 a b) of pipeline failed",
            "Command # 1 (...) of pipeline failed",
        ),
    ],
)
def test_addresses_are_found_in_any_text(text: str, masked: str) -> None:
    assert HIDDEN.text(text) == masked
    assert HIDDEN.text(masked) == masked
    assert SHOWN.text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "attempt event=67ce1de35735eb9ca9a9a0763037a65e-31.1 type=session-invitation host=127.0.0.1:35055",
        "2026-03-10T09:00:00.000+02:00 started",
        "/opt/python@3.11/lib/x.py",
        "webrtc-events@1.service",
        "    @wraps(command)",
        "hotel: gossip, 1+1 = 2, +123",
        "correlator=a12ade87-9a9b-4d19-96bc-2bd7be9c0f95",
    ],
)
def test_what_is_no_address_stays(text: str) -> None:
    assert HIDDEN.text(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("authorization: Bearer s3cret.x~y", "authorization: Bearer ***"),
        ("{'accessToken': 's3cret', 'a': 1}", "{'accessToken': '***', 'a': 1}"),
        ('"access_token":"s3cret"', '"access_token":"***"'),
        ("got eyJhbGciOiJub25lIn0.eyJhIjoxfQ.s3cret", "got ***"),
        (
            "Sec-WebSocket-Protocol: webrtc-events.channels.v0, webrtc-events.token.s3-_cret, x",
            "Sec-WebSocket-Protocol: webrtc-events.channels.v0, webrtc-events.token.***, x",
        ),
    ],
)
def test_tokens_are_masked_whatever_the_setting(text: str, masked: str) -> None:
    assert HIDDEN.text(text) == SHOWN.text(text) == masked


def test_a_pseudonym_is_that_of_its_key() -> None:
    assert Masking(b"l" * 32, show=False).pseudonym("Alice") != HIDDEN.pseudonym("Alice")
    assert HIDDEN.pseudonym("Alice") == HIDDEN.pseudonym("alice") != HIDDEN.pseudonym("Bob")


def test_arguments_that_are_personal_are_masked(logger: tuple[logging.Logger, Lines]) -> None:
    log, lines = logger
    mask_logs(HIDDEN)
    log.info(
        "name=%s device=%s subject=%s n=%d", PersonalData("Alice"), PersonalData("d-1"), PersonalData(None), 7
    )
    name, device = HIDDEN.pseudonym("Alice"), HIDDEN.pseudonym("d-1")
    assert lines() == f"name={name} device={device} subject=None n=7"
    log.info("%(name)s", {"name": PersonalData("Alice")})
    assert lines().endswith(name)


def test_with_the_setting_they_are_shown(logger: tuple[logging.Logger, Lines]) -> None:
    log, lines = logger
    mask_logs(SHOWN)
    log.info("%s called tel:+12025550100 with Bearer s3cret", PersonalData("Alice"))
    assert lines() == "Alice called tel:+12025550100 with Bearer ***"


def test_before_masking_is_set_up_nothing_is_shown(logger: tuple[logging.Logger, Lines]) -> None:
    log, lines = logger
    log.info("%s %r", PersonalData("Alice"), PersonalData("Alice"))
    assert lines() == "~ ~"


def test_arguments_stay_apart_for_formatters_that_read_them(logger: tuple[logging.Logger, Lines]) -> None:
    """As uvicorn's access log does."""
    log, _ = logger
    records: list[Any] = []
    log.addFilter(lambda record: records.append(record) or True)
    mask_logs(HIDDEN)
    log.info('%s - "%s %s" %d', "127.0.0.1", "PUT", "/network/v0/registrations/r-1", 201)
    path = f"/network/v0/registrations/{HIDDEN.pseudonym('r-1')}"
    assert records[0].args == ("127.0.0.1", "PUT", path, 201)


def test_values_within_arguments_are_found(logger: tuple[logging.Logger, Lines]) -> None:
    log, lines = logger
    mask_logs(HIDDEN)
    log.info("%r %s 100%%", {"a": ["tel:+12025550100"]}, ValueError("sip:alice@ims.example"))
    assert lines() == f"{{'a': ['{NUMBER}']}} {ALICE} 100%"


def test_tracebacks_are_masked(logger: tuple[logging.Logger, Lines]) -> None:
    log, lines = logger
    mask_logs(HIDDEN)
    for error in (KeyError("sip:alice@ims.example"), KeyError("plain")):
        try:
            try:
                raise error
            except KeyError as cause:
                raise ValueError("Bearer s3cret") from cause
        except ValueError:
            log.exception("failed")
    assert "alice" not in lines()
    assert "s3cret" not in lines()
    assert f"KeyError: '{ALICE}'" in lines()
    assert lines().count("Traceback") == 4


def test_a_log_call_never_fails(logger: tuple[logging.Logger, Lines]) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("tel:+12025550100")

    log, lines = logger
    mask_logs(HIDDEN)
    log.info("one %s", "tel:+12025550100", "two")
    log.info("%s", Broken())
    assert lines().splitlines() == [
        "'one %s' was logged with arguments that do not fit it",
        "'%s' was logged with arguments that do not fit it",
    ]


def test_masking_again_replaces_what_was_there(logger: tuple[logging.Logger, Lines]) -> None:
    log, lines = logger
    for masking in (SHOWN, HIDDEN, SHOWN):
        mask_logs(masking)
    log.info("tel:+12025550100")
    mask_logs(HIDDEN)
    log.info("tel:+12025550100")
    assert lines() == f"tel:+12025550100\n{NUMBER}"


@pytest.mark.parametrize(
    "part", ["a", "+1", "tel:", "sip:a", '"', "Command # 1 (", "a.", "%40", "eyj", "bearer ", "@a"]
)
def test_a_hostile_text_takes_no_time(part: str) -> None:
    """By the thread's own time: a busy machine is no fault of the text."""
    started = time.thread_time()
    HIDDEN.text("+" + part * (200_000 // len(part)))
    assert time.thread_time() - started < 2
