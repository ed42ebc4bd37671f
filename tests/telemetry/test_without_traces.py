"""A process that records no traces does not load what does; one that cannot says what to install."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from webrtc_events.local.stack.valkey import Valkey

# redis-py loads what it would measure itself with, `opentelemetry.metrics`, wherever it finds it.
LOADED = (
    "import sys; loaded = ('opentelemetry.sdk.trace', 'opentelemetry.exporter', 'google.protobuf', "
    "'webrtc_events.telemetry.tracing'); print([name for name in loaded if name in sys.modules])"
)
# As if the extra were not installed.
HIDDEN = "import sys; sys.modules['opentelemetry'] = None; sys.modules['opentelemetry.sdk'] = None; "
STARTS = {
    "api": "from webrtc_events.app import create_app; create_app(); ",
    "worker": (
        "from webrtc_events.core.settings import Settings; from webrtc_events.core.clock import SystemClock; "
        "import os; from webrtc_events.telemetry.trace_start import start_tracing; "
        "from webrtc_events.worker import Worker; settings = Settings.from_environ(os.environ); "
        "tracing = start_tracing(settings, SystemClock()); "
        "Worker.build(settings, SystemClock(), tracing=tracing); "
    ),
    "the commands": "import webrtc_events.cli.main; ",
}


def run(code: str, environ: dict[str, str], tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("WEBRTC_EVENTS_", "OTEL_"))
    }
    call = [sys.executable, "-c", code]
    return subprocess.run(call, cwd=tmp_path, env=kept | environ, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    "more", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1", "OTEL_TRACES_EXPORTER": "none"}]
)
def test_what_records_traces_is_not_loaded(
    environ: dict[str, str], valkey: Valkey, tmp_path: Path, start: str, more: dict[str, str]
) -> None:
    done = run(STARTS[start] + LOADED, environ | more, tmp_path)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr


def test_with_an_endpoint_it_is(environ: dict[str, str], valkey: Valkey, tmp_path: Path) -> None:
    done = run(
        STARTS["worker"] + LOADED, environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, tmp_path
    )
    assert "opentelemetry.sdk.trace" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "start",
    [
        HIDDEN + "from webrtc_events.app import create_app; create_app()",
        *(
            HIDDEN
            + f"sys.argv = ['webrtc-events', {arguments}]; from webrtc_events.cli.main import main; main()"
            for arguments in (
                "'worker'",
                "'worker', '--processes', '2'",
                "'serve', '--data-dir', 'd', '--port', '0', '--sink-port', '0'",
            )
        ),
    ],
)
def test_without_the_extra_a_process_says_what_to_install(
    environ: dict[str, str], valkey: Valkey, tmp_path: Path, start: str
) -> None:
    done = run(start, environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, tmp_path)
    assert done.returncode in (2, 3), done.stderr
    assert "pip install 'webrtc-events[otel]', or set OTEL_TRACES_EXPORTER=none" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_limit_that_the_library_cannot_read_is_a_wrong_setting(
    environ: dict[str, str], valkey: Valkey, tmp_path: Path
) -> None:
    asked = environ | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "nonsense",
    }
    start = (
        "import sys; sys.argv = ['webrtc-events', 'worker']; from webrtc_events.cli.main import main; main()"
    )
    done = run(start, asked, tmp_path)
    assert "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT must be a non-negative integer" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


def test_doctor_finds_it_before_a_process_does(
    environ: dict[str, str], valkey: Valkey, tmp_path: Path
) -> None:
    look = (
        "import os; from webrtc_events.core.clock import SystemClock; "
        "from webrtc_events.cli.doctor.setting_checks import UsableSettings; "
        "print(*UsableSettings(os.environ, SystemClock()).findings(), sep='\\n')"
    )
    asked = environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    assert "pip install" not in run(look, asked, tmp_path).stdout
    assert "pip install 'webrtc-events[otel]'" in run(HIDDEN + look, asked, tmp_path).stdout
