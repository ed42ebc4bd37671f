"""Who changed something: on the standard error, and in the system's log."""

import logging
import socket
from pathlib import Path

import pytest

from webrtc_events.cli import operator_access
from webrtc_events.cli.operator_access import record_change, who
from webrtc_events.cli.status_line import StatusLine
from webrtc_events.core import log_start


@pytest.fixture(autouse=True)
def _logging_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_start, "log_to_stderr", lambda _: None)


def test_a_change_is_in_the_systems_log_with_who_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "log"
    monkeypatch.setattr(operator_access, "SYSTEM_LOG", log)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener, caplog.at_level(logging.INFO):
        listener.bind(str(log))
        record_change("end-subscription", "ended", subscription="5d41-2a")
        line = listener.recv(4096).decode().rstrip("\0")
    text = f"change by={who()} action=end-subscription subscription=5d41-2a result=ended"
    # Source: RFC 3164: facility auth (4), severity info (6).
    assert line.startswith("<38>webrtc-events[")
    assert line.endswith(f": {text}")
    assert text in caplog.text


def test_without_a_systems_log_the_change_is_logged_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for place in (tmp_path / "nothing", tmp_path):
        monkeypatch.setattr(operator_access, "SYSTEM_LOG", place)
        with caplog.at_level(logging.INFO):
            record_change("end-subscription", "ended")
    assert caplog.text.count("action=end-subscription") == 2


def test_behind_sudo_it_is_the_one_who_called_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")
    monkeypatch.setattr("os.getuid", lambda: 0)
    assert who() == "alice"
    # Anybody may set a variable.
    monkeypatch.setattr("os.getuid", lambda: 4_000_001)
    assert who() == "uid-4000001"


class _Clock:
    def __init__(self) -> None:
        self.at_s = 0.0

    def now(self) -> float:
        return self.at_s

    def monotonic(self) -> float:
        return self.at_s

    def sleep(self, seconds: float) -> None:
        self.at_s += seconds


def test_only_long_work_on_a_terminal_has_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for is_terminal, expected in ((False, 0), (True, 5)):
        monkeypatch.setattr("sys.stderr.isatty", lambda is_terminal=is_terminal: is_terminal)
        clock = _Clock()
        line = StatusLine(clock)
        for number in line.counted(range(100), 100, "letters"):
            clock.sleep(0.01)
            assert number >= 0
        printed = capsys.readouterr().err
        assert printed.count("letters") == expected
        # What is over is removed.
        assert printed.endswith("\r\x1b[K") == is_terminal
