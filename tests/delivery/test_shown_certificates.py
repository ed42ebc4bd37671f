"""Certificates that a worker shows to sinks, from the setting to the sink."""

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.authority import Authority
from tests.harness.builders import append, created, invitation
from tests.harness.sinks import RecordingSink
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings, SettingsError
from webrtc_events.store.store import Store
from webrtc_events.worker import Worker


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    with RecordingSink() as sink:
        sink.use(sink.authority.asking_context("localhost"))
        yield sink


def write(folder: Path, authority: Authority, subject: str) -> str:
    certificate, key = authority.client_pair(subject)
    (folder / "tls.crt").write_bytes(certificate)
    (folder / "tls.key").write_bytes(key)
    return f"{folder}/tls.crt:{folder}/tls.key"


def test_a_worker_shows_the_certificate_of_the_setting_and_logs_no_key(
    environ: dict[str, str],
    store: Store,
    sink: RecordingSink,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    changed = environ | {
        "WEBRTC_EVENTS_SINK_CA_FILE": str(sink.ca_file),
        "WEBRTC_EVENTS_SINK_CLIENT_CERTIFICATES": f"localhost={write(tmp_path, sink.authority, 'operator')}",
    }
    worker = Worker.build(Settings.from_environ(changed), SystemClock())
    worker.start()
    try:
        created(store, sink=sink.url)
        append(store, invitation(1))
        assert [received.subject for received in sink.wait_for(1)] == ["operator"]
    finally:
        worker.stop()
    assert (tmp_path / "tls.key").read_text().splitlines()[1] not in caplog.text


def test_a_worker_does_not_start_with_a_key_of_another_certificate(
    settings: Settings, environ: dict[str, str], sink: RecordingSink, tmp_path: Path
) -> None:
    files = write(tmp_path, sink.authority, "operator")
    (tmp_path / "tls.key").write_bytes(sink.authority.client_pair("other")[1])
    named = Settings.from_environ(environ | {"WEBRTC_EVENTS_SINK_CLIENT_CERTIFICATES": files})
    wrong = dataclasses.replace(settings, sink_client_certificates=named.sink_client_certificates)
    with pytest.raises(
        SettingsError, match=r"SINK_CLIENT_CERTIFICATES: the key in .* is not that of"
    ) as raised:
        Worker.build(wrong, SystemClock())
    assert "PRIVATE" not in str(raised.value)
