"""gunicorn behind a proxy: whose headers count in the processes that operators run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.chaos.processes import Process
from tests.chaos.service import APP, GUNICORN_CONF, SCRIPTS
from tests.harness.issuer import Issuer
from tests.harness.valkeys import ValkeyServer, eventually, free_port

SPOOFED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.mark.parametrize(
    ("trusted", "client"),
    [("", "127.0.0.1"), ("10.0.0.0/8", "127.0.0.1"), ("127.0.0.0/8", "203.0.113.9")],
    ids=["by default", "another", "this one"],
)
def test_the_word_of_a_proxy_counts_where_it_is_trusted(
    trusted: str, client: str, store: ValkeyServer, issuer: Issuer, tmp_path: Path
) -> None:
    port = free_port()
    environ = {
        "WEBRTC_EVENTS_REDIS_URL": store.url,
        "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url,
        "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
        "WEBRTC_EVENTS_TRUSTED_PROXIES": trusted,
        "WEBRTC_EVENTS_BASE_PATH": "/camara",
        # What gunicorn and uvicorn would go by.
        "FORWARDED_ALLOW_IPS": "*",
    }
    command = (
        str(SCRIPTS / "gunicorn"), "-c", GUNICORN_CONF, "-w", "1", "-b", f"127.0.0.1:{port}",
        "--access-logfile", "-", APP,
    )  # fmt: skip
    api = Process("api", tmp_path, environ, command)
    api.start()
    try:
        eventually(lambda: "Application startup complete" in api.output, "the API is up", 60)
        answer = requests.get(f"http://127.0.0.1:{port}/camara/healthz", headers=SPOOFED, timeout=10)
        assert answer.status_code == 200
        eventually(lambda: "GET /camara/healthz" in api.output, "a line of the request")
        [line] = [line for line in api.output.splitlines() if "GET /camara/healthz" in line]
        assert f"{client}:" in line
    finally:
        api.kill_all()
