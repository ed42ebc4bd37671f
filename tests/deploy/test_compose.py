"""The compose file, as a program for it reads it."""

import re
from typing import Any

import pytest
import yaml

from tests.deploy.tools import DEPLOY, run, settings_documented
from tests.harness.documents import Document

OURS = ("api", "worker", "console")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """What is in the file once it is resolved.

    A dry run asks for no podman, which nothing else here needs.
    """
    done = run(
        "podman-compose", "--dry-run", "--file", DEPLOY / "compose.yaml", "--profile", "console", "config"
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


def test_every_process_is_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"store", *OURS}
    commands = {name: service.get("command") for name, service in compose["services"].items()}
    # The API is what the image runs by itself.
    assert commands["api"] is None
    assert commands["worker"] == ["webrtc-events", "worker"]


def test_our_processes_are_closed(compose: dict[str, Any]) -> None:
    for name in OURS:
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "ports" not in compose["services"]["store"]


def test_settings_are_settings_and_secrets_are_files(compose: dict[str, Any]) -> None:
    for name in OURS:
        environ = compose["services"][name]["environment"]
        names = {setting for setting in environ if setting != "WEB_CONCURRENCY"}
        assert {
            setting.removeprefix("WEBRTC_EVENTS_").removesuffix("_FILE") for setting in names
        } <= settings_documented()
        assert "WEBRTC_EVENTS_SECRET_KEY" not in names
        assert environ["WEBRTC_EVENTS_SECRET_KEY_FILE"] == "/run/secrets/secret-key"


def test_the_store_has_the_directives_of_the_document(compose: dict[str, Any]) -> None:
    _, *command = compose["services"]["store"]["command"]
    directives = {
        name.removeprefix("--"): value for name, value in zip(command[::2], command[1::2], strict=True)
    }
    block = re.search(r"```\n(.*?)```", Document("operations/install.md").section("Store"), re.DOTALL)
    assert block is not None
    documented = dict(line.split() for line in block[1].splitlines())
    # `config` fills in the default of a variable or leaves it as it is, by its release.
    assert directives.pop("maxmemory") in (documented["maxmemory"], "${STORE_MEMORY:-2gb}")
    del documented["maxmemory"]
    assert directives == documented
    assert compose["services"]["store"]["volumes"]
