"""Settings of files: which of several sources wins, and what is said of a source that is no good."""

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from tests.core.test_settings import LEAST
from webrtc_events.core.setting_files import MAX_SECRET_BYTES, MAX_SETTINGS_BYTES
from webrtc_events.core.settings import PREFIX, Settings, SettingsError

CONFIG = f"{PREFIX}CONFIG"
KEY = f"{PREFIX}SECRET_KEY"
ISSUER = "https://issuer.example/.well-known/openid-configuration"
OTHER_KEY = "B" * 42 + "A"


def faults(environ: Mapping[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ(environ)
    return caught.value.faults


def configured(directory: Path, text: str, **environ: str) -> dict[str, str]:
    file = directory / "settings.toml"
    file.write_text(text)
    return {CONFIG: str(file)} | {PREFIX + name: value for name, value in environ.items()}


def test_a_file_has_every_kind_of_setting(tmp_path: Path) -> None:
    text = f"""
    # All that a deployment decides.
    openid_configuration_url = "{ISSUER}"
    "secret_key" = ["{OTHER_KEY}", "{"A" * 43}"]
    partitions = 16
    next = true
    sink_validation = true
    sink_validation_origin = 'events.operator.example'
    sink_allowed_networks = [
      "10.0.0.0/8",  # the operator's
      "fd00::/8",
    ]
    sink_ports = [443, "8000-8999"]
    cors_origins = []
    apis = "public"
    """
    settings = Settings.from_environ(configured(tmp_path, text))
    assert settings.openid_configuration_url == ISSUER
    assert len(settings.secret_key) == 2
    assert settings.partitions == 16
    assert settings.next
    assert settings.sink_validation
    assert list(map(str, settings.sink_allowed_networks)) == ["10.0.0.0/8", "fd00::/8"]
    assert 8001 in settings.sink_ports
    assert settings.cors_origins == frozenset()
    assert settings.apis == {"public"}


def test_the_environment_wins_over_a_credential_and_that_over_the_file(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for name in ("AUDIENCE", "PARTITIONS"):
        (credentials / f"{PREFIX}{name}").write_text("17\n")
    (credentials / "tls.key").write_text("not ours")
    environ = configured(
        tmp_path, 'audience = "a file"\npartitions = 18\nattempts = 18\n', PARTITIONS="16"
    ) | {"CREDENTIALS_DIRECTORY": str(credentials)}
    settings = Settings.from_environ(LEAST | environ)
    assert (settings.partitions, settings.audience, settings.attempts) == (16, "17", 18)
    assert settings.dead_letters == 1000


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_any_setting_may_stand_in_a_file_with_or_without_a_line_end(tmp_path: Path, end: str) -> None:
    key, url = tmp_path / "key", tmp_path / "url"
    key.write_bytes(f"{OTHER_KEY}{end}".encode())
    url.write_bytes(b"\xef\xbb\xbfredis://:p%0aw@store/1" + end.encode())
    least = {name: text for name, text in LEAST.items() if name != KEY}
    settings = Settings.from_environ(least | {f"{KEY}_FILE": str(key), f"{PREFIX}REDIS_URL_FILE": str(url)})
    assert settings.secret_key == Settings.from_environ(LEAST | {KEY: OTHER_KEY}).secret_key
    assert settings.redis_url.password == "p\nw"


def test_a_file_of_settings_names_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(OTHER_KEY)
    least = {name: text for name, text in LEAST.items() if name != KEY}
    settings = Settings.from_environ(least | configured(tmp_path, 'secret_key_file = "key"'))
    assert settings.secret_key == Settings.from_environ(LEAST | {KEY: OTHER_KEY}).secret_key


def test_no_setting_has_the_name_of_anothers_file() -> None:
    names = {setting.name for setting in fields(Settings)}
    assert not names & {f"{name}_file" for name in names}


def test_one_setting_in_two_ways_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(OTHER_KEY)
    both = f"{KEY} and {KEY}_FILE are both set: keep one of them"
    assert faults(LEAST | {f"{KEY}_FILE": str(tmp_path / "key")}) == [both]
    environ = configured(tmp_path, f'\nsecret_key_file = "key"\nsecret_key = "{OTHER_KEY}"\n')
    place = f"{tmp_path}/settings.toml:2"
    assert faults(LEAST | environ) == [
        f"{place}: secret_key and secret_key_file are both set: keep one of them"
    ]


def test_a_bad_value_is_reported_with_its_line(tmp_path: Path) -> None:
    text = '''audience = """
partitions = 3
"""
partitions = 0
sink_allowed_networks = ["10.0.0.1/8"]
next = 2024-05-01
[attempts]
most = 3
'''
    place = f"{tmp_path}/settings.toml"
    found = faults(LEAST | configured(tmp_path, text))
    assert {fault.partition(" ")[0] for fault in found} == {f"{place}:{line}:" for line in (4, 5, 6, 7)}
    assert f"{place}:4: partitions must be a whole number of at least 1" in found
    assert f"{place}:7: attempts must be one value: the file has no tables" in found


def test_what_contradicts_itself_is_reported_with_both_places(tmp_path: Path) -> None:
    environ = configured(tmp_path, "\noutbox_bytes = 65536", EVENT_BYTES="70000")
    assert faults(LEAST | environ) == [
        f"{tmp_path}/settings.toml:2: outbox_bytes must be at least {PREFIX}EVENT_BYTES, 70000"
    ]


def test_an_unknown_name_is_reported_with_the_nearest_one(tmp_path: Path) -> None:
    text = 'AUDIENCE = "x"\nWEBRTC_EVENTS_PARTITIONS = 3\nwebrtc_events_redis = ""\nzzz = 1\ndata_dir = "x"\n'
    environ = configured(tmp_path, text, PARTITION="1", SECRET_KEYS_FILE="x", SERVICE_HOST="10.0.0.1")
    place = f"{tmp_path}/settings.toml"
    assert set(faults(LEAST | environ)) == {
        f"{PREFIX}PARTITION is not a setting; did you mean {PREFIX}PARTITIONS?",
        f"{PREFIX}SECRET_KEYS_FILE is not a setting; did you mean {PREFIX}SECRET_KEY_FILE?",
        (
            f"{PREFIX}SERVICE_HOST is not a setting: Kubernetes sets it for a Service called webrtc-events; "
            "use enableServiceLinks: false"
        ),
        f"{place}:1: AUDIENCE is not a setting; did you mean audience?",
        f"{place}:2: WEBRTC_EVENTS_PARTITIONS is not a setting; did you mean partitions?",
        f"{place}:3: webrtc_events_redis is not a setting; did you mean redis_url?",
        f"{place}:4: zzz is not a setting",
        f"{place}:5: data_dir has no place in a file: set {PREFIX}DATA_DIR",
    }


def test_of_a_file_that_is_another_one_the_first_names_are_reported(tmp_path: Path) -> None:
    environ = configured(tmp_path, "\n".join(f"key_{number} = 1" for number in range(10_000)))
    place = f"{tmp_path}/settings.toml"
    assert faults(LEAST | environ) == [
        *(f"{place}:{number + 1}: key_{number} is not a setting" for number in range(20)),
        f"{place}: 9,980 more names are no settings: is it the file that was meant?",
    ]


def test_a_credential_of_no_setting_is_reported(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}SECRET_KEYS").write_text("x")
    environ = LEAST | {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    hint = f"{PREFIX}SECRET_KEYS is not a setting; did you mean {KEY}?"
    assert faults(environ) == [f"{tmp_path}/{PREFIX}SECRET_KEYS: {hint}"]
    gone = {"CREDENTIALS_DIRECTORY": str(tmp_path / "gone")}
    assert faults(LEAST | gone) == [
        f"CREDENTIALS_DIRECTORY: {tmp_path}/gone cannot be read: No such file or directory"
    ]


def make(directory: Path, kind: str, max_bytes: int) -> Path:
    file = directory / kind
    match kind:
        case "empty":
            file.touch()
        case "directory":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "large":
            file.write_bytes(b"#" * (max_bytes + 1))
        case "Latin-1":
            file.write_bytes("# ü".encode("latin-1"))
        case "unreadable":
            # Which root cannot read either.
            file.symlink_to("/proc/self/mem")
        case "endless":
            file.symlink_to("/dev/zero")
        case "loop":
            file.symlink_to(file)
    return file


KINDS = {
    "missing": "there is no such file: make it, or name another",
    "empty": "the file is empty: write ",
    "directory": "it is a directory: name a file in it",
    "pipe": "it is no regular file: name one",
    "endless": "it is no regular file: name one",
    "large": " bytes: it is hardly the one that was meant",
    "Latin-1": "the file is not UTF-8 from byte 2 on: save it as UTF-8",
    "unreadable": "it cannot be read (Input/output error): check its path and who may read it",
    "loop": "it cannot be read (Too many levels of symbolic links): check its path and who may read it",
}


@pytest.mark.parametrize(("kind", "message"), KINDS.items())
def test_a_file_that_is_no_good_is_named_with_what_to_do(tmp_path: Path, kind: str, message: str) -> None:
    file = make(tmp_path, kind, MAX_SETTINGS_BYTES)
    [fault] = faults(LEAST | {CONFIG: str(file)})
    assert fault.startswith(f"{file}: ")
    assert message in fault
    assert fault.endswith(f"(--config or {CONFIG} names it)")


@pytest.mark.parametrize(("kind", "message"), KINDS.items())
def test_a_secrets_file_that_is_no_good_is_named_with_what_to_do(
    tmp_path: Path, kind: str, message: str
) -> None:
    file = make(tmp_path, kind, MAX_SECRET_BYTES)
    least = {name: text for name, text in LEAST.items() if name != KEY}
    [fault] = faults(least | {f"{KEY}_FILE": str(file)})
    assert fault.startswith(f"{KEY}_FILE: {file}: ")
    assert message in fault


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a = "\n', ":1"),
        ("\n\nredis_url = redis://:hidden@store\n", ":3"),
        ('audience = "x"\naudience = "y"\n', ":2"),
        ("[[[[", ":1"),
        ("x = " + "[" * 100_000, ""),
        ('secret_key = "hidden', ""),
        ("\x00", ":1"),
        ("a\rb = 1", ":1"),
    ],
)
def test_damage_is_reported_with_its_line_and_without_a_value(tmp_path: Path, text: str, line: str) -> None:
    environ = configured(tmp_path, text)
    [fault] = faults(LEAST | environ)
    assert fault.startswith(f"{tmp_path}/settings.toml{line}: the file ")
    assert "hidden" not in fault


def test_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_bytes(b"\xef\xbb\xbfpartitions = 3\r\nattempts = 0\r\n")
    [fault] = faults(LEAST | {CONFIG: str(tmp_path / "settings.toml")})
    assert fault.startswith(f"{tmp_path}/settings.toml:2: attempts ")


def test_a_value_in_place_of_a_files_name_is_not_repeated() -> None:
    least = {name: text for name, text in LEAST.items() if name != KEY}
    [fault] = faults(least | {f"{KEY}_FILE": OTHER_KEY})
    assert OTHER_KEY not in fault
    pem = "-----BEGIN PRIVATE KEY-----\nhidden\n-----END PRIVATE KEY-----\n"
    assert faults(LEAST | {f"{PREFIX}SIGNING_KEYS": pem}) == [
        f"{PREFIX}SIGNING_KEYS must name PEM files, and holds a key itself"
    ]
    [fault] = faults(LEAST | {f"{PREFIX}SIGNING_KEYS": "h" * 5000})
    assert fault == f"{PREFIX}SIGNING_KEYS names a file that does not exist, as number 1"


def test_an_empty_name_is_no_file_of_settings() -> None:
    assert Settings.from_environ(LEAST | {CONFIG: ""}).partitions == 64
    assert faults(LEAST | {f"{PREFIX}AUDIENCE_FILE": ""}) == [f"{PREFIX}AUDIENCE_FILE must name a file"]
