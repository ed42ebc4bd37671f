"""An installation that is well, and the doctor who looks at it."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.harness.authority import Authority
from tests.harness.commands import clean_environ, run
from tests.harness.issuer import Issuer, SigningKeyPair
from webrtc_events.core.process_report import ProcessReport, WorkerReport
from webrtc_events.store.store import Store


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with closing(Issuer(SigningKeyPair.rsa("k1"), SigningKeyPair.ec("k2", ec.SECP256R1()))) as running:
        yield running


@pytest.fixture
def authority() -> Iterator[Authority]:
    with closing(Authority()) as made:
        yield made


@pytest.fixture
def healthy(store: Store, environ: dict[str, str], issuer: Issuer) -> dict[str, str]:
    """The environment of an installation in which an API process and a worker run."""
    # Ahead, so that a slow test does not take them for missing.
    now_ms = store.processes.now_ms() + 600_000
    for role in ("api", "worker"):
        report = ProcessReport(
            role=role,
            machine="m",
            pid=1,
            version="0",
            at_ms=now_ms,
            started_ms=now_ms,
            worker=WorkerReport() if role == "worker" else None,
        )
        store.processes.say(role, report, {})
    return environ | {"WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url}


@pytest.fixture
def doctor(tmp_path: Path) -> Callable[..., Any]:
    def examine(environ: dict[str, str], *arguments: str, stdin: bytes = b"") -> Any:
        """The exit status, and findings by area."""
        options = ["--json", "--timeout", "20", "--data-dir", str(tmp_path / "data"), *arguments]
        done = run("doctor", *options, stdin=stdin, env=clean_environ() | environ)
        assert done.stderr == b"", done.stderr.decode()
        document = json.loads(done.stdout)
        assert document["status"] == done.returncode
        found: dict[str, list[dict[str, str]]] = {}
        for finding in document["findings"]:
            assert finding.keys() == {"area", "level", "text", "action"}
            # What is wrong comes with what to do.
            assert (finding["action"] != "") == (finding["level"] != "ok")
            found.setdefault(finding["area"], []).append(finding)
        return done.returncode, found

    return examine
