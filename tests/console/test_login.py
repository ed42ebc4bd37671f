"""The login: who gets in, who does not and is told why, and how long it lasts."""

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.console.login_issuer import CLIENT, SECRET, LoginIssuer
from tests.harness.builders import created
from tests.harness.clocks import SteppedClock
from tests.harness.issuer import SigningKeyPair
from webrtc_events.console.behind_proxies import below
from webrtc_events.console.console_app import ConsoleOptions, console_app
from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.console.login import LoginAccess, LoginOptions
from webrtc_events.console.sections import sections
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store

URL = "https://console.example"
HTML = {"Accept": "text/html", "Host": "console.example"}


@pytest.fixture
def issuer() -> Iterator[LoginIssuer]:
    issuer = LoginIssuer()
    yield issuer
    issuer.close()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def open_console(
    store: Store, settings: Settings, clock: SteppedClock, issuer: LoginIssuer
) -> Callable[..., FlaskClient]:
    """A browser with no cookie yet. `secret`: of the client; None: it is a public one."""

    def browser(secret: str | None = SECRET, base_path: str = "") -> FlaskClient:
        options = LoginOptions(f"{URL}{base_path}", issuer.configuration_url, CLIENT, secret)
        login = LoginAccess(options, clock)
        app = console_app(
            ConsoleOptions(session_key=b"k" * 32, access=login, secure=True),
            sections(ConsoleParts(store, settings, clock)),
        )
        app.wsgi_app = below(app.wsgi_app, base_path)  # type: ignore[method-assign]
        return app.test_client()

    return browser


@pytest.fixture
def browser(open_console: Callable[..., FlaskClient]) -> FlaskClient:
    return open_console()


def get(browser: FlaskClient, path: str) -> TestResponse:
    return browser.get(path, base_url=URL, headers=HTML)


def to_issuer(browser: FlaskClient, path: str = "/subscriptions/?client=app") -> str:
    """Where a browser without a session is led."""
    first = get(browser, path)
    assert first.status_code == 302
    assert str(first.location).startswith("/login/?path=")
    answer = get(browser, str(first.location))
    assert answer.status_code == 302, answer.text
    return str(answer.location)


def back(address: str) -> str:
    """What the issuer has the browser open: path and query at the console."""
    location = requests.get(address, allow_redirects=False, timeout=5).headers["Location"]
    assert location.startswith(f"{URL}/login/done?")
    return location.removeprefix(URL)


def log_in(browser: FlaskClient, path: str = "/subscriptions/?client=app") -> TestResponse:
    return get(browser, back(to_issuer(browser, path)))


def test_a_page_is_shown_after_the_login_that_it_led_to(browser: FlaskClient, issuer: LoginIssuer) -> None:
    done = log_in(browser)
    assert (done.status_code, done.location) == (302, "/subscriptions/?client=app")
    page = get(browser, "/subscriptions/?client=app")
    assert page.status_code == 200
    assert "alice" in page.text
    assert "Log out" in page.text
    assert issuer.problems == []


def test_below_a_path_the_login_leads_back_below_it(
    open_console: Callable[..., FlaskClient], issuer: LoginIssuer
) -> None:
    browser = open_console(base_path="/ops/console")
    page = "/ops/console/subscriptions/?client=app"
    first = get(browser, page)
    assert str(first.location).startswith("/ops/console/login/?path=/subscriptions/")
    to = get(browser, str(first.location))
    assert parse_qs(urlsplit(str(to.location)).query)["redirect_uri"] == [f"{URL}/ops/console/login/done"]
    location = requests.get(str(to.location), allow_redirects=False, timeout=5).headers["Location"]
    done = get(browser, location.removeprefix(URL))
    assert (done.status_code, done.location) == (302, page)
    shown = get(browser, page)
    assert shown.status_code == 200
    assert not re.findall(r'(?:href|src|action)="(/(?!ops/console/)[^"]*)"', shown.text)
    assert get(browser, "/ops/console/").location == "/ops/console/overview/"
    # Who has logged in by now, in another tab.
    assert get(browser, str(first.location)).location == page
    assert issuer.problems == []


def test_the_issuer_is_asked_for_a_code_with_pkce_state_nonce_and_the_scope(browser: FlaskClient) -> None:
    query = parse_qs(urlsplit(to_issuer(browser)).query)
    assert query["redirect_uri"] == [f"{URL}/login/done"]
    assert query["code_challenge_method"] == ["S256"]
    assert "webrtc-events:operate" in query["scope"][0].split()
    assert {"state", "nonce", "code_challenge"} <= query.keys()


def test_the_session_cookie_is_for_this_host_over_tls_and_not_for_scripts(browser: FlaskClient) -> None:
    cookie = log_in(browser).headers["Set-Cookie"]
    parts = {part.strip() for part in cookie.split(";")}
    assert cookie.startswith("__Host-webrtc-events-console=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= parts
    assert not [part for part in parts if part.startswith("Domain")]


def test_no_token_is_in_an_address_or_a_page(browser: FlaskClient, issuer: LoginIssuer) -> None:
    issuer.access_claims = {"scope": "webrtc-events:operate", "marker": 1}
    done = log_in(browser)
    page = get(browser, "/subscriptions/")
    for text in (str(done.location), page.text):
        assert not re.search(r"eyJ[\w-]+\.[\w-]+\.", text)


@pytest.mark.parametrize("granted", ["openid profile", "", "webrtc-events:operated", "webrtc-events:read"])
def test_a_user_without_the_scope_sees_why(browser: FlaskClient, issuer: LoginIssuer, granted: str) -> None:
    issuer.granted = granted
    refused = log_in(browser)
    assert refused.status_code == 403
    assert "did not grant you the scope webrtc-events:operate" in refused.text
    assert get(browser, "/subscriptions/").status_code == 302


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"scope": "openid webrtc-events:operate"}, 302),
        ({"scp": ["webrtc-events:operate"]}, 302),
        ({"scope": "openid"}, 403),
        ({}, 403),
        (None, 403),
    ],
)
def test_the_access_token_says_what_was_granted_where_the_answer_does_not(
    browser: FlaskClient, issuer: LoginIssuer, claims: dict[str, Any] | None, status: int
) -> None:
    issuer.granted, issuer.access_claims = None, claims
    assert log_in(browser).status_code == status


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": ["another"], "azp": CLIENT},
        {"aud": "another", "azp": CLIENT},
        {"iss": "https://attacker.example"},
        {"iss": None},
        {"exp": 1},
        {"sub": None},
    ],
    ids=str,
)
def test_an_id_token_that_is_not_for_this_login_is_refused(
    browser: FlaskClient, issuer: LoginIssuer, claims: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    issuer.claims = claims
    with caplog.at_level(logging.WARNING):
        assert log_in(browser).status_code == 403
    assert "a login was refused" in caplog.text
    assert get(browser, "/subscriptions/").status_code == 302


def test_an_id_token_of_another_key_is_refused(browser: FlaskClient, issuer: LoginIssuer) -> None:
    issuer.signs_with = SigningKeyPair.rsa("k1")
    assert log_in(browser).status_code == 403


def test_without_an_id_token_nobody_logs_in(browser: FlaskClient, issuer: LoginIssuer) -> None:
    issuer.has_id_token = False
    assert log_in(browser).status_code == 403


def test_a_code_of_another_browser_is_refused(open_console: Callable[..., FlaskClient]) -> None:
    """Or else somebody could log others in as themselves."""
    ours, theirs = open_console(), open_console()
    to_issuer(ours)
    assert get(ours, back(to_issuer(theirs))).status_code == 403
    assert get(ours, "/subscriptions/").status_code == 302


def test_a_code_is_good_once(open_console: Callable[..., FlaskClient]) -> None:
    browser = open_console()
    path = back(to_issuer(browser))
    assert get(browser, path).status_code == 302
    browser.delete_cookie("__Host-webrtc-events-console", domain="console.example")
    assert get(browser, path).status_code == 403


def test_a_client_with_a_wrong_secret_is_refused(open_console: Callable[..., FlaskClient]) -> None:
    refused = log_in(open_console("wrong"))
    assert refused.status_code == 403
    assert "invalid_client" in refused.text


def test_what_the_issuer_refuses_is_said(browser: FlaskClient, issuer: LoginIssuer) -> None:
    issuer.error = "access_denied"
    refused = log_in(browser)
    assert refused.status_code == 403
    assert "access_denied" in refused.text


def test_an_issuer_that_is_away_is_said(browser: FlaskClient, issuer: LoginIssuer) -> None:
    issuer.close()
    answer = get(browser, "/login/")
    assert answer.status_code == 503
    assert "token issuer cannot be reached" in answer.text


def test_a_session_ends_after_an_hour(browser: FlaskClient, clock: SteppedClock) -> None:
    log_in(browser)
    clock.sleep(3599)
    assert get(browser, "/subscriptions/").status_code == 200
    clock.sleep(1)
    assert get(browser, "/subscriptions/").status_code == 302
    script = browser.get("/subscriptions/", base_url=URL, headers={"Accept": "application/json"})
    assert script.status_code == 401


def test_a_logout_ends_the_session(browser: FlaskClient) -> None:
    log_in(browser)
    token = _token(browser)
    assert browser.post("/login/out", base_url=URL).status_code == 403
    done = browser.post("/login/out", base_url=URL, data={"csrf_token": token})
    assert (done.status_code, done.location) == (303, "/login/out")
    assert "You are logged out" in get(browser, "/login/out").text
    assert get(browser, "/subscriptions/").status_code == 302


def test_a_change_is_logged_with_the_name_at_the_issuer(
    browser: FlaskClient, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    made = created(store)
    log_in(browser)
    with caplog.at_level(logging.INFO):
        browser.post(f"/subscriptions/{made.id}/end", base_url=URL, data={"csrf_token": _token(browser)})
    line = f"change by=user-17 action=end-subscription subscription={made.id} result=ended"
    assert line in [record.getMessage() for record in caplog.records]


def test_nothing_is_changed_without_a_login(browser: FlaskClient, store: Store) -> None:
    made = created(store)
    refused = browser.post(
        f"/subscriptions/{made.id}/end", base_url=URL, data={"csrf_token": _token(browser)}
    )
    assert refused.status_code == 401
    found = store.subscriptions.get(made.id)
    assert found is not None
    assert found.status == "ACTIVE"


def test_a_session_that_somebody_wrote_is_none(browser: FlaskClient) -> None:
    browser.set_cookie("__Host-webrtc-events-console", "eyJvcGVyYXRvciI6MX0.x.y", domain="console.example")
    assert get(browser, "/subscriptions/").status_code == 302


@pytest.mark.parametrize(
    "path", ["https://attacker.example/", "//attacker.example", "/\\attacker.example", "x"]
)
def test_a_login_leads_to_no_other_site(browser: FlaskClient, path: str) -> None:
    answer = browser.get("/login/", base_url=URL, headers=HTML, query_string={"path": path})
    assert get(browser, back(str(answer.location))).location == "/"


def test_tabs_that_log_in_at_once_all_get_in(browser: FlaskClient) -> None:
    first, second = (
        to_issuer(browser, "/subscriptions/?client=a"),
        to_issuer(browser, "/subscriptions/?client=b"),
    )
    assert get(browser, back(first)).location == "/subscriptions/?client=a"
    # The other one is logged in by now.
    assert get(browser, back(second)).location == "/"


def test_logins_that_were_begun_and_left_do_not_fill_the_cookie(browser: FlaskClient) -> None:
    for _ in range(30):
        begun = to_issuer(browser, "/subscriptions/?client=" + "x" * 400)
    cookie = browser.get_cookie("__Host-webrtc-events-console", domain="console.example")
    assert cookie is not None
    assert len(cookie.value) < 4000
    assert get(browser, back(begun)).status_code == 302


def test_a_login_that_another_site_begins_leaves_the_session(browser: FlaskClient) -> None:
    log_in(browser)
    answer = browser.get("/login/", base_url=URL, headers=HTML, query_string={"path": "/subscriptions/"})
    assert answer.location == "/subscriptions/"
    assert get(browser, "/subscriptions/").status_code == 200


@pytest.mark.parametrize("lacks", ["issuer", "jwks_uri", "token_endpoint"])
def test_an_issuer_whose_document_lacks_something_lets_nobody_in(
    browser: FlaskClient, issuer: LoginIssuer, lacks: str
) -> None:
    issuer.lacks = lacks
    assert log_in(browser).status_code in (403, 503)
    assert get(browser, "/subscriptions/").status_code == 302


@pytest.mark.parametrize("host", ["localhost", "console.example:8443", "attacker.example"])
def test_another_name_than_the_consoles_is_refused(browser: FlaskClient, host: str) -> None:
    assert browser.get("/subscriptions/", headers=HTML | {"Host": host}).status_code == 400


def test_style_sheets_need_no_login(browser: FlaskClient) -> None:
    with get(browser, "/_static/console.css") as answer:
        assert answer.status_code == 200


def _token(browser: FlaskClient) -> str:
    match = re.search(r'name="csrf-token" content="([^"]+)"', get(browser, "/login/out").text)
    assert match is not None
    return match[1]
