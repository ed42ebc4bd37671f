"""A command that is forked is like one that is started."""

import socket
import subprocess
from pathlib import Path

import pytest

from tests.harness import command_forks
from tests.harness.commands import COMMAND, clean_environ, run

_NO_STORE = {
    "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "http://127.0.0.1:1/",
    "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
}


@pytest.mark.parametrize(
    ("arguments", "settings", "code"),
    [
        (("pseudonym", "tel:+12025550100"), _NO_STORE, 0),
        (("pseudonym", "tel:+12025550100"), {}, 2),
        (("subscriptions", "--help"), {}, 0),
        (("subscriptions", "invented"), {}, 2),
    ],
)
def test_it_says_and_answers_the_same(
    arguments: tuple[str, ...], settings: dict[str, str], code: int
) -> None:
    environ = clean_environ() | settings
    assert command_forks.suits(arguments, environ)
    forked = run(*arguments, env=environ)
    started = subprocess.run([*COMMAND, *arguments], input=b"", capture_output=True, env=environ, timeout=60)
    assert forked.returncode == started.returncode == code
    assert (forked.stdout, forked.stderr) == (started.stdout, started.stderr)


def test_what_python_reads_when_it_starts_needs_a_start() -> None:
    assert not command_forks.suits(("settings",), clean_environ() | {"PYTHONWARNINGS": "error"})
    assert not command_forks.suits(("worker",), clean_environ())


def test_one_that_does_not_end_is_killed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, Path("/dev/null").open("r+b") as nothing:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        environ = clean_environ() | _NO_STORE | {"WEBRTC_EVENTS_REDIS_URL": url}
        streams = (nothing.fileno(), nothing.fileno(), nothing.fileno())
        with pytest.raises(subprocess.TimeoutExpired):
            command_forks.exit_code_of(("subscriptions", "list"), environ, streams, 0.5)
        silent.settimeout(10)
        connection, _ = silent.accept()
        with connection:
            connection.settimeout(10)
            while connection.recv(65_536):
                """What it asked before it was killed."""
