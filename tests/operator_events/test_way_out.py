"""A worker reports by the same way out as it delivers: certificates, signatures, proxy, limits."""

import dataclasses
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.harness.builders import append, created, invitation
from tests.harness.proxies import ConnectProxy
from tests.harness.sinks import RecordingSink
from tests.operator_events.received import event_of, kinds
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings, SettingsError
from webrtc_events.operator_events.testing import append_test
from webrtc_events.store.store import Store
from webrtc_events.worker import Worker


@contextmanager
def working(environ: dict[str, str], **more: str) -> Iterator[Worker]:
    changed = environ | {f"WEBRTC_EVENTS_{name}": value for name, value in more.items()}
    worker = Worker.build(Settings.from_environ(changed), SystemClock())
    worker.start()
    try:
        yield worker
    finally:
        assert worker.stop()


def test_the_certificate_of_the_setting_is_shown(
    environ: dict[str, str], store: Store, operator: RecordingSink, tmp_path: Path
) -> None:
    operator.use(operator.authority.asking_context("localhost"))
    certificate, key = operator.authority.client_pair("us")
    (tmp_path / "tls.crt").write_bytes(certificate)
    (tmp_path / "tls.key").write_bytes(key)
    with working(environ, SINK_CLIENT_CERTIFICATES=f"{tmp_path}/tls.crt:{tmp_path}/tls.key"):
        append_test(store.operator_outbox, "/", "a")
        assert [received.subject for received in operator.wait_for(1, 20)] == ["us"]


def test_it_is_signed_where_notifications_are(
    environ: dict[str, str], store: Store, operator: RecordingSink, tmp_path: Path
) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    with working(environ, SIGNING_KEYS=str(tmp_path / "key.pem")):
        append_test(store.operator_outbox, "/", "a")
        [received] = operator.wait_for(1, 20)
    assert received.header("signature-input") is not None
    assert received.header("content-digest") is not None


def test_it_goes_by_the_egress_proxy(environ: dict[str, str], store: Store, operator: RecordingSink) -> None:
    with ConnectProxy() as proxy, working(environ, EGRESS_PROXY=proxy.url):
        append_test(store.operator_outbox, "/", "a")
        event_of(operator.wait_for(1, 20)[0])
        assert proxy.asked == [f"localhost:{operator.port}"]


def test_a_sink_of_operators_that_hangs_holds_up_no_notification(
    environ: dict[str, str], store: Store, operator: RecordingSink
) -> None:
    with RecordingSink(authority=operator.authority) as sink, working(environ):
        operator.raw = lambda connection: operator.closing.wait() and None  # noqa: ARG005
        append_test(store.operator_outbox, "/", "a")
        created(store, sink=sink.url)
        for number in range(50):
            append(store, invitation(number))
        sink.wait_for(50, 20)
        operator.closing.set()


def test_without_the_setting_nothing_of_it_runs(environ: dict[str, str], store: Store) -> None:
    without = {name: value for name, value in environ.items() if "OPERATOR" not in name}
    with working(without) as worker:
        assert worker._operator_loops is None
    assert store.operator_outbox.conditions().version == 0


def test_a_sink_that_no_sink_may_be_keeps_the_worker_from_starting(environ: dict[str, str]) -> None:
    wrong = environ | {"WEBRTC_EVENTS_OPERATOR_SINK": "https://192.0.2.1:80/"}
    with pytest.raises(SettingsError, match="OPERATOR_SINK"):
        Worker.build(Settings.from_environ(wrong), SystemClock())


def test_a_circuit_that_opens_is_reported_and_the_log_has_no_token(
    environ: dict[str, str], store: Store, operator: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with working(environ, OPERATOR_SINK_TOKEN="s3cret"):
        # Nobody listens there.
        created(store, sink="https://localhost:1025/x")
        append(store, invitation(1))
        operator.wait_for(1, 20)
    assert kinds(operator.requests) == ["sink-circuit-opened"]
    assert event_of(operator.requests[0])["data"]["reason"] == "connect"
    assert "s3cret" not in caplog.text


def test_the_operators_own_sink_that_fails_begins_nothing(
    environ: dict[str, str], store: Store, operator: RecordingSink
) -> None:
    operator.answer = (500, 500, 204)
    with working(environ):
        append_test(store.operator_outbox, "/", "a")
        operator.wait_for(3, 60)
    assert kinds(operator.requests) == ["test"]
    assert store.operator_outbox.conditions().state == ""


def test_settings_that_do_not_fit_each_other_are_refused(environ: dict[str, str]) -> None:
    token = {name: value for name, value in environ.items() if "OPERATOR" not in name}
    token["WEBRTC_EVENTS_OPERATOR_SINK_TOKEN"] = "t0ken"
    with pytest.raises(SettingsError, match="OPERATOR_SINK_TOKEN has no sink"):
        Settings.from_environ(token)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("OPERATOR_SINK", "http://a.example/"),
        ("OPERATOR_SINK", "https://user:pw@a.example/"),
        ("OPERATOR_SINK", "https://user:secret@[pw]/"),
        ("OPERATOR_SINK", "https://user:pw\u2100@a.example/"),
        ("OPERATOR_SINK", "https://"),
        ("OPERATOR_SINK", "https://a.example:port/"),
        ("OPERATOR_SINK_TOKEN", "two words"),
        ("OPERATOR_SINK_TOKEN", "a\r\nb"),
        ("OPERATOR_DEAD_LETTERS_A_MINUTE", "-1"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_is_repeated(
    environ: dict[str, str], name: str, text: str
) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        # What may only be a sink is looked at where a worker is built.
        Worker.build(Settings.from_environ(environ | {f"WEBRTC_EVENTS_{name}": text}), SystemClock())
    assert "pw" not in str(raised.value)
    assert "two words" not in str(raised.value)


def test_the_token_is_not_in_any_repr(environ: dict[str, str]) -> None:
    from webrtc_events.operator_events.operator_sink import OperatorSink

    settings = Settings.from_environ(environ | {"WEBRTC_EVENTS_OPERATOR_SINK_TOKEN": "s3cret"})
    assert "s3cret" not in repr(settings) + repr(OperatorSink.of(settings))
    assert dataclasses.replace(settings).operator_sink_token == "s3cret"


def test_what_was_settled_last_is_reported_by_a_worker_that_stops(
    environ: dict[str, str], store: Store
) -> None:
    """And waits for the next one."""
    with working(environ) as worker:
        worker.watch.store.connection.long_failures.report([["s1", "ended", "1", "https://a.example/"]])
    assert store.operator_outbox.status().waiting + len(store.operator_outbox.status().attempts) >= 1
