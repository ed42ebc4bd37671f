"""What a log line looks like, whatever is logged."""

import logging
import re
import sys
import threading
from collections.abc import Iterator
from contextvars import copy_context

import pytest

from tests.harness.clocks import SteppedClock
from webrtc_events.cli import operator_access
from webrtc_events.console import audit
from webrtc_events.core.log_config import (
    LineForm,
    LineFormatter,
    LineHandler,
    LogOptions,
    RequestFields,
    configure,
)
from webrtc_events.core.log_limit import LineLimit
from webrtc_events.core.request_context import entered_request


def line(message: str, *args: object, correlator: str = "", client: str = "") -> str:
    """As the shipped configuration writes it, within a request if there is a correlator."""

    record = logging.LogRecord("webrtc_events.x", logging.WARNING, "", 0, message, args, None)
    record.created = 1_773_133_200.1236
    with entered_request(correlator) as context:
        context.client = client
        RequestFields().filter(record)
    return LineFormatter().format(record)


def test_line_has_time_level_correlator_and_client() -> None:
    expected = "2026-03-10T09:00:00.124Z WARNING webrtc_events.x: lost 3"
    assert line("lost %d", 3) == expected
    assert line("lost %d", 3, correlator="c-1") == f"{expected} correlator=c-1"
    assert line("lost %d", 3, correlator="c-1", client="app") == f"{expected} correlator=c-1 client=app"


@pytest.mark.parametrize(
    ("client", "shown"),
    [
        ("my app", '"my app"'),
        ('a" correlator=x', '"a\' correlator=x"'),
        ("a\nb", '"a?b"'),
        ("schön", '"schön"'),
        ("https://app.example/~a", "https://app.example/~a"),
    ],
)
def test_client_is_distinct_from_what_stands_around_it(client: str, shown: str) -> None:
    assert line("x", correlator="c", client=client).endswith(f": x correlator=c client={shown}")


@pytest.mark.parametrize("evil", ["\n", "\r\n", "\x1b[2J", "\x00", "\x85", "\u2028", "\x7f"])
def test_what_somebody_sent_begins_no_line_and_moves_no_cursor(evil: str) -> None:
    shown = line("GET %s", f"/a{evil}2026-03-10 forged")
    assert evil not in shown
    assert len(shown.splitlines()) == 1


def test_traceback_follows_in_separate_lines() -> None:
    try:
        raise ZeroDivisionError("of nothing")
    except ZeroDivisionError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), info)
    first, *lines = LineFormatter().format(record).splitlines()
    assert first.endswith("ERROR x: failed")
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ZeroDivisionError: of nothing"


@pytest.fixture
def _configured() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("webrtc_events")
    before = (root.level, root.handlers[:], own.level)
    configure(LogOptions())
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    own.setLevel(before[2])


@pytest.mark.usefixtures("_configured")
def test_shipped_configuration_tells_warnings_of_all_and_more_of_the_service(
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, LineHandler)
    # Lines that are written together need no records.
    assert handler.form is LineForm.TEXT
    handler.setStream(sys.stderr)
    for name in ("webrtc_events.a", "other"):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING):
            logging.getLogger(name).log(level, "%s", level)
    logged = re.findall(r"Z (\w+) ([\w.]+):", capsys.readouterr().err)
    assert logged == [("INFO", "webrtc_events.a"), ("WARNING", "webrtc_events.a"), ("WARNING", "other")]


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize("level", ["warning", "error"])
@pytest.mark.parametrize("json", [False, True])
def test_no_level_hides_who_changed_something(
    capsys: pytest.CaptureFixture[str], level: str, *, json: bool
) -> None:
    configure(LogOptions("console", json, level))
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, LineHandler)
    handler.setStream(sys.stderr)
    for module in (audit, operator_access):
        module.log.info("change by=alice in %s", module.__name__)
    logging.getLogger("webrtc_events.console.login").info("nothing that was changed")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all("change by=alice in " in line for line in lines)


def test_threads_that_work_for_a_request_log_its_client() -> None:
    """The client is known later than the thread's copy of the context may be made."""
    lines: list[str] = []

    def work() -> None:
        record = logging.LogRecord("x", logging.INFO, "", 0, "m", (), None)
        RequestFields().filter(record)
        lines.append(LineFormatter().format(record))

    with entered_request("c-9") as context:
        copied = copy_context()
        context.client = "late"
        thread = threading.Thread(target=copied.run, args=(work,))
        thread.start()
        thread.join()
    # A connection goes on to read in the context of its latest request.
    copied.run(work)
    assert lines[0].endswith("correlator=c-9 client=late")
    assert lines[1].endswith(" x: m")


def test_lines_of_one_kind_above_the_limit_of_a_minute_are_counted() -> None:
    clock = SteppedClock()
    limit = LineLimit(clock, burst=3)
    assert [limit.admit("a") for _ in range(1_000)] == [0, 0, 0, *[None] * 997]
    assert limit.admit("b") == 0
    clock.elapsed = 20
    assert [limit.admit("a") for _ in range(2)] == [997, None]
    clock.elapsed = 3_600
    assert [limit.admit("a") for _ in range(4)] == [1, 0, 0, None]
