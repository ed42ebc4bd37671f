"""Without a login: who sees the console, and who changes something."""

import logging
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.harness.builders import created
from webrtc_events.core.model import Status
from webrtc_events.store.store import Store

ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}


def is_active(store: Store, subscription_id: str) -> bool:
    found = store.subscriptions.get(subscription_id)
    return found is not None and found.status is Status.ACTIVE


@pytest.mark.parametrize("host", ["localhost:9091", "127.0.0.1", "[::1]:9091"])
def test_names_of_this_machine_are_answered(console: FlaskClient, host: str) -> None:
    assert console.get("/subscriptions/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["attacker.example", "localhost.attacker.example", "192.0.2.7:9091", "[x", ""]
)
def test_other_names_are_refused(console: FlaskClient, host: str) -> None:
    answer = console.get("/subscriptions/", headers={"Host": host})
    assert answer.status_code == 400
    assert "name of this machine" in answer.text


def test_another_machine_is_shown_pages_and_changes_nothing(
    console: FlaskClient, store: Store, token: Callable[[], str]
) -> None:
    made = created(store)
    shown = console.get(f"/subscriptions/{made.id}", environ_overrides=ELSEWHERE)
    assert (shown.status_code, "End…" in shown.text, "Reveal" in shown.text) == (200, False, False)
    for path in (f"/subscriptions/{made.id}/end", f"/subscriptions/{made.id}"):
        refused = console.post(path, data={"csrf_token": token()}, environ_overrides=ELSEWHERE)
        assert refused.status_code == 403
        assert "this machine only" in refused.text
    assert is_active(store, made.id)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://attacker.example"},
        {"Origin": "http://localhost:1"},
        {"Origin": "null"},
    ],
)
def test_a_change_from_another_page_is_refused_even_with_the_token(
    console: FlaskClient, store: Store, token: Callable[[], str], headers: dict[str, str]
) -> None:
    made = created(store)
    answer = console.post(f"/subscriptions/{made.id}/end", data={"csrf_token": token()}, headers=headers)
    assert answer.status_code == 403
    assert is_active(store, made.id)


@pytest.mark.parametrize("given", ["", "guessed", None])
def test_a_change_without_the_token_of_the_session_is_refused(
    console: FlaskClient, store: Store, token: Callable[[], str], given: str | None
) -> None:
    made = created(store)
    token()
    form = {} if given is None else {"csrf_token": given}
    assert console.post(f"/subscriptions/{made.id}/end", data=form).status_code == 403
    assert is_active(store, made.id)


def test_a_change_before_any_page_was_seen_is_refused(console: FlaskClient, store: Store) -> None:
    made = created(store)
    assert console.post(f"/subscriptions/{made.id}/end", data={"csrf_token": ""}).status_code == 403


def test_a_page_of_the_console_makes_a_change(
    console: FlaskClient, store: Store, token: Callable[[], str]
) -> None:
    made = created(store)
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
    answer = console.post(f"/subscriptions/{made.id}/end", data={"csrf_token": token()}, headers=headers)
    assert answer.status_code == 303
    assert not is_active(store, made.id)


def test_a_script_sends_the_token_in_a_header(
    console: FlaskClient, store: Store, token: Callable[[], str]
) -> None:
    made = created(store)
    headers = {"X-CSRF-Token": token()}
    assert console.post(f"/subscriptions/{made.id}/end", headers=headers).status_code == 303


def test_the_session_is_out_of_reach_for_scripts_and_other_sites(console: FlaskClient) -> None:
    cookie = console.get("/subscriptions/").headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}


def test_errors_are_pages_for_people_and_errorinfo_for_scripts(console: FlaskClient) -> None:
    page = console.get("/nowhere")
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "NOT_FOUND" in page.text
    info = console.get("/nowhere", headers={"Accept": "application/json"})
    assert info.json is not None
    assert (info.json["status"], info.json["code"]) == (404, "NOT_FOUND")
    assert "GET" in console.post("/subscriptions/", headers={"Accept": "*/*"}).headers.get("Allow", "GET")


def test_a_bug_is_a_page_and_a_line_in_the_log(
    console: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("webrtc_events.console.subscriptions.pages.SubscriptionSearch.page", fail)
    with caplog.at_level(logging.ERROR):
        answer = console.get("/subscriptions/")
    assert answer.status_code == 500
    assert "ZeroDivisionError" in caplog.text
    assert "ZeroDivisionError" not in answer.text
