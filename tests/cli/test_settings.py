"""`webrtc-events settings`, and `--config` of the commands that read settings."""

import json
import os
import re
import string
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner, Result
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.cli.operators import in_terminal
from tests.core.test_settings import LEAST
from tests.harness.commands import COMMAND, clean_environ
from tests.harness.documents import ROOT
from webrtc_events.cli.main import main
from webrtc_events.core.settings import PREFIX, Settings

# What processes of this test run have.
CLEAN: dict[str, str | None] = {name: None for name in os.environ if name.startswith(PREFIX)}


def run(*words: str, environ: Mapping[str, str] = LEAST) -> Result:
    return CliRunner().invoke(main, ["settings", *words], env=CLEAN | dict(environ), catch_exceptions=False)


def shown(result: Result) -> dict[str, Any]:
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return {row["name"].removeprefix(PREFIX): row for row in rows}


def test_every_setting_is_shown_with_where_it_comes_from(tmp_path: Path) -> None:
    file, password = tmp_path / "s.toml", tmp_path / "client-secret"
    file.write_text('# ours\nsink_allowed_networks = ["10.0.0.0/8", "fd00::/8"]\naudience = "file"\n')
    password.write_text("hidden\n")
    environ = LEAST | {
        f"{PREFIX}AUDIENCE": "environment",
        f"{PREFIX}CONSOLE_CLIENT_SECRET_FILE": str(password),
        f"{PREFIX}REDIS_URL": "redis+sentinel://u:hidden@h:1,h2/events/3?sentinel_password=hidden",
    }
    result = run("--json", "--config", str(file), environ=environ)
    assert result.exit_code == 0, result.output
    rows = shown(result)
    assert rows.keys() == {setting.name.upper() for setting in fields(Settings)}
    assert {name: (row["value"], row["source"], row["place"]) for name, row in rows.items()} | {
        "AUDIENCE": ("environment", "environment", "environment"),
        "SINK_ALLOWED_NETWORKS": ("10.0.0.0/8,fd00::/8", "file", f"{file}:2"),
        "CONSOLE_CLIENT_SECRET": ("set", "secret file", str(password)),
        "SECRET_KEY": ("set", "environment", "environment"),
        "SIGNING_KEYS": ("not set", "default", "default"),
        "PARTITIONS": ("64", "default", "default"),
        "REDIS_URL": (
            "redis+sentinel://***@h:1,h2/events/3?sentinel_password=***",
            "environment",
            "environment",
        ),
    } == {name: (row["value"], row["source"], row["place"]) for name, row in rows.items()}
    table = run("--config", str(file), environ=environ).stdout.splitlines()
    assert table[0].split() == ["NAME", "VALUE", "FROM"]
    assert len(table) == len(rows) + 1
    [line] = [line for line in table if line.startswith(f"{PREFIX}SINK_ALLOWED_NETWORKS ")]
    assert line.split() == [f"{PREFIX}SINK_ALLOWED_NETWORKS", "10.0.0.0/8,fd00::/8", f"{file}:2"]


def test_wrong_settings_are_shown_and_named_and_end_with_2(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("partitions = 0\n")
    result = run("--json", "--config", str(file), environ={})
    assert result.exit_code == 2
    assert shown(result)["PARTITIONS"]["value"] == "not valid"
    assert shown(result)["OPENID_CONFIGURATION_URL"]["value"] == "not set"
    assert f"{file}:1: partitions must be a whole number" in result.stderr
    assert f"{PREFIX}SECRET_KEY must be set: 32 bytes" in result.stderr
    checked = run("--check", "--config", str(file), environ={})
    assert (checked.exit_code, checked.stdout) == (2, "")
    assert checked.stderr == result.stderr


def test_a_check_of_right_settings_ends_with_0() -> None:
    assert (run("--check").exit_code, run("--check").stdout) == (0, "The settings are right.\n")
    assert run("--check", "--json").stdout == ""


def test_a_value_of_several_lines_stays_one_row() -> None:
    environ = LEAST | {f"{PREFIX}AUDIENCE": "a\nb\x1b[2J"}
    assert len(run(environ=environ).stdout.splitlines()) == len(fields(Settings)) + 1
    assert "\x1b" not in run(environ=environ).stdout
    assert shown(run("--json", environ=environ))["AUDIENCE"]["value"] == "a\nb\x1b[2J"


# Of letters only some that no six of them are a part of a word.
PASSWORDS = st.text(st.sampled_from(string.punctuation + string.digits + "QXZqxz"), min_size=8, max_size=20)
SECRETS = {
    "SECRET_KEY": "{}",
    "CONSOLE_CLIENT_SECRET": "{}",
    "SIGNING_KEYS": "{}",
    "REDIS_URL": "redis://user:{}@store:6379/0",
    "OPENID_CONFIGURATION_URL": "https://user:{}@issuer.example/x?code={}",
    "CONSOLE_URL": "https://user:{}@console.example",
    "CHANNELS_URL": "https://user:{}@channels.example/v0",
    "CORS_ORIGINS": "https://user:{}@app.example",
    "SOURCE": "https://user:{}@source.example",
}
PLACES = ["environment", "file", "key"]


@given(
    password=PASSWORDS,
    quoted=st.booleans(),
    name=st.sampled_from(sorted(SECRETS)),
    place=st.sampled_from(PLACES),
)
# Python says what is wrong between the brackets of an address, and repeats it.
@example(password="[s3cr3t-pw]", quoted=False, name="CONSOLE_URL", place="environment")
@example(password="[s3cr3t-pw]", quoted=False, name="OPENID_CONFIGURATION_URL", place="environment")
# What follows its `&` looks like another name.
@example(password="00&0000=", quoted=False, name="OPENID_CONFIGURATION_URL", place="environment")
def test_no_secret_is_printed_wherever_it_stands(
    tmp_path_factory: pytest.TempPathFactory, password: str, quoted: bool, name: str, place: str
) -> None:
    """Nor what is wrong with it, nor the rest of it where it is not written as it must be."""
    text = SECRETS[name].replace("{}", quote(password, safe="") if quoted else password)
    directory = tmp_path_factory.mktemp("settings")
    given_in: dict[str, str] = {}
    match place:
        case "environment":
            given_in = {PREFIX + name: text}
        case "file":
            (directory / "s.toml").write_text(f"{name.lower()} = {json.dumps(text)}\n")
            given_in = {f"{PREFIX}CONFIG": str(directory / "s.toml")}
        case "key":
            (directory / "key").write_text(text)
            given_in = {f"{PREFIX}{name}_FILE": str(directory / "key")}
    environ = {variable: value for variable, value in LEAST.items() if variable != PREFIX + name} | given_in
    outputs = [run(*words, environ=environ).output for words in ((), ("--json",), ("--check",))]
    pieces = {password, quote(password, safe="")} | {password[at : at + 6] for at in range(len(password) - 5)}
    known = run("--json", environ=LEAST).output + "".join(SECRETS.values())
    for piece in pieces:
        assume(piece not in known)
        assert not [output for output in outputs if piece in output], (piece, outputs)


def test_all_commands_that_read_settings_take_a_file_of_them() -> None:
    def takes(command: Any, words: list[str]) -> dict[str, bool]:
        if hasattr(command, "commands"):
            found: dict[str, bool] = {}
            for name, inner in command.commands.items():
                found |= takes(inner, [*words, name])
            return found
        return {" ".join(words): any(option.name == "config" for option in command.params)}

    # Adapters beside gateways have no settings of the service.
    found = {name: does for name, does in takes(main, []).items() if not name.startswith("gateway ")}
    without = {name for name, does in found.items() if not does}
    # Of these only the data directory is asked for, or nothing.
    local = {"demo", "token", "publish", "listen", "forward", "simulate"}
    assert without == local | {"new-key", "stubs"}


@pytest.mark.parametrize(
    "command",
    [
        ["dead-letters", "list"],
        ["damaged", "list"],
        ["pseudonym", "x"],
        ["worker"],
        ["serve", "--port", "0", "--sink-port", "0"],
        ["sink"],
    ],
)
def test_a_command_says_what_is_wrong_with_its_file(tmp_path: Path, command: list[str]) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    words = [str(Path(sys.executable).parent / "webrtc-events"), *command, "--config", "gone.toml"]
    environ["XDG_DATA_HOME"] = str(tmp_path)
    done = subprocess.run(words, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"{tmp_path}/gone.toml: there is no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_files_of_the_document_are_right(tmp_path: Path) -> None:
    document = (ROOT / "docs" / "settings.md").read_text()
    [block] = re.findall(r"(?s)```toml\n(.*?)```", document)
    (tmp_path / "secret-key").write_text(LEAST[f"{PREFIX}SECRET_KEY"])
    file = tmp_path / "settings.toml"
    file.write_text(block.replace("/run/secrets/", ""))
    result = run("--json", "--config", str(file), environ={})
    assert result.exit_code == 0, result.output
    rows = shown(result)
    assert rows["SECRET_KEY"]["value"] == "set"
    assert rows["SINK_ALLOWED_NETWORKS"]["source"] == "file"


@pytest.mark.parametrize("options", [["--json"], ["--show"], ["--check"]])
def test_a_full_disk_is_one_line(options: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "settings", *options],
            stdout=full,
            stderr=subprocess.PIPE,
            env=clean_environ() | dict(LEAST),
        )
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line == "Error: it cannot be written: No space left on device. Make room, and run it again"


def test_in_a_terminal_a_row_that_is_too_wide_goes_on_in_the_next_line() -> None:
    far = f"{PREFIX}CHANNELS_URL"
    text = in_terminal(dict(LEAST) | {far: "https://h.example/a/channels/v0"}, "settings")
    lines = text.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[lines.index(far) + 1] == "    https://h.example/a/channels/v0  environment"
    assert sum(line.startswith((PREFIX, "OTEL_")) for line in lines) == len(fields(Settings))
