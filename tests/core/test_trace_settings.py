"""The settings of traces: OpenTelemetry's names, read as all others."""

from pathlib import Path

import pytest

from tests.core.test_settings import LEAST
from webrtc_events.core.setting_display import shown_settings
from webrtc_events.core.settings import Settings, SettingsError, given_texts

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def faults(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ(LEAST | {ENDPOINT: "http://collector:4318"} | environ)
    return caught.value.faults


def test_there_are_no_traces_unless_somebody_asks() -> None:
    assert not Settings.from_environ(LEAST).traces
    asked = LEAST | {ENDPOINT: "http://collector:4318"}
    assert Settings.from_environ(asked).traces
    assert not Settings.from_environ(asked | {"OTEL_TRACES_EXPORTER": "none"}).traces
    assert not Settings.from_environ(asked | {"OTEL_SDK_DISABLED": "True"}).traces
    assert Settings.from_environ(asked | {"OTEL_SDK_DISABLED": "false"}).traces


def test_one_that_is_empty_is_not_set() -> None:
    names = (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_TRACES_SAMPLER",
        "OTEL_SERVICE_NAME",
        "OTEL_TRACES_SAMPLER_ARG",
    )
    assert Settings.from_environ(LEAST | dict.fromkeys(names, "")) == Settings.from_environ(LEAST)


def test_without_a_collector_all_that_begins_with_otel_is_for_others() -> None:
    """A platform may set the same for all its programs."""
    for others in ({"OTEL_TRACES_EXPORTER": "console"}, {"OTEL_TRACES_SAMPLER": "jaeger_remote"}):
        assert not Settings.from_environ(LEAST | others).traces


def test_what_else_begins_with_otel_is_for_others() -> None:
    more = {"OTEL_PYTHON_LOG_LEVEL": "x", "OTEL_EXPORTER_OTLP_TIMEOUT": "3", "OTEL_METRICS_EXPORTER": "none"}
    assert Settings.from_environ(LEAST | more) == Settings.from_environ(LEAST)


def test_a_prefix_before_such_a_name_is_an_error_that_names_the_right_one() -> None:
    assert faults(WEBRTC_EVENTS_OTEL_EXPORTER_OTLP_ENDPOINT="http://x:1") == [
        f"WEBRTC_EVENTS_OTEL_EXPORTER_OTLP_ENDPOINT is not a setting; did you mean {ENDPOINT}?"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "collector:4318",
        "grpc://collector:4317",
        "http://",
        "http://u:p@h",
        "http://h?x=1",
        "http://h:x",
        "http://h:0",
    ],
)
def test_what_is_no_url_of_a_collector_is_refused_with_its_place(text: str) -> None:
    assert faults(**{ENDPOINT: text}) == [
        f"{ENDPOINT} must be an http or https URL without credentials, such as http://collector:4318"
    ]


@pytest.mark.parametrize("text", ["1.1", "-0.1", "nan", "all", "1e9"])
def test_a_share_is_from_0_to_1(text: str) -> None:
    assert faults(OTEL_TRACES_SAMPLER_ARG=text) == [
        "OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, such as 0.01 for one trace of a hundred"
    ]


def test_headers_are_read_as_the_specification_writes_them_and_never_shown() -> None:
    environ = LEAST | {
        ENDPOINT: "http://collector:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20s3cret, x-tenant = a,authorization=b%2Cc",
    }
    settings = Settings.from_environ(environ)
    assert settings.otel_exporter_otlp_headers == (("authorization", "b,c"), ("x-tenant", "a"))
    assert "b,c" not in repr(settings)
    shown = {setting.name: setting.value for setting in shown_settings(given_texts(environ)[0])}
    assert shown["OTEL_EXPORTER_OTLP_HEADERS"] == "set"
    for wrong in ("s3cret", "a b=s3cret", "=s3cret", "a=s3cret%0d%0ax: y"):
        (fault,) = faults(OTEL_EXPORTER_OTLP_HEADERS=wrong)
        assert "s3cret" not in fault


def test_they_may_stand_where_all_settings_may(tmp_path: Path) -> None:
    secret, config, credentials = tmp_path / "headers", tmp_path / "s.toml", tmp_path / "credentials"
    secret.write_text("api-key=k\n")
    credentials.mkdir()
    (credentials / "OTEL_SERVICE_NAME").write_text("of-the-unit\n")
    (credentials / "OTEL_OF_OTHERS").write_text("x\n")
    config.write_text(
        'otel_exporter_otlp_endpoint = "https://c.example"\notel_resource_attributes = ["a=1", "b=2"]\n'
        "otel_traces_sampler_arg = 2\n"
    )
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS_FILE": str(secret),
        "CREDENTIALS_DIRECTORY": str(credentials),
        "WEBRTC_EVENTS_CONFIG": str(config),
    }
    (fault,) = faults(**environ)
    assert fault.startswith(f"{config}:3: otel_traces_sampler_arg must be a number")
    settings = Settings.from_environ(LEAST | environ | {"OTEL_TRACES_SAMPLER_ARG": "0.5"})
    assert settings.otel_exporter_otlp_headers == (("api-key", "k"),)
    assert settings.otel_service_name == "of-the-unit"
    assert settings.otel_resource_attributes == (("a", "1"), ("b", "2"))
    assert settings.otel_exporter_otlp_endpoint == "https://c.example"


def test_traces_come_last_where_settings_are_shown() -> None:
    names = [setting.name for setting in shown_settings({})]
    assert names[0] == "WEBRTC_EVENTS_REDIS_URL"
    assert names[-1].startswith("OTEL_")
    assert [name for name in names if name.startswith("OTEL_")] == names[-8:]
