"""Each example of a consumer does what its README says, by the commands that stand there."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.examples import Example
from tests.harness.commands import Running, eventually
from tests.harness.documents import ROOT
from webrtc_events.local.demo.http_client import HttpClient
from webrtc_events.local.endpoints import Endpoints

Serve = Callable[..., Running]
MakeKey = Callable[[str], str]
MakeExample = Callable[[str], Example]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("consumer-flask", marks=pytest.mark.slow),
        pytest.param("consumer-fastapi", marks=pytest.mark.slow),
        "consumer-django",
    ],
)
def test_an_invitation_is_printed(
    name: str, start_serve: Serve, make_key: MakeKey, make_example: MakeExample
) -> None:
    start_serve(WEBRTC_EVENTS_SIGNING_KEYS=make_key("signing"))
    example = make_example(name)
    example.start()
    # The call goes on for half a minute; what is printed comes at its beginning.
    example.shell(example.try_block.replace("simulate", "simulate --speed max"))
    eventually(lambda: "1 tel:+12025550143 calls" in example.output)
    assert "Traceback" not in example.output


def play(example: Example, command: str, api: HttpClient, data: Path, file: Path) -> None:
    """The call of a `simulate` command, but not faster than the example subscribes to it."""
    call = [json.loads(line) for line in example.shell(f"{command} --print").splitlines()]
    session = call[0]["data"]["mediaSessionId"]

    def publish(events: list[Any]) -> None:
        file.write_text("".join(json.dumps(event) + "\n" for event in events))
        example.shell(f"webrtc-events publish --keep-ids {file}")

    def is_subscribed() -> bool:
        listed = api.expect({200}, "GET", f"{Endpoints.read(data).public}/subscriptions").json()
        details = [subscription["config"]["subscriptionDetail"] for subscription in listed]
        return session in [detail.get("sessionId") for detail in details]

    publish(call[:1])
    eventually(is_subscribed)
    publish(call[1:])


def test_calls_are_audited_though_the_process_is_killed(
    start_serve: Serve,
    make_key: MakeKey,
    make_example: MakeExample,
    api: HttpClient,
    data: Path,
    tmp_path: Path,
) -> None:
    start_serve(WEBRTC_EVENTS_SIGNING_KEYS=make_key("signing"))
    example = make_example("call-audit")
    example.start()
    subscribe, first, second, report = example.try_block.splitlines()
    example.shell(subscribe)
    play(example, first, api, data, tmp_path / "first.ndjson")
    example.stop(signal.SIGKILL)
    example.start()
    play(example, f"{second} --seed 2", api, data, tmp_path / "second.ndjson")

    def reported() -> list[str] | None:
        lines = sorted(example.shell(report).splitlines(), key=lambda line: line.rpartition(" ")[2])
        return lines if [line.rpartition(" ")[2] for line in lines] == ["Busy", "Terminated"] else None

    # An event that the killed process was handling is left to it for a minute, and comes again after that.
    busy, answered = eventually(reported, 180)
    assert re.search(r"tel:\+12025550143 -> tel:\+12025550178  answered  Terminated$", answered)
    assert re.search(r"tel:\+12025550143 -> tel:\+12025550178  not answered  Busy$", busy)
    # The subscription is made once, however often somebody asks for it.
    before = len(api.expect({200}, "GET", f"{Endpoints.read(data).public}/subscriptions").json())
    example.shell(subscribe)
    assert len(api.expect({200}, "GET", f"{Endpoints.read(data).public}/subscriptions").json()) == before


@pytest.mark.slow
def test_calls_are_audited_as_the_readme_plays_them(
    start_serve: Serve, make_key: MakeKey, make_example: MakeExample
) -> None:
    start_serve(WEBRTC_EVENTS_SIGNING_KEYS=make_key("signing"))
    example = make_example("call-audit")
    example.start()
    example.shell(example.try_block)
    report = example.try_block.splitlines()[-1]
    eventually(
        lambda: example.shell(report).count("Terminated\n") == example.shell(report).count("Busy\n") == 1
    )


@pytest.mark.parametrize("name", ["consumer-flask", "consumer-fastapi", "consumer-django", "call-audit"])
def test_the_readme_starts_the_service_with_a_key(name: str, tmp_path: Path, data: Path) -> None:
    example = Example(name, data, tmp_path)
    make_key, start = example.start_block.splitlines()
    example.shell(f"cd {tmp_path}\n{make_key}\ntest -s signing.pem")
    assert start == "WEBRTC_EVENTS_SIGNING_KEYS=$PWD/signing.pem webrtc-events serve"
    readme = (ROOT / "examples" / name / "README.md").read_text(encoding="utf-8")
    assert "webrtc-events-client" in readme
