"""Short commands as forks of a process that has imported what they run.

Of what `webrtc-events subscriptions list` takes, four fifths are imports, and the tests run hundreds of such
commands. What a fork runs is `python -m webrtc_events.cli` from its first line: a separate process with the
arguments, the environment and the streams of a test. That each command comes to its imports by itself is for
`tests/cli/test_imports.py`, and for all that the tests start with `Running`.
"""

import atexit
import gc
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

__all__ = ["COMMANDS", "exit_code_of", "suits"]

COMMANDS = frozenset(
    {
        "damaged",
        "dead-letters",
        "doctor",
        "erase",
        "migrate",
        "operator-events",
        "pseudonym",
        "publish",
        "rotate-key",
        "sessions",
        "settings",
        "sinks",
        "subscriptions",
        "token",
    }
)
"""Those that run to their end, as one process."""

# What Python itself reads when it starts.
_AT_START = ("PYTHON", "LC_", "LANG", "TZ")
_LARGEST = 200_000
_STREAMS = 3
# What commands import when they run.
_LATER = (
    "jwt",
    "webrtc_events.core.log_masking",
    "webrtc_events.core.settings",
    "webrtc_events.local.demo.http_client",
    "webrtc_events.local.stack.issuer",
    "webrtc_events.services.figures",
    "webrtc_events.services.session_view",
    "webrtc_events.services.subscription_filters",
    "webrtc_events.store.damaged_records",
    "webrtc_events.store.dead_letters",
    "webrtc_events.store.erasure",
    "webrtc_events.store.key_rotation",
    "webrtc_events.store.store",
)


def suits(arguments: tuple[str, ...], environ: Mapping[str, str]) -> bool:
    """Whether a fork is as good as a start: not if Python itself is to start in another way."""
    return arguments[:1] != () and arguments[0] in COMMANDS and _of_start(environ) == _of_start(os.environ)


def _of_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(_AT_START)}


def exit_code_of(
    arguments: tuple[str, ...], environ: Mapping[str, str], streams: tuple[int, int, int], timeout_s: float
) -> int:
    """Runs the command with these three streams to its end.

    Raises:
        subprocess.TimeoutExpired: it took longer, and has been killed.
    """
    said, says = socket.socketpair()
    with said:
        with says:
            request = json.dumps([arguments, dict(environ), str(Path.cwd())]).encode()
            assert len(request) < _LARGEST
            socket.send_fds(_server(), [request], [*streams, says.fileno()])
        said.settimeout(timeout_s)
        with said.makefile("r") as lines:
            number = int(lines.readline())
            try:
                return int(lines.readline())
            except TimeoutError:
                os.kill(number, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), timeout_s) from None


@cache
def _server() -> socket.socket:
    """Of this test process; it ends when this end of its socket is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _LARGEST)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.command_forks", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(requests: socket.socket) -> list[str] | None:
    """Forks for each request. Comes back in a fork, with the arguments of its command, and at the end."""
    waiting: set[int] = set()
    while True:
        request, descriptors, *_ = socket.recv_fds(requests, _LARGEST, _STREAMS + 1)
        waiting -= {number for number in waiting if os.waitpid(number, os.WNOHANG)[0]}
        if not request:
            return None
        if (number := os.fork()) == 0:
            requests.close()
            return _forked(request, descriptors)
        waiting.add(number)
        for descriptor in descriptors:
            os.close(descriptor)


def _forked(request: bytes, descriptors: list[int]) -> list[str]:
    """Comes back in the process of the command; the one that waits for it ends here."""
    arguments, environ, folder = json.loads(request)
    *streams, answer = descriptors
    if number := os.fork():
        for stream in streams:
            os.close(stream)
        os.write(answer, b"%d\n" % number)
        code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        # Who waited for too long has gone.
        with suppress(BrokenPipeError):
            os.write(answer, b"%d\n" % code)
        os._exit(0)
    os.close(answer)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    os.chdir(folder)
    return list(arguments)


def _import_all() -> None:
    import webrtc_events.cli

    for module in pkgutil.iter_modules(webrtc_events.cli.__path__, "webrtc_events.cli."):
        if not module.ispkg and not module.name.endswith("__main__"):
            import_module(module.name)
    for name in _LATER:
        import_module(name)
    # Else each fork copies all of it at its end, when Python looks through what it has.
    gc.collect()
    gc.freeze()


def _main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _import_all()
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        arguments = _serve(requests)
    if arguments is not None:
        sys.argv[1:] = arguments
        # `main` is run from the text of `__main__.py`, and says its name as it does when Python starts it.
        runpy.run_module("webrtc_events.cli", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
