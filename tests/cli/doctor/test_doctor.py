"""`webrtc-events doctor`, as an operator runs it, on installations with something wrong."""

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.cli.doctor.found import texts
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
from webrtc_events.store.store import Store

SCOPES = "openid webrtc-events:read"


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
