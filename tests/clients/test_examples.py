"""Each example of a consumer does what its README says, by the commands that stand there."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.examples import Example
from tests.harness.commands import Running, eventually
from tests.harness.documents import ROOT

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


def test_calls_are_audited_though_the_process_is_killed(
    start_serve: Serve, make_key: MakeKey, make_example: MakeExample
) -> None:
    start_serve(WEBRTC_EVENTS_SIGNING_KEYS=make_key("signing"))
    example = make_example("call-audit")
    example.start()
    subscribe, first, second, report = example.try_block.splitlines()
    example.shell(subscribe)
    example.shell(first.replace("--speed 10", "--speed 30"))
    example.stop(signal.SIGKILL)
    example.start()
    example.shell(second.replace("--speed 10", "--speed 30"))

    def reported() -> list[str] | None:
        lines = example.shell(report).splitlines()
        return lines if len(lines) == 2 and lines[1].endswith("Busy") else None

    answered, busy = eventually(reported)
    assert re.search(r"tel:\+12025550143 -> tel:\+12025550178  answered  Terminated$", answered)
    assert re.search(r"tel:\+12025550143 -> tel:\+12025550178  not answered  Busy$", busy)
    # The subscription is made once, however often somebody asks for it.
    example.shell(subscribe)


@pytest.mark.parametrize("name", ["consumer-flask", "consumer-fastapi", "consumer-django", "call-audit"])
def test_the_readme_starts_the_service_with_a_key(name: str, tmp_path: Path, data: Path) -> None:
    example = Example(name, data, tmp_path)
    make_key, start = example.start_block.splitlines()
    example.shell(f"cd {tmp_path}\n{make_key}\ntest -s signing.pem")
    assert start == "WEBRTC_EVENTS_SIGNING_KEYS=$PWD/signing.pem webrtc-events serve"
    readme = (ROOT / "examples" / name / "README.md").read_text(encoding="utf-8")
    assert "webrtc-events-client" in readme
