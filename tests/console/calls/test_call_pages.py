"""The list of calls and the page of one."""

import json
import logging
from collections.abc import Callable
from html import unescape
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.console.ladder.traces import failing, gone, healthy, played
from tests.console.traced import console, keep
from tests.harness.clocks import SteppedClock
from webrtc_events.console.access import Operator
from webrtc_events.console.calls.revealing import REVEALED_S
from webrtc_events.core.call_trace import TraceLevel
from webrtc_events.core.settings import Settings
from webrtc_events.store.store import Store

# Of the recorded call `declined`.
PERSONAL = ["carol.lindqvist", "Carol Lindqvist", "dave@voice", "a=ice-pwd", "tel-12025550143"]
Post = Callable[..., TestResponse]


@pytest.fixture
def session(store: Store) -> str:
    return keep(store, played("declined", [healthy, failing]))


def entry_links(client: FlaskClient, session: str) -> list[str]:
    text = unescape(client.get(f"/calls/{session}").text)
    return [part.partition('"')[0] for part in text.split('href="')[1:] if "/-/entries/" in part][::2]


def test_recent_calls_have_their_outcome(store: Store, client: FlaskClient) -> None:
    sessions = {
        name: keep(store, played(name, sinks))
        for name, sinks in {
            "declined": [healthy, healthy],
            "hold-resume": [healthy, failing],
            "answered": [healthy, gone],
        }.items()
    }
    text = client.get("/calls/").text
    for session in sessions.values():
        assert f'href="/calls/{session}"' in text
    for outcome in ("delivered", "retried", "failed"):
        assert f'<span class="pill is-{outcome}">' in text
    only = client.get("/calls/?outcome=retried").text
    assert sessions["hold-resume"] in only
    assert sessions["declined"] not in only
    assert sessions["answered"] in client.get(f"/calls/?session={sessions['answered'][:6]}").text
    assert "No call of late matches" in client.get("/calls/?session=nothing-begins-so").text


def test_traces_of_before_they_were_turned_off_are_shown_without_a_hint(
    client: FlaskClient, session: str
) -> None:
    assert "CALL_TRACES" not in client.get("/calls/").text


def test_the_list_has_pages(store: Store, client: FlaskClient) -> None:
    for number in range(60):
        entry = {**played("declined")[0], "session": f"session-{number:02d}"}
        keep(store, [entry])
    first = client.get("/calls/").text
    assert first.count("/calls/session-") == 50
    (following,) = [
        part.partition('"')[0] for part in first.split('href="') if "from=" in part.partition('"')[0]
    ]
    second = client.get(following.replace("&amp;", "&")).text
    assert second.count('href="/calls/session-') == 10
    assert "Latest" in second


def test_where_nothing_is_traced_the_pages_say_how_to_turn_it_on(client: FlaskClient) -> None:
    assert "WEBRTC_EVENTS_CALL_TRACES=full" in client.get("/calls/").text
    answer = client.get("/calls/unknown")
    assert answer.status_code == 404
    assert "WEBRTC_EVENTS_CALL_TRACES=full" in answer.text


def test_a_call_that_is_still_to_come_has_a_page(
    store: Store, environ: dict[str, str], clock: SteppedClock
) -> None:
    settings = Settings.from_environ({**environ, "WEBRTC_EVENTS_CALL_TRACES": "full"})
    client = console(store, settings, clock).test_client()
    answer = client.get("/calls/S-1")
    assert (answer.status_code, "this page shows it as it happens" in answer.text) == (404, True)
    assert client.get("/calls/S-1/-/news?after=").status_code == 204
    keep(store, [{**played("declined")[0], "session": "S-1"}])
    news = client.get("/calls/S-1/-/news?after=").json
    assert news is not None
    assert "session-invitation" in news["parts"]["ladder"]


def test_a_page_shows_the_ladder_and_a_table_of_the_same(client: FlaskClient, session: str) -> None:
    answer = client.get(f"/calls/{session}")
    assert answer.status_code == 200
    ladder, _, table = answer.text.partition("<table")
    for status in ("InProgress", "Ringing", "Declined"):
        assert status in ladder
        assert status in table
    assert "503 · 11 ms" in ladder
    assert "503 · 11 ms, again in 1.0 s" in table


def test_news_are_what_came_since(store: Store, client: FlaskClient) -> None:
    trace = played("declined", [healthy, healthy])
    session = keep(store, trace[:3])
    page = client.get(f"/calls/{session}").text
    cursor = page.partition('data-cursor="')[2].partition('"')[0]
    assert client.get(f"/calls/{session}/-/news?after={cursor}").status_code == 204
    keep(store, trace[3:])
    news = client.get(f"/calls/{session}/-/news?after={cursor}").json
    assert news is not None
    assert set(news["parts"]) == {"facts", "notes", "ladder", "table"}
    assert "Declined" in news["parts"]["ladder"]
    assert client.get(f"/calls/{session}/-/news?after={news['cursor']}").status_code == 204


def test_a_session_may_hold_what_addresses_use_themselves(store: Store, client: FlaskClient) -> None:
    name = 'a/b?c#d "<x>&%2F é'
    keep(store, [{**played("declined")[0], "session": name}])
    page = client.get(f"/calls/{quote(name, safe='')}")
    assert page.status_code == 200
    assert "<x>" not in page.text
    (link,) = entry_links(client, quote(name, safe=""))
    assert client.get(link).status_code == 200
    assert client.get(f"/calls/{quote(name, safe='')}/-/ladder.svg").status_code == 200


def test_personal_data_is_masked_until_it_is_revealed(
    client: FlaskClient, session: str, post: Post, clock: SteppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    def everything() -> str:
        paths = [f"/calls/{session}", f"/calls/{session}/-/trace.json", *entry_links(client, session)]
        return "".join(client.get(path).text for path in paths)

    masked = everything()
    assert [text for text in PERSONAL if text in masked] == []
    assert "masked: audio" in masked
    with caplog.at_level(logging.INFO, "webrtc_events.console.audit"):
        answer = post(f"/calls/{session}/-/reveal")
    assert (answer.status_code, answer.location) == (303, f"/calls/{session}")
    assert "by=local" in caplog.text
    assert session in caplog.text
    shown = everything()
    assert [text for text in PERSONAL if text not in shown] == []
    assert "Carol Lindqvist, sip:carol.lindqvist@example.com" in client.get(f"/calls/{session}").text
    post(f"/calls/{session}/-/hide")
    assert "Carol Lindqvist" not in everything()
    post(f"/calls/{session}/-/reveal")
    clock.sleep(REVEALED_S + 1)
    assert "Carol Lindqvist" not in everything()


def test_another_call_stays_masked(store: Store, client: FlaskClient, session: str, post: Post) -> None:
    other = keep(store, played("no-answer"))
    post(f"/calls/{session}/-/reveal")
    assert "Front desk" not in client.get(f"/calls/{other}/-/trace.json").text


def test_nobody_reveals_without_the_right_to_it_or_from_elsewhere(
    store: Store, settings: Settings, client: FlaskClient, session: str
) -> None:
    class OnlyLooking:
        pages = None

        def enter(self) -> Operator:
            return Operator("guest", may_change=False)

    assert client.post(f"/calls/{session}/-/reveal").status_code == 403
    looking = console(store, settings, SteppedClock(), OnlyLooking()).test_client()
    assert looking.post(f"/calls/{session}/-/reveal").status_code == 403
    page = looking.get(f"/calls/{session}").text
    assert "Reveal" not in page
    assert "masked" in page


def test_an_entry_shows_session_descriptions_by_lines(client: FlaskClient, session: str, post: Post) -> None:
    post(f"/calls/{session}/-/reveal")
    text = client.get(entry_links(client, session)[0]).text
    assert '<span class="sdp-media">m=audio' in text
    assert "\na=rtcp-mux\n" in text
    assert "&#34;originatorName&#34;: &#34;Carol Lindqvist&#34;" in text
    bare = client.get(entry_links(client, session)[0] + "?bare").text
    assert "<html" not in bare
    assert client.get(f"/calls/{session}/-/entries/0000").status_code == 404


def test_of_metadata_the_page_says_what_is_missing(store: Store, client: FlaskClient) -> None:
    session = keep(store, played("declined", full=False), TraceLevel.METADATA)
    assert "only metadata is kept" in client.get(f"/calls/{session}").text
    assert "not kept for this entry" in client.get(entry_links(client, session)[0]).text
    assert json.loads(client.get(f"/calls/{session}/-/trace.json").text)["level"] == "metadata"


def test_files_have_names(client: FlaskClient, session: str) -> None:
    for path, ending, kind in (
        ("ladder.svg", "svg", "image/svg+xml"),
        ("trace.json", "json", "application/json"),
    ):
        answer = client.get(f"/calls/{session}/-/{path}")
        assert answer.headers["Content-Disposition"] == f"attachment; filename=call-{session}.{ending}"
        assert answer.mimetype == kind
    assert client.get("/calls/unknown/-/trace.json").status_code == 404


def test_no_page_holds_script_or_style_of_its_own(client: FlaskClient, session: str) -> None:
    for path in ("/calls/", f"/calls/{session}", entry_links(client, session)[0]):
        text = client.get(path).text
        assert " style=" not in text
        assert "<style" not in text
        assert text.count("<script") == text.count('<script type="module" src="')
