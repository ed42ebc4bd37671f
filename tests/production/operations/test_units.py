"""The units as systemd itself reads them."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import pytest

from tests.harness.documents import Document
from tests.production.operations.tools import adapted, tool
from tests.production.operations.units import DEPLOY, INSTALLED, SCRIPTS, Unit
from webrtc_events.core.setting_values import secret_keys
from webrtc_events.core.settings import Settings

UNITS = sorted(DEPLOY.glob("*.service"))
# What tells them apart; all else is the same.
OWN = {"Description", "Environment", "ExecStart", "TimeoutStopSec"}
# An adapter beside a gateway has other settings, a queue on disk, and few sockets.
OWN_OF_ADAPTERS = OWN | {
    *("Before", "EnvironmentFile", "KillMode", "LimitNOFILE", "StateDirectory", "StateDirectoryMode")
}


def analyzed(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [tool("systemd", "systemd-analyze"), *arguments]
    environ = os.environ | {"SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)


@pytest.fixture
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy that executes what is installed here."""
    source: Path = request.param
    copy = tmp_path / source.name
    copy.write_text(adapted(source.read_text(), {INSTALLED: str(SCRIPTS)}))
    return copy


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem, indirect=True)
def test_systemd_has_nothing_to_say_of_a_unit(unit: Path) -> None:
    done = analyzed("verify", "--man=no", "--recursive-errors=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem, indirect=True)
def test_a_unit_is_as_closed_as_the_document_says(unit: Path, document: Document) -> None:
    documented = re.search(r"a score of at most (\d)\.(\d)", document.section("Start"))
    assert documented is not None
    done = analyzed("security", "--offline=yes", f"--threshold={documented[1]}{documented[2]}", str(unit))
    assert done.returncode == 0, done.stdout[-200:]
    score = re.search(r"Overall exposure level for \S+: (\d\.\d)", done.stdout)
    assert score is not None, done.stdout


def test_secrets_may_be_credentials(tmp_path: Path) -> None:
    drop_in = DEPLOY / "webrtc-events-credentials.conf"
    for source in UNITS:
        unit = tmp_path / source.name
        unit.write_text(adapted(source.read_text(), {INSTALLED: str(SCRIPTS)}))
        beside = tmp_path / f"{source.name}.d"
        beside.mkdir()
        (beside / "credentials.conf").write_text(drop_in.read_text())
        done = analyzed("verify", "--man=no", "--recursive-errors=no", str(unit))
        assert (done.returncode, done.stderr) == (0, "")
    assert Unit(drop_in).settings().keys() == {"LoadCredential"}


def test_the_credential_of_the_drop_in_is_the_key(tmp_path: Path) -> None:
    """As systemd hands it to a process: a file of that name in $CREDENTIALS_DIRECTORY."""
    name, _, file = Unit(DEPLOY / "webrtc-events-credentials.conf").value("LoadCredential").partition(":")
    assert file == "/etc/webrtc-events/secret-key"
    (tmp_path / name).write_text("A" * 43 + "\n")
    environ = {
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "https://login.example/.well-known/openid-configuration",
    }
    assert Settings.from_environ(environ).secret_key == secret_keys("A" * 43)


def test_all_units_are_confined_alike() -> None:
    settings = dict(zip((path.stem for path in UNITS), _settings(), strict=True))
    adapters = [unit for name, unit in settings.items() if "gateway" in name]
    service = [unit for name, unit in settings.items() if "gateway" not in name]
    first, *others = (_without(OWN, unit) for unit in service)
    assert len(others) == 2
    assert others == [first, first]
    confined = _without(OWN_OF_ADAPTERS, service[0])
    assert [_without(OWN_OF_ADAPTERS, unit) for unit in adapters] == [confined, confined]


def _without(own: Set[str], unit: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in unit.items() if key not in own}


def _settings() -> Iterator[Mapping[str, str]]:
    for path in UNITS:
        yield Unit(path).settings()


def test_the_document_names_every_unit_and_no_other(document: Document) -> None:
    names = {path.stem for path in UNITS}
    pages = (document, Document("operations/console.md"), Document("gateways.md"))
    commands = [line for page in pages for line in page.text.splitlines() if line.startswith("systemctl ")]
    named = {word.strip("'") for line in commands for word in line.split() if "webrtc-events" in word}
    # webrtc-events-network is made by a block of the document.
    kinds = {name.split("@")[0] + ("@" if "@" in name else "") for name in named} - {"webrtc-events-network"}
    assert kinds == names
    installs = [
        line
        for page, section in zip(pages, ("Start", "Console", "Under systemd"), strict=True)
        for line in page.block(section).splitlines()
        if line.startswith("install ")
    ]
    assert set(re.findall(r"deploy/(\S+)", " ".join(installs))) == {path.name for path in UNITS}
