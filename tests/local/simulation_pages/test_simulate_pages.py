"""The section Simulate of the console: forms, what is wrong with them, and what goes on."""

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Blueprint
from flask.testing import FlaskClient

from tests.harness.clocks import SteppedClock
from tests.local.simulation.gateway_side import GatewaySide, SteppedStop, gateway_side
from webrtc_events.console.access import MachineAccess
from webrtc_events.console.console_app import ConsoleOptions, console_app
from webrtc_events.console.section import Section
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.simulation.progress import State
from webrtc_events.local.simulation.simulations import Simulations
from webrtc_events.local.simulation_pages.pages import blueprint
from webrtc_events.local.simulation_pages.subscriber import Subscriber


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def side(clock: SteppedClock) -> Iterator[GatewaySide]:
    with gateway_side(clock) as side:
        yield side


@pytest.fixture
def simulations(side: GatewaySide, clock: SteppedClock) -> Simulations:
    return Simulations(side.url, HttpClient, clock, lambda: SteppedStop(clock))


def _console(simulations: Simulations, *others: Section) -> FlaskClient:
    # Nobody listens there.
    subscriber = Subscriber("http://127.0.0.1:9/webrtc-events/v0.2", HttpClient)
    pages = blueprint(simulations, subscriber, None, "https://localhost:9443")
    options = ConsoleOptions(session_key=b"k" * 32, access=MachineAccess())
    return console_app(options, [Section("Simulate", "simulate.index", pages), *others]).test_client()


@pytest.fixture
def console(simulations: Simulations) -> FlaskClient:
    return _console(simulations)


@pytest.fixture
def token(console: FlaskClient) -> str:
    match = re.search(r'<meta name="csrf-token" content="([^"]+)">', console.get("/simulate/").text)
    assert match is not None
    return match[1]


Play = Callable[..., str]


@pytest.fixture
def play(console: FlaskClient, simulations: Simulations, token: str) -> Play:
    """Starts a simulation by the form, and awaits its end; returns its id."""

    def start(**form: str) -> str:
        answer = console.post("/simulate/", data={"csrf_token": token, "speed": "max", **form})
        assert answer.status_code == 303, answer.text
        (run, *_) = simulations.recent()
        assert answer.location == f"/simulate/?like={run.id}"
        assert simulations.wait(run.id, 30)
        return run.id

    return start


def _value(page: str, name: str) -> str:
    """The value of an input, or the chosen option of a select."""
    given = re.search(rf'<input [^>]*name="{re.escape(name)}"[^>]* value="([^"]*)"', page)
    if given is None:
        field = page.split(f'name="{name}"')[1].split("</select>")[0]
        given = re.search(r'<option value="([^"]*)" selected>', field)
    assert given is not None
    return given[1]


def test_a_call_is_played_as_the_form_says(play: Play, simulations: Simulations, side: GatewaySide) -> None:
    name = play(outcome="declined", receiver_name="Zoë", seed="7")
    run = simulations.progress(name)
    assert run is not None
    assert (run.state, run.accepted) == (State.FINISHED, 4)
    assert {event["data"]["receiverName"] for _, event in side.events} == {"Zoë"}


def test_what_goes_on_is_shown(play: Play, console: FlaskClient, side: GatewaySide) -> None:
    side.rejected = {0}
    play(outcome="declined", receiver_name="<b>Bob</b>")
    for page in (console.get("/simulate/runs").text, console.get("/simulate/").text):
        assert "→ &lt;b&gt;Bob&lt;/b&gt;, declined" in page
        assert "events accepted 3 of 4" in page
        assert "failed 1" in page
        assert "an event was rejected: data: is not right" in page
        assert '<progress max="4" value="4"' in page


def test_form_is_filled_as_it_was(play: Play, console: FlaskClient) -> None:
    name = play(outcome="busy", originator_address="sip:a@example.com", seed="9", calls="2", rate="50")
    page = console.get(f"/simulate/?like={name}").text
    shown = {
        field: _value(page, field) for field in ("outcome", "originator_address", "seed", "calls", "rate")
    }
    assert shown == {
        "outcome": "busy",
        "originator_address": "sip:a@example.com",
        "seed": "9",
        "calls": "2",
        "rate": "50",
    }


def test_form_of_a_recorded_call_keeps_the_fields_of_a_composed_one(play: Play, console: FlaskClient) -> None:
    page = console.get(f"/simulate/?like={play(call='answered')}").text
    assert _value(page, "call") == "answered"
    assert _value(page, "receiver_address") == "tel:+12025550178"
    # What it is for can be subscribed to.
    assert _value(page, "config.subscriptionDetail.registrationId") == "96eozbrct6g2kw7ybh538sbv"


def test_each_field_that_is_wrong_says_why_and_keeps_its_value(
    console: FlaskClient, simulations: Simulations, token: str
) -> None:
    form = {"csrf_token": token, "originator_address": 'a"<b>', "calls": "0", "ringing_s": "x"}
    answer = console.post("/simulate/", data=form)
    assert answer.status_code == 400
    assert "3 fields cannot be as given." in answer.text
    assert answer.text.count('aria-invalid="true"') == 3
    assert "must be a whole number, 1 to 10,000" in answer.text
    assert 'value="a&#34;&lt;b&gt;"' in answer.text
    assert simulations.recent() == []


def test_a_running_one_is_stopped(
    console: FlaskClient, simulations: Simulations, side: GatewaySide, token: str
) -> None:
    side.open.clear()
    console.post("/simulate/", data={"csrf_token": token})
    (run,) = simulations.recent()
    assert f'action="/simulate/runs/{run.id}/stop"' in console.get("/simulate/runs").text
    answer = console.post(f"/simulate/runs/{run.id}/stop", headers={"X-CSRF-Token": token})
    assert answer.status_code == 303
    side.open.set()
    assert simulations.wait(run.id, 30)
    page = console.get("/simulate/runs").text
    assert '<span class="pill fair">stopped</span>' in page
    assert "/stop" not in page


def test_more_than_may_run_is_said(console: FlaskClient, side: GatewaySide, token: str) -> None:
    side.open.clear()
    for _ in range(5):
        console.post("/simulate/", data={"csrf_token": token})
    assert "4 simulations are running" in console.get("/simulate/").text
    side.open.set()


@pytest.mark.parametrize("path", ["/simulate/", "/simulate/runs/x/stop", "/simulate/subscribe"])
def test_a_change_comes_from_a_page_of_the_console(console: FlaskClient, path: str) -> None:
    assert console.post(path).status_code == 403


def test_an_unknown_simulation_is_not_found(console: FlaskClient, token: str) -> None:
    answer = console.post("/simulate/runs/unheard/stop", data={"csrf_token": token})
    assert answer.status_code == 404
    assert console.get("/simulate/?like=unheard").status_code == 200


def test_an_api_that_does_not_answer_is_said(console: FlaskClient, token: str) -> None:
    answer = console.post("/simulate/subscribe", data={"csrf_token": token, "sink": "https://localhost/"})
    assert answer.status_code == 303
    assert "is `webrtc-events serve` running?" in console.get("/simulate/").text


def test_a_session_leads_to_its_call_where_the_console_has_one(
    simulations: Simulations, play: Play, console: FlaskClient
) -> None:
    name = play(session="m/1", calls="1")
    assert (
        "<a data-key"
        not in console.get("/simulate/runs").text.split("Session</summary>")[1].split("</ul>")[0]
    )
    calls = Blueprint("calls", __name__, url_prefix="/calls")
    calls.add_url_rule("/<path:session>", "call", lambda session: session)
    page = _console(simulations, Section("Calls", "simulate.index", calls)).get("/simulate/runs").text
    assert 'href="/calls/m/1"' in page
    assert name in page


def test_page_is_small_and_loads_nothing_from_elsewhere(console: FlaskClient) -> None:
    answer = console.get("/simulate/")
    assert len(answer.data) < 20_000
    files = re.findall(r'<(?:link|script)[^>]*(?:src|href)="([^"]*)"', answer.text)
    assert {file for file in files if "simulate" in file} == {
        "/simulate/static/simulate.css",
        "/simulate/static/simulate.js",
    }
    for file in files:
        assert file.startswith("/")
        with console.get(file) as found:
            assert found.status_code == 200
    assert "style=" not in answer.text
    assert "onclick" not in answer.text
