"""openapi-python-client makes clients of our documents: mypy accepts them, and one calls a service."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.conftest import Server

HERE = Path(__file__).parent
SPEC = HERE.parents[2] / "spec"
DOCUMENTS = ("webrtc-events", "webrtc-events-subscriptions", "network-events", "channels")
# It formats with the ruff that it finds.
_ENVIRON = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
_BOUND_S = 300
# client.py is the same for every document; it hands all that it is given on to httpx's `__exit__`.
_MYPY = """
[mypy]
strict = True
[mypy-generated_client.client]
disable_error_code = arg-type
"""


def run(*arguments: str, folder: Path, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=_ENVIRON | environ,
        capture_output=True,
        text=True,
        timeout=_BOUND_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def generated(document: Path, folder: Path) -> str:
    """A client of the document, as the package `generated_client` in the folder; what the generator said."""
    return run(
        *("-m", "openapi_python_client", "generate", "--path", str(document)),
        *("--output-path", str(folder / "generated_client"), "--meta", "none", "--fail-on-warning"),
        folder=folder,
    )


def checked(folder: Path, *files: str) -> str:
    (folder / "mypy.ini").write_text(_MYPY, encoding="utf-8")
    # What it knows of httpx is for all tests.
    cache = ("--cache-dir", str(folder.parent / "mypy"))
    return run("-m", "mypy", *cache, *files, folder=folder)


def without_other_media_types(folder: Path) -> Path:
    """The gateways' document, with one event a request only."""
    document: dict[str, Any] = yaml.safe_load((SPEC / "network-events.yaml").read_text(encoding="utf-8"))
    content = document["paths"]["/events"]["post"]["requestBody"]["content"]
    for name in ("application/json", "application/cloudevents-batch+json"):
        del content[name]
    (folder / "network-events.json").write_text(json.dumps(document), encoding="utf-8")
    return folder / "network-events.json"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_document_makes_a_client_that_type_checks(name: str, tmp_path: Path) -> None:
    """But for the batches of gateways: see below."""
    document = without_other_media_types(tmp_path) if name == "network-events" else SPEC / f"{name}.yaml"
    generated(document, tmp_path)
    checked(tmp_path, "generated_client")


def test_it_subscribes_lists_and_deletes(serve: Server, tmp_path: Path) -> None:
    generated(SPEC / "webrtc-events.yaml", tmp_path)
    shutil.copy(HERE / "use_python.py", tmp_path)
    checked(tmp_path, "use_python.py")
    answers = json.loads(
        run("use_python.py", folder=tmp_path, API=serve.api, TOKEN=serve.tokens[0], SINK=serve.sink)
    )
    assert answers == {
        "created": 201,
        "found": "generated",
        "status": "ACTIVE",
        "settings": {"headers": {"x-tenant": "blue"}},
        "deleted": 204,
        "missing": "NOT_FOUND",
    }


def test_it_subscribes_to_a_device_renews_and_lists_a_page(serve: Server, tmp_path: Path) -> None:
    generated(SPEC / "webrtc-events-subscriptions.yaml", tmp_path)
    shutil.copy(HERE / "use_python_devices.py", tmp_path)
    checked(tmp_path, "use_python_devices.py")
    answers = json.loads(
        run("use_python_devices.py", folder=tmp_path, API=serve.api, TOKEN=serve.tokens[0], SINK=serve.sink)
    )
    assert int(answers.pop("count")) >= 1
    assert answers == {
        "created": 201,
        "found": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
        "types": 3,
        "status": "ACTIVE",
        "settings": {"headers": {"x-tenant": "blue"}},
        "renewed": True,
        "page": 1,
        "deleted": 204,
        "missing": "NOT_FOUND",
    }


def test_gateways_must_choose_a_media_type(tmp_path: Path) -> None:
    """For an array of anything the generator writes an `isinstance` that Python refuses.

    If this fails, it no longer does: take the whole document above, and correct docs/clients.md.
    """
    generated(SPEC / "network-events.yaml", tmp_path)
    fault = r"publish_events\.py.*cannot be used with class or instance checks"
    with pytest.raises(AssertionError, match=fault):
        checked(tmp_path, "generated_client")
