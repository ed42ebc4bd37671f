"""What holds for every request: routing, correlation, sizes, media types, errors."""

import http.client
import json
import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from tests.api.conftest import (
    CHECKS,
    NETWORK,
    PUBLIC,
    Api,
    Switch,
    assert_error,
    invitation,
    subscription_request,
)
from tests.harness.commands import eventually
from webrtc_events.api.binding import HandlerResolver, MissingHandlersError, function_name
from webrtc_events.app import create_app
from webrtc_events.core.conditions import Condition, Health
from webrtc_events.core.errors import Unavailable
from webrtc_events.core.settings import Settings
from webrtc_events.handlers import network_events as network
from webrtc_events.handlers import webrtc_events as subscriptions
from webrtc_events.local.stack.valkey import Valkey
from webrtc_events.services.subscriptions import Subscriptions
from webrtc_events.store.durability import watch

SUBSCRIPTIONS = f"{PUBLIC}/subscriptions"
EVENTS = f"{NETWORK}/events"


def logged(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What was logged, but for the watch of the store: each test empties that, and the watch says so."""
    return [record for record in caplog.records if record.name != watch.__name__]


@pytest.mark.parametrize(
    "path", ["/", "/nothing", PUBLIC, f"{PUBLIC}/", f"{PUBLIC}/nothing", f"{SUBSCRIPTIONS}/a/b"]
)
def test_unknown_path_is_not_found(api: Api, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        assert_error(api(method, path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (SUBSCRIPTIONS, {"GET", "POST"}),
        (f"{SUBSCRIPTIONS}/x", {"GET", "DELETE"}),
        (EVENTS, {"POST"}),
        (f"{NETWORK}/registrations/x", {"PUT", "DELETE"}),
        (f"{PUBLIC}/openapi.json", {"GET", "HEAD"}),
        (f"{PUBLIC}/ui/", {"GET", "HEAD"}),
        ("/healthz", {"GET", "HEAD"}),
    ],
)
def test_other_methods_are_named_in_allow(api: Api, path: str, allowed: set[str]) -> None:
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - allowed:
        response = api(method, path)
        assert response.status_code == 405
        assert set(response.headers["Allow"].split(", ")) == allowed
        assert response.headers["x-correlator"]
        if method != "HEAD":
            assert_error(response, 405, "METHOD_NOT_ALLOWED")


def test_empty_id_is_an_invalid_argument(api: Api) -> None:
    for method in ("GET", "DELETE"):
        assert "subscriptionId" in assert_error(api(method, f"{SUBSCRIPTIONS}/"), 400, "INVALID_ARGUMENT")
    assert_error(api("POST", f"{SUBSCRIPTIONS}/"), 405, "METHOD_NOT_ALLOWED")
    assert_error(api("PUT", f"{NETWORK}/registrations/"), 400, "INVALID_ARGUMENT")


def test_trailing_slash_is_another_path(api: Api) -> None:
    for path in (f"{EVENTS}/", f"{SUBSCRIPTIONS}/x/", "/healthz/"):
        assert_error(api("POST", path), 404, "NOT_FOUND")


@pytest.mark.parametrize("value", ["abc", "b4333c46-49c0-4f62-80d7-f0ef930f1c46", "a-_:;./<>{}Z9", "x" * 256])
def test_correlator_is_echoed(api: Api, value: str) -> None:
    headers = {"x-correlator": value}
    for method, path, token in (
        ("GET", SUBSCRIPTIONS, ""),
        ("GET", SUBSCRIPTIONS, None),
        ("GET", "/nothing", None),
        ("GET", "/healthz", None),
        ("GET", "/page/a", None),
        ("DELETE", SUBSCRIPTIONS, ""),
    ):
        assert api(method, path, token=token, headers=headers).headers["x-correlator"] == value


@pytest.mark.parametrize("value", ["a b", "ä".encode(), "x" * 257, "a,b", '"a"', "a\tb"])
def test_correlator_off_the_pattern_is_refused(api: Api, value: Any) -> None:
    response = api("GET", SUBSCRIPTIONS, headers={"x-correlator": value})
    assert_error(response, 400, "INVALID_ARGUMENT")
    uuid.UUID(response.headers["x-correlator"])


def test_answer_without_correlator_gets_a_new_uuid(api: Api) -> None:
    given: list[dict[str, str]] = [{}, {}, {"x-correlator": ""}]
    seen = {api("GET", SUBSCRIPTIONS, headers=header).headers["x-correlator"] for header in given}
    assert len({uuid.UUID(correlator) for correlator in seen}) == 3


@pytest.mark.parametrize(("path", "limit"), [(SUBSCRIPTIONS, 256 * 1024), (EVENTS, 16 * 1024 * 1024)])
def test_body_over_the_limit_is_too_large(api: Api, path: str, limit: int) -> None:
    kind = "application/json" if path == SUBSCRIPTIONS else "application/cloudevents+json"
    headers = {"Content-Type": kind}
    assert_error(api("POST", path, data=b"x" * limit, headers=headers), 400, "INVALID_ARGUMENT")
    assert_error(api("POST", path, data=b"x" * (limit + 1), headers=headers), 413, "CONTENT_TOO_LARGE")
    pieces = (b"x" * 1024 for _ in range(limit // 1024 + 1))
    assert_error(api("POST", path, data=pieces, headers=headers), 413, "CONTENT_TOO_LARGE")


def test_chunked_body_is_read(api: Api) -> None:
    def chunks(value: object) -> Iterator[bytes]:
        text = json.dumps(value).encode()
        yield from (text[at : at + 50] for at in range(0, len(text), 50))

    json_type = {"Content-Type": "application/json"}
    created = api("POST", SUBSCRIPTIONS, data=chunks(subscription_request()), headers=json_type)
    assert created.status_code == 201, created.text
    event_type = {"Content-Type": "application/cloudevents+json"}
    assert api("POST", EVENTS, data=chunks(invitation(31)), headers=event_type).status_code == 202


def test_content_length_that_is_no_length_is_refused(api: Api) -> None:
    for value in ("x", "-1", "1,2", "9" * 30):
        connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
        connection.putrequest("POST", SUBSCRIPTIONS)
        connection.putheader("Content-Length", value)
        connection.endheaders()
        assert connection.getresponse().status == 400
        connection.close()


def test_body_is_required(api: Api) -> None:
    for headers in ({}, {"Content-Type": "application/json"}):
        assert_error(api("POST", SUBSCRIPTIONS, headers=headers), 400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/xml",
        "application/json/x",
        "application",
        "multipart/form-data; boundary=x",
    ],
)
def test_other_media_types_are_refused(api: Api, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    body = json.dumps(subscription_request()).encode()
    refused = api("POST", SUBSCRIPTIONS, data=body, headers=headers)
    message = assert_error(refused, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert message == "Content-Type must be application/json."


def test_media_types_that_are_taken_are_named(api: Api) -> None:
    headers = {"Content-Type": "application/x-ndjson"}
    response = api("POST", EVENTS, data=json.dumps(invitation(1)), headers=headers)
    assert assert_error(response, 415, "UNSUPPORTED_MEDIA_TYPE") == (
        "Content-Type must be application/cloudevents+json or application/cloudevents-batch+json or "
        "application/json."
    )


def test_media_types_of_the_other_side_are_refused(api: Api) -> None:
    headers = {"Content-Type": "application/cloudevents+json"}
    response = api("POST", SUBSCRIPTIONS, data=json.dumps(subscription_request()), headers=headers)
    assert_error(response, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json ;charset=x",
        "application/json;",
    ],
)
def test_media_type_is_compared_as_http_says(api: Api, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    valid = json.dumps(subscription_request()).encode()
    assert api("POST", SUBSCRIPTIONS, data=valid, headers=headers).status_code == 201
    assert_error(api("POST", SUBSCRIPTIONS, data=b"{}", headers=headers), 400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b"NaN",
        b'{"a": 1, "a": 2}',
        b'{"protocol": "\\ud800"}',
        b"1" * 5000,
        b"[" * 50_000,
        b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
        b"null",
        b'"text"',
        b"[]",
    ],
)
def test_what_is_no_json_object_is_refused(api: Api, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert_error(api("POST", SUBSCRIPTIONS, data=body, headers=headers), 400, "INVALID_ARGUMENT")


def test_body_of_a_get_is_ignored(api: Api) -> None:
    for headers in ({"Content-Type": "multipart/form-data"}, {"Content-Type": "application/json/x"}, {}):
        assert api("GET", SUBSCRIPTIONS, data=b"{", headers=headers).status_code == 200


def test_bug_in_a_handler_is_an_internal_error(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Subscriptions, "list", fail)
    with caplog.at_level(logging.ERROR):
        response = api("GET", SUBSCRIPTIONS, headers={"x-correlator": "find-me"})
    assert_error(response, 500, "INTERNAL")
    (record,) = logged(caplog)
    assert record.getMessage() == f"GET {SUBSCRIPTIONS} failed by a bug: ZeroDivisionError"
    assert "ZeroDivisionError" in caplog.text
    assert api.token()[:20] not in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        [{"id": "x"}],
        {"id": "x"},
        None,
        [subscription_request() | {"id": "x", "protocolSettings": {"method": "GET"}}],
    ],
)
def test_answer_off_the_contract_is_an_internal_error(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answer: object
) -> None:
    monkeypatch.setattr(Subscriptions, "list", lambda *_: answer)
    with caplog.at_level(logging.ERROR):
        assert_error(api("GET", SUBSCRIPTIONS), 500, "INTERNAL")
    assert len(logged(caplog)) == 1


def test_pages_are_mounted_by_prefix(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    for path in ("/page", "/page/", "/page/a/b"):
        response = api("GET", path, token=None)
        assert response.text == f"/page {path}"
        assert response.headers["x-correlator"]
    assert_error(api("GET", "/pages"), 404, "NOT_FOUND")
    with caplog.at_level(logging.ERROR):
        assert_error(api("GET", "/page/fail"), 500, "INTERNAL")
    assert len(logged(caplog)) == 1


@pytest.mark.parametrize("base", [PUBLIC, NETWORK])
def test_reference_is_served_without_the_internet(api: Api, base: str) -> None:
    document = api("GET", f"{base}/openapi.json", token=None).json()
    assert document["servers"] == [{"url": base}]
    assert document["components"]["securitySchemes"]["openId"]["openIdConnectUrl"] == api.issuer.discovery_url
    home = api("GET", f"{base}/ui/", token=None)
    assert home.status_code == 200
    assert f"{base}/openapi.json" in home.text
    assert "//" not in home.text.replace("<!--", "").replace("// ", "").replace("</script>", "")
    script = api("GET", f"{base}/ui/swagger-ui-bundle.js", token=None)
    assert (script.status_code, len(script.content) > 100_000) == (200, True)
    assert_error(api("GET", f"{base}/ui/nothing.js", token=None), 404, "NOT_FOUND")


def test_health_and_readiness(fresh_api: Api) -> None:
    assert fresh_api("GET", "/healthz", token=None).json() == {"status": "ok"}
    ready = fresh_api("GET", "/readyz", token=None)
    assert ready.status_code == 200
    assert ready.json() == {"status": "ok", "checks": CHECKS | {"switch": {"status": "ok"}}}
    assert fresh_api("HEAD", "/readyz", token=None).status_code == 200


def test_readiness_asks_the_store_for_nothing_but_an_answer(
    fresh_api: Api, http_settings: Settings, valkey: Valkey
) -> None:
    """Everybody may ask for it, and INFO takes the store a while."""
    with redis.Redis.from_url(valkey.url, decode_responses=True) as client:

        def asked() -> int:
            return int(client.info("commandstats")["cmdstat_config|get"]["calls"])

        def asked_by_readiness() -> int:
            before = asked()
            for _ in range(50):
                assert fresh_api("GET", "/readyz", token=None).status_code == 200
            return asked() - before

        # The process looks by itself now and then; if readiness asked, there would be no window without.
        eventually(lambda: asked_by_readiness() == 0)


@pytest.mark.parametrize(
    ("condition", "status", "shown"),
    [
        (Condition(Health.DEGRADED, "slow"), 200, {"status": "degraded", "detail": "slow"}),
        (Condition(Health.UNAVAILABLE, "away"), 503, {"status": "unavailable", "detail": "away"}),
        (Unavailable("gone"), 503, {"status": "unavailable", "detail": "gone"}),
        (
            ZeroDivisionError("secret"),
            503,
            {"status": "unavailable", "detail": "The check failed; the log says why."},
        ),
    ],
)
def test_readiness_is_that_of_the_worst(
    fresh_api: Api,
    switch: Switch,
    monkeypatch: pytest.MonkeyPatch,
    condition: Condition | Exception,
    status: int,
    shown: dict[str, str],
) -> None:
    monkeypatch.setattr(switch, "tells", condition)
    answer = fresh_api("GET", "/readyz", token=None)
    assert answer.status_code == status
    assert answer.json() == {"status": shown["status"], "checks": CHECKS | {"switch": shown}}


@pytest.mark.parametrize(
    ("apis", "served", "absent"), [("public", SUBSCRIPTIONS, EVENTS), ("network", EVENTS, SUBSCRIPTIONS)]
)
def test_process_serves_the_apis_of_its_setting(
    api_with: Callable[..., Api], apis: str, served: str, absent: str
) -> None:
    api = api_with(apis=frozenset({apis}))
    assert api("OPTIONS", served).status_code == 405
    assert_error(api("GET", absent), 404, "NOT_FOUND")


def test_operation_without_handler_fails_at_start() -> None:
    operations = ["publishEvents", "doThis", "doThat"]
    resolver = HandlerResolver(network, object(), operations, cut=lambda _: None)
    module = "webrtc_events.handlers.network_events"
    assert resolver.missing == [f"doThis ({module}.do_this)", f"doThat ({module}.do_that)"]
    assert "doThis" in str(MissingHandlersError(resolver.missing))


def test_missing_handler_fails_create_app(http_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(subscriptions, "retrieve_notification_channel_subscription")
    monkeypatch.delattr(network, "put_registration")
    with pytest.raises(
        MissingHandlersError, match=r"retrieveNotificationChannelSubscription .*putRegistration"
    ):
        create_app(http_settings)


def test_operation_id_becomes_a_function_name() -> None:
    assert (
        function_name("createNotificationChannelSubscription") == "create_notification_channel_subscription"
    )


def test_invalid_settings_are_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEBRTC_EVENTS_PARTITIONS", "none")
    monkeypatch.delenv("WEBRTC_EVENTS_SECRET_KEY", raising=False)
    with pytest.raises(SystemExit) as exit_:
        create_app()
    assert exit_.value.code == 3
    messages = capsys.readouterr().err
    assert "WEBRTC_EVENTS_PARTITIONS" in messages
    assert "WEBRTC_EVENTS_SECRET_KEY" in messages
