"""Servers that take the API's requests: the service under gunicorn, and bare Flask."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from fanout import issuing
from sinks import free_ports

from harness.contenders import ROOT, Release
from harness.processes import await_port, started
from harness.store import BenchStore

__all__ = ["ApiServer", "bare_flask", "service_api", "settings"]

_READY_S = 60.0
_GUNICORN = ("-P", "-m", "gunicorn", "--workers", "1")


@dataclass(frozen=True)
class ApiServer:
    """`headers` name each client's token. `store` and `issuer`, a URL, are None where there is none."""

    name: str
    url: str
    pid: int
    tokens: Mapping[str, str]
    store: BenchStore | None
    issuer: str | None = None

    def headers(self, client: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[client]}", "Content-Type": "application/json"}


def settings(store_url: str, discovery_url: str) -> dict[str, str]:
    """Of a service that refuses nobody for what a benchmark asks of it."""
    unlimited = ("SUBSCRIPTIONS", "REGISTRATION_SUBSCRIPTIONS", "SESSION_SUBSCRIPTIONS")
    return {
        "WEBRTC_EVENTS_REDIS_URL": store_url,
        "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": discovery_url,
        "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
        "WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "WEBRTC_EVENTS_REQUESTS_PER_S": "0",
        "WEBRTC_EVENTS_OUTBOX_LENGTH": "1000000",
        "WEBRTC_EVENTS_OUTBOX_BYTES": "10000000000",
        **{f"WEBRTC_EVENTS_MAX_{name}": "0" for name in unlimited},
    }


@contextmanager
def service_api(
    name: str,
    folder: Path,
    store: BenchStore,
    clients: Sequence[str],
    release: Release | None = None,
    store_url: str | None = None,
    more: Mapping[str, str] | None = None,
) -> Iterator[ApiServer]:
    """One API process, of this checkout if no other is given; `folder` is for its files, `more` are settings.

    `store_url` is where it finds the store, if not at the store itself.
    """
    (port,) = free_ports(1)
    release = release or Release(ROOT, sys.executable)
    command = (release.python, *_GUNICORN, "-c", "python:webrtc_events.gunicorn_conf")
    application = ("--bind", f"127.0.0.1:{port}", "webrtc_events.app:create_app()")
    with issuing(folder) as issuer:
        environ = settings(store_url or store.url, issuer.discovery_url) | {
            "PYTHONPATH": str(release.folder),
            **(more or {}),
        }
        tokens = {client: issuer.mint(client=client) for client in clients}
        with started((*command, *application), environ, folder / "api.log", folder) as process:
            await_port(port, _READY_S)
            server = ApiServer(name, f"http://127.0.0.1:{port}", process.pid, tokens, store, issuer.url)
            requests.get(f"{server.url}/readyz", timeout=_READY_S).raise_for_status()
            yield server


@contextmanager
def bare_flask(folder: Path, clients: Sequence[str], answers: object) -> Iterator[ApiServer]:
    """Flask under gunicorn's worker for persistent connections; `answers` is what it answers with."""
    (port,) = free_ports(1)
    path = folder / "answers.json"
    path.write_text(json.dumps(answers))
    threads = ("--worker-class", "gthread", "--threads", "16", "--keep-alive", "5")
    command = (sys.executable, *_GUNICORN, *threads, "--bind", f"127.0.0.1:{port}", "app:app")
    environ = {"BENCH_ANSWERS": str(path)}
    code = ROOT / "bench" / "peers" / "flask"
    with started(command, environ, folder / "flask.log", code) as process:
        await_port(port, _READY_S)
        yield ApiServer(
            "bare Flask", f"http://127.0.0.1:{port}", process.pid, dict.fromkeys(clients, "-"), None
        )
