"""`webrtc-events doctor`, as an operator runs it, on installations with something wrong."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import ec

from tests.cli.operators import HOSTILE, in_terminal
from tests.harness.authority import Authority
from tests.harness.commands import clean_environ, run
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.proxies import ConnectProxy
from tests.harness.sinks import Answer, Received, RecordingSink
from webrtc_events.cli.doctor.findings import Area, Finding, error, exit_status, fine, warning
from webrtc_events.cli.doctor.issuer_checks import check_issuer
from webrtc_events.cli.doctor.report import shown
from webrtc_events.cli.doctor.running import run_checks
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.egress_proxy import EgressProxy, parse_proxy_url
from webrtc_events.core.process_report import ProcessReport, WorkerReport
from webrtc_events.store.store import Store

SCOPES = "openid webrtc-events:read"


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


def texts(findings: list[dict[str, str]], level: str) -> str:
    return "\n".join(finding["text"] for finding in findings if finding["level"] == level)


def test_a_healthy_installation_has_no_errors_and_nothing_is_written(
    healthy: dict[str, str], doctor: Any, raw_store: "redis.Redis"
) -> None:
    before = sorted(raw_store.keys())
    status, found = doctor(healthy)
    assert status < 2, found
    assert list(found) == ["settings", "store", "service", "issuer", "machine"]
    assert "Valkey" in texts(found["store"], "ok")
    assert "its clock is" in texts(found["store"], "ok")
    assert "key k1: PS256" in texts(found["issuer"], "ok")
    assert "key k2: ES256" in texts(found["issuer"], "ok")
    assert "has no maxmemory" in texts(found["store"], "warning")
    assert sorted(raw_store.keys()) == before


def test_an_empty_store_stays_empty(
    environ: dict[str, str], raw_store: "redis.Redis", issuer: Issuer, doctor: Any
) -> None:
    _, found = doctor(environ | {"WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": issuer.discovery_url})
    assert "the store is empty" in texts(found["store"], "ok")
    assert raw_store.dbsize() == 0


def test_a_store_that_is_away_holds_up_nothing_else(healthy: dict[str, str], doctor: Any) -> None:
    status, found = doctor(healthy | {"WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:9/0"})
    assert status == 2
    assert "the store does not answer" in texts(found["store"], "error")
    assert "is not known" in texts(found["service"], "warning")
    assert "answers, with 2 keys" in texts(found["issuer"], "ok")
    assert found["machine"]


def test_what_is_wrong_with_the_store_is_said(
    healthy: dict[str, str], doctor: Any, raw_store: "redis.Redis"
) -> None:
    settings = {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}
    for name, value in settings.items():
        raw_store.config_set(name, value)
    try:
        wanted = {
            "WEBRTC_EVENTS_ACK_REPLICAS": "1",
            "WEBRTC_EVENTS_PARTITIONS": "32",
            "WEBRTC_EVENTS_REQUIRE_DURABLE_STORE": "true",
        }
        status, found = doctor(healthy | wanted)
    finally:
        raw_store.config_set("maxmemory", 0)
        raw_store.config_set("maxmemory-policy", "noeviction")
    assert status == 2
    errors = texts(found["store"], "error")
    for expected in ("allkeys-lru", "0 replicas", "made for 64 partitions"):
        assert expected in errors, expected


def test_every_wrong_setting_is_named_and_the_rest_is_checked(healthy: dict[str, str], doctor: Any) -> None:
    wrong = {"WEBRTC_EVENTS_OUTBOX_AGE_S": HOSTILE, "WEBRTC_EVENTS_NOTHING": "1"}
    environ = healthy | wrong
    del environ["WEBRTC_EVENTS_SECRET_KEY"]
    status, found = doctor(environ)
    assert status == 2
    said = texts(found["settings"], "error")
    for name in (*wrong, "WEBRTC_EVENTS_SECRET_KEY"):
        assert name in said
    assert "Valkey" in texts(found["store"], "ok")
    del environ["WEBRTC_EVENTS_OPENID_CONFIGURATION_URL"]
    _, found = doctor(environ)
    assert "issuer" not in found
    assert "Valkey" in texts(found["store"], "ok")


def test_an_issuer_that_hangs_is_given_up(healthy: dict[str, str], doctor: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/.well-known/openid-configuration"
        began = time.monotonic()
        status, found = doctor(healthy | {"WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": url}, "--timeout", "2")
    assert status == 2
    assert "no answer within 2 s" in texts(found["issuer"], "error")
    assert "Valkey" in texts(found["store"], "ok")
    assert time.monotonic() - began < 25


def test_an_issuer_of_another_name_or_without_keys_is_said(
    healthy: dict[str, str], doctor: Any, issuer: Issuer
) -> None:
    document = {"issuer": "https://other.example", "jwks_uri": f"{issuer.url}/jwks"}
    issuer.documents["/.well-known/openid-configuration"] = lambda: document
    _, found = doctor(healthy)
    assert "calls itself https://other.example" in texts(found["issuer"], "warning")
    issuer.keys.clear()
    status, found = doctor(healthy)
    assert status == 2
    assert "has no key to verify signatures with" in texts(found["issuer"], "error")


def test_a_token_is_checked_as_the_api_does_and_is_never_shown(
    healthy: dict[str, str], doctor: Any, issuer: Issuer, tmp_path: Path
) -> None:

    def said(level: str, expires_in_s: float = 1000, **claims: Any) -> str:
        now = time.time()
        token = issuer.token(now, exp=now + expires_in_s, **claims)
        _, found = doctor(healthy, "--token-file", "-", stdin=token.encode() + b"\n")
        assert token.split(".")[2] not in json.dumps(found)
        return texts(found["token"], level)

    good = said("ok", client_id="app", scope=SCOPES)
    assert "of client app" in good
    assert "webrtc-events:read" in good
    assert "it expires in" in good
    assert "has aud 'x', not 'webrtc-events'" in said("error", client_id="app", scope=SCOPES, aud="x")
    assert "expired" in said("error", -1000, client_id="app", scope=SCOPES)
    assert "none of its scopes" in said("warning", client_id="app", scope="openid")
    assert "it expires in" in said("warning", 55, client_id="app", scope=SCOPES)
    file = tmp_path / "token"
    file.write_text("nonsense")
    status, found = doctor(healthy, "--token-file", str(file))
    assert status == 2
    assert "is no signed JWT" in texts(found["token"], "error")


def test_a_sink_is_looked_at_as_a_worker_would_and_gets_nothing(
    healthy: dict[str, str], doctor: Any, authority: Authority
) -> None:
    trusted = healthy | {"WEBRTC_EVENTS_SINK_CA_FILE": str(authority.ca_file)}
    with RecordingSink(authority=authority) as sink:
        status, found = doctor(trusted, "--sink", sink.url)
        assert status < 2, found
        assert "no notification was sent" in texts(found["sink"], "ok")
        assert "asked for by SNI as localhost" in texts(found["sink"], "ok")
        assert "its certificate expires in" in texts(found["sink"], "ok")
        status, found = doctor(healthy, "--sink", sink.url)
        assert status == 2
        assert "tls:" in texts(found["sink"], "error")
        # What was refused is shown.
        assert "issued by" in texts(found["sink"], "ok")
        assert sink.requests == []
        only_public = {**trusted, "WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS": "10.0.0.0/8"}
        _, found = doctor(only_public, "--sink", sink.url)
        assert "127.0.0.1 is not an address that sinks may have" in texts(found["sink"], "error")


def test_a_certificate_that_expires_soon_is_a_warning(
    healthy: dict[str, str], doctor: Any, authority: Authority
) -> None:
    trusted = healthy | {"WEBRTC_EVENTS_SINK_CA_FILE": str(authority.ca_file)}
    soon = datetime.now(UTC) + timedelta(days=3)
    with RecordingSink(authority=authority, not_after=soon) as sink:
        _, found = doctor(trusted, "--sink", sink.url)
    assert "expires in 2 days" in texts(found["sink"], "warning")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://sink.example/", "must be an https:// URL"),
        ("https://nowhere.invalid/", "cannot be looked up"),
        ("https://10.0.0.1/", "is not a public address"),
    ],
)
def test_sinks_that_cannot_be_are_said(healthy: dict[str, str], doctor: Any, url: str, expected: str) -> None:
    status, found = doctor(healthy, "--sink", url)
    assert status == 2
    assert expected in texts(found["sink"], "error")


def test_a_sink_where_nobody_listens_and_one_that_speaks_no_tls(healthy: dict[str, str], doctor: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    _, found = doctor(healthy, "--sink", f"https://127.0.0.1:{port}/")
    assert "connect:" in texts(found["sink"], "error")


def test_a_sink_behind_the_egress_proxy_is_asked_for_as_a_worker_does(
    healthy: dict[str, str], doctor: Any, authority: Authority, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("me:pass word\n")
    with (
        RecordingSink(authority=authority, names=["sink.example"]) as sink,
        ConnectProxy(credentials="me:pass word") as proxy,
    ):
        environ = healthy | {
            "WEBRTC_EVENTS_SINK_CA_FILE": str(authority.ca_file),
            "WEBRTC_EVENTS_EGRESS_PROXY": proxy.url,
            "WEBRTC_EVENTS_EGRESS_PROXY_CREDENTIALS_FILE": str(credentials),
        }
        # Only the proxy knows the name.
        url = f"https://sink.example:{sink.port}/"
        status, found = doctor(environ, "--sink", url)
        assert status < 2, found
        assert f"through the egress proxy {proxy.url}" in texts(found["sink"], "ok")
        assert "through the proxy: connected, its certificate is trusted" in texts(found["sink"], "ok")
        assert "asked for by SNI as sink.example" in texts(found["sink"], "ok")
        assert "pass word" not in str(found)
        proxy.answer = lambda _: 403
        _, found = doctor(environ, "--sink", url)
        assert "tunnel: CONNECT tunnel failed, response 403" in texts(found["sink"], "error")
        credentials.write_text("me:other")
        _, found = doctor(environ, "--sink", url)
        assert "proxy: CONNECT tunnel failed, response 407" in texts(found["sink"], "error")
        asked = len(proxy.asked)
        _, found = doctor(environ, "--sink", "https://192.168.0.1/")
        assert "is not a public address" in texts(found["sink"], "error")
        environ["WEBRTC_EVENTS_EGRESS_NO_PROXY"] = "localhost"
        _, found = doctor(environ, "--sink", f"https://localhost:{sink.port}/")
        assert "it is reached directly" in texts(found["sink"], "ok")
        assert len(proxy.asked) == asked
        assert sink.requests == []


def test_certificates_that_sinks_are_shown_are_read_as_a_worker_reads_them(
    healthy: dict[str, str], doctor: Any, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = tmp_path / "client.crt", tmp_path / "client.key"
    environ = healthy | {"WEBRTC_EVENTS_SINK_CLIENT_CERTIFICATES": f"{certificate}:{key}"}
    soon = datetime.now(UTC) + timedelta(days=3)
    pair = authority.client_pair("me", not_after=soon)
    certificate.write_bytes(pair[0])
    key.write_bytes(pair[1])
    _, found = doctor(environ)
    assert f"{certificate}, which sinks are shown, expires in 2 days" in texts(found["settings"], "warning")
    key.write_text("no key")
    status, found = doctor(environ)
    assert status == 2
    assert f"{key} holds no private key in PEM" in texts(found["settings"], "error")
    # What else is right goes on being checked.
    assert "Valkey" in texts(found["store"], "ok")


def test_the_issuer_is_asked_through_the_egress_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(_: Received) -> Answer:
        url = f"https://id.example:{server.port}"
        document = {"issuer": url, "jwks_uri": f"{url}/jwks", "keys": [SigningKeyPair.rsa("k1").jwk()]}
        return Answer(200, body=json.dumps(document).encode())

    with RecordingSink(names=["id.example"], answer=answer) as server, ConnectProxy() as proxy:
        monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(server.ca_file))
        url = f"https://id.example:{server.port}/.well-known/openid-configuration"
        way = EgressProxy(parse_proxy_url(proxy.url))
        said = [finding.text for finding in check_issuer(url, SystemClock(), way)]
        assert f"through the egress proxy {proxy.url}" in said[0]
        assert any("the issuer's certificate expires in" in text for text in said)
        proxy.answer = lambda _: 403
        [found] = check_issuer(url, SystemClock(), way)
        assert found.level == "error"
        assert f"the egress proxy {proxy.url}" in found.action


def test_keys_that_others_may_read_are_a_warning(
    healthy: dict[str, str], doctor: Any, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "key.pem").write_text("-----BEGIN PRIVATE KEY-----")
    (data / "ca.pem").write_text("-----BEGIN CERTIFICATE-----")
    (data / "key.pem").chmod(0o644)
    _, found = doctor(healthy)
    said = texts(found["machine"], "warning")
    assert "key.pem (mode 644)" in said
    assert "ca.pem" not in said


def test_processes_that_do_not_run_are_errors(environ: dict[str, str], store: Store, doctor: Any) -> None:
    _, found = doctor(environ)
    errors = texts(found["service"], "error")
    assert "No worker runs" in errors
    assert "No API process runs" in errors


def test_a_check_that_fails_or_hangs_keeps_what_it_found() -> None:
    def breaks() -> Iterator[Finding]:
        yield fine(Area.STORE, "first")
        raise RuntimeError("boom")

    def hangs() -> Iterator[Finding]:
        yield fine(Area.SINK, "second")
        SystemClock().sleep(60)

    found = list(run_checks({Area.STORE: breaks, Area.SINK: hangs}, 1.0, SystemClock()))
    assert [(finding.area, finding.level) for finding in found] == [
        (Area.STORE, "ok"),
        (Area.STORE, "error"),
        (Area.SINK, "ok"),
        (Area.SINK, "error"),
    ]
    assert "RuntimeError: boom" in found[1].text


def test_the_exit_status_is_that_of_the_worst() -> None:
    good, fair, bad = fine(Area.STORE, ""), warning(Area.STORE, "", ""), error(Area.STORE, "", "")
    assert [exit_status(found) for found in ([], [good], [good, fair], [bad, fair, good])] == [0, 0, 1, 2]


def test_what_is_found_is_printed_safely() -> None:
    lines = list(shown([warning(Area.SINK, HOSTILE, HOSTILE)]))
    assert not any("\x1b[2J" in line or "\u202e" in line for line in lines)


def test_a_terminal_gets_colours_and_a_pipe_does_not(healthy: dict[str, str], tmp_path: Path) -> None:
    options = ["doctor", "--data-dir", str(tmp_path / "data")]
    text = in_terminal(healthy, *options)
    assert "\x1b[32m" in text
    plain = in_terminal(healthy | {"NO_COLOR": "1"}, *options)
    assert "\x1b" not in plain
    # A path is not broken.
    assert max(len(line) for line in plain.splitlines() if "/" not in line) <= 80
    done = run(*options, env=clean_environ() | healthy)
    assert b"\x1b" not in done.stdout
