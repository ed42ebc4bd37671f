"""examples/publisher against a real `serve`, by the block of its README."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.harness.commands import Running, clean_environ, data, sink_client, start, start_serve
from tests.harness.documents import ROOT
from tests.harness.valkeys import free_port
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints

__all__ = ["data", "sink_client", "start", "start_serve"]

FOLDER = ROOT / "examples" / "publisher"
_BOUND_S = 120
STATUSES = ["Initial", "Ringing", "Connected", "Terminated"]


def shell(block: str, data: Path, endpoints: Endpoints) -> str:
    """What the block says, with the addresses of this `serve`."""
    ours = block.replace("https://localhost:9443", endpoints.sink).replace(
        "python3 publish.py", f"python3 publish.py --service {endpoints.api} --issuer {endpoints.issuer}"
    )
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", ours.replace("http://127.0.0.1:9091", endpoints.api)],
        cwd=FOLDER,
        env=clean_environ()
        | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "WEBRTC_EVENTS_DATA_DIR": str(data),
        },
        capture_output=True,
        text=True,
        timeout=_BOUND_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_invitation_is_delivered_once(
    start_serve: Callable[..., Running], data: Path, sink_client: HttpClient
) -> None:
    start_serve()
    endpoints = Endpoints.read(data)
    (block,) = re.findall(r"^```sh\n(.*?)^```$", (FOLDER / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    first = shell(block, data, endpoints)
    assert "Initial accepted subscriptions=1" in first
    again = shell("python3 publish.py --call call-1", data, endpoints)
    assert [line.split()[:2] for line in again.splitlines()] == [[status, "duplicate"] for status in STATUSES]
    shell("python3 publish.py --call call-2", data, endpoints)
    query: dict[str, str | int] = {"path": "/publisher", "wait": 5}
    received: list[dict[str, dict[str, dict[str, str]]]] = []
    while len(received) < 2:
        received = sink_client.request("GET", f"{endpoints.sink}/_inbox", params=query).json()
    assert [got["event"]["data"]["mediaSessionId"] for got in received] == ["call-1", "call-2"]


def test_it_waits_for_a_service_that_is_away(
    start: Callable[..., Running], data: Path, tmp_path: Path
) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with (tmp_path / "publisher.log").open("w") as log:
        publisher = subprocess.Popen(
            [sys.executable, "-u", "publish.py", "--service", address, "--issuer", f"{address}/issuer"],
            cwd=FOLDER,
            stdout=log,
            stderr=log,
        )
    try:
        port = address.rpartition(":")[2]
        start("serve", "--port", port, "--sink-port", "0", "--data-dir", str(data))
        assert publisher.wait(_BOUND_S) == 0, (tmp_path / "publisher.log").read_text()
    finally:
        publisher.kill()
        publisher.wait()
    lines = (tmp_path / "publisher.log").read_text().splitlines()
    assert lines == [f"{status} accepted subscriptions=0" for status in STATUSES]
