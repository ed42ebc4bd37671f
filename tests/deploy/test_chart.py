"""The Helm chart: what it makes is valid, closed, and says nothing secret."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.conftest import Render
from tests.deploy.tools import CHART, DEPLOY, SETTINGS, run, settings_documented
from tests.harness.documents import ROOT
from webrtc_events.core.settings import Settings

EVERYTHING: dict[str, Any] = {
    "console": {
        "enabled": True,
        "url": "https://console.operator.example",
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "tlsSecret": "console-tls",
            "annotations": {"a": "b"},
        },
    },
    "metrics": {"podMonitor": True},
    "api": {
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "tlsSecret": "events-tls",
            "annotations": {"a": "b"},
        },
        "autoscaling": {"enabled": True},
    },
    "worker": {"autoscaling": {"enabled": True}, "processes": 2},
    "image": {
        "repository": "registry.example/webrtc-events",
        "tag": "0.2.0",
        "pullSecrets": [{"name": "pull"}],
    },
    "networkPolicy": {
        "gateways": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
        "monitoring": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "operators": [{"podSelector": {"matchLabels": {"app": "proxy"}}}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.5/32"}}], "ports": [{"port": 6379}]}],
    },
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "calls", "operator": "Exists"}],
    "podAnnotations": {"team": "calls"},
}
# Variables of gunicorn; all others are settings of the service.
GUNICORNS = {"GUNICORN_CMD_ARGS", "WEB_CONCURRENCY"}
NOTHING: dict[str, Any] = {
    "metrics": {"enabled": False},
    "podDisruptionBudget": {"enabled": False},
    "networkPolicy": {"enabled": False},
    "serviceAccount": {"name": "given"},
    "api": {"replicas": 1},
}


def _of(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """By name, without that of the release."""
    return {
        found["metadata"]["name"].removeprefix("live-"): found for found in objects if found["kind"] == kind
    }


def _containers(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name, deployment in _of(objects, "Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        yield name, pod, container


@pytest.mark.parametrize("values", [{}, EVERYTHING, NOTHING], ids=["least", "everything", "nothing"])
def test_kubernetes_takes_every_object(render: Render, values: dict[str, Any]) -> None:
    objects = render(**values)
    names = [(found["kind"], found["metadata"]["name"]) for found in objects]
    assert len(names) == len(set(names))
    for found in objects:
        if found["kind"] != "PodMonitor":  # Of the Prometheus operator, which brings its schema itself.
            kubernetes_validate.validate(found, "1.37", strict=True)


def test_helm_has_nothing_to_say_of_the_chart(helm: Path, tmp_path: Path) -> None:
    values = tmp_path / "values.json"
    values.write_text(json.dumps({"settings": SETTINGS}))
    done = run(helm, "lint", "--strict", CHART, "--values", values)
    assert (done.returncode, "0 chart(s) failed" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"settings": {}}, "OPENID_CONFIGURATION_URL"),
        ({"settings": {"OPENID_CONFIGURATION_URL": "http://login.example", "SOURCE": "/x"}}, "https"),
        ({"settings": SETTINGS | {"SECRET_KEY": "A" * 43}}, "SECRET_KEY"),
        ({"settings": SETTINGS | {"REDIS_URL": "redis://:secret@store"}}, "REDIS_URL"),
        ({"settings": SETTINGS | {"EGRESS_PROXY_CREDENTIALS": "me:secret"}}, "EGRESS_PROXY_CREDENTIALS"),
        ({"settings": SETTINGS | {"OTEL_EXPORTER_OTLP_HEADERS": "k=secret"}}, "OTEL_EXPORTER_OTLP_HEADERS"),
        ({"settings": SETTINGS, "console": {"enabled": True}}, "/console/url"),
        ({"settings": SETTINGS, "wroker": {}}, "wroker"),
        ({"settings": SETTINGS, "worker": {"replicas": 0}}, "/worker/replicas"),
    ],
)
def test_values_that_cannot_work_are_refused_with_their_name(
    helm: Path, tmp_path: Path, values: dict[str, Any], complaint: str
) -> None:
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values))
    done = run(helm, "template", "live", CHART, "--values", file)
    assert done.returncode != 0
    assert complaint in done.stderr


def test_every_container_is_closed(render: Render) -> None:
    found = list(_containers(render(**EVERYTHING)))
    assert {name for name, _, _ in found} == {"api", "console", "network", "worker"}
    for name, pod, container in found:
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


def test_settings_are_settings_and_secrets_are_files(render: Render) -> None:
    objects = render(**EVERYTHING)
    (data,) = (found["data"] for found in _of(objects, "ConfigMap").values())
    environ = {
        variable["name"] for _, _, container in _containers(objects) for variable in container.get("env", [])
    }
    names = {name.removeprefix("WEBRTC_EVENTS_") for name in {*data, *environ} - GUNICORNS}
    assert {name.removesuffix("_FILE") for name in names} <= settings_documented()
    assert {"SECRET_KEY_FILE", "REDIS_URL_FILE", "CONSOLE_CLIENT_SECRET_FILE"} <= names
    assert _of(objects, "Secret") == {}


def test_settings_of_traces_have_no_prefix(render: Render) -> None:
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
    (data,) = (found["data"] for found in _of(render(settings=SETTINGS | traces), "ConfigMap").values())
    assert traces.items() <= data.items()
    assert traces.keys() <= settings_documented()
    assert not {name for name in data if name.startswith("WEBRTC_EVENTS_OTEL_")}


def test_an_api_is_restarted_for_itself_only_and_serves_when_it_can(render: Render) -> None:
    for name, pod, container in _containers(render(**EVERYTHING)):
        if name == "worker":
            assert "livenessProbe" not in container
            continue
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        if name != "console":
            # preStop, and gunicorn's graceful_timeout.
            stop_s = container["lifecycle"]["preStop"]["sleep"]["seconds"] + 30
            assert pod["terminationGracePeriodSeconds"] > stop_s


def test_gateways_and_applications_have_pods_of_their_own(render: Render) -> None:
    objects = render(**EVERYTHING)
    apis = {
        name: variable["value"]
        for name, _, container in _containers(objects)
        for variable in container.get("env", [])
        if variable["name"] == "WEBRTC_EVENTS_APIS"
    }
    assert apis == {"api": "public", "network": "network"}
    ingress = next(found for name, found in _of(objects, "Ingress").items() if name != "console")
    (rule,) = ingress["spec"]["rules"]
    backends = {path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
    assert backends == {"live-api"}
    assert {path["path"] for path in rule["http"]["paths"]} == {
        "/webrtc-events/",
        "/webrtc-events-subscriptions/",
        "/channels/",
        "/.well-known/jwks.json",
        "/.well-known/client-keys.json",
    }


def test_no_secret_may_be_a_setting_of_the_chart() -> None:
    secrets = {setting.name.upper() for setting in fields(Settings) if setting.metadata["secret"]}
    schema = json.loads((CHART / "values.schema.json").read_text())
    refused = set(schema["properties"]["settings"]["propertyNames"]["not"]["enum"])
    # The paths of files, which hold the keys.
    assert secrets - {"SIGNING_KEYS", "TOKEN_KEYS"} <= refused


def test_applications_come_in_below_the_base_path(render: Render) -> None:
    for given in ("/camara", "/camara/"):
        objects = render(**EVERYTHING, settings=SETTINGS | {"BASE_PATH": given})
        ingress = next(found for name, found in _of(objects, "Ingress").items() if name != "console")
        (rule,) = ingress["spec"]["rules"]
        paths = {path["path"] for path in rule["http"]["paths"]}
        assert paths == {
            "/camara/webrtc-events/",
            "/camara/webrtc-events-subscriptions/",
            "/camara/channels/",
            "/camara/.well-known/jwks.json",
            "/camara/.well-known/client-keys.json",
        }


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://console.operator.example", "console.operator.example", "/"),
        ("https://operator.example:8443/webrtc/console", "operator.example", "/webrtc/console"),
    ],
)
def test_operators_come_in_by_the_url_of_the_console(render: Render, url: str, host: str, path: str) -> None:
    console: dict[str, Any] = {"enabled": True, "url": url}
    assert _of(render(console=console), "Ingress") == {}
    ingress = _of(render(console=console | {"ingress": {"enabled": True, "tlsSecret": "tls"}}), "Ingress")
    spec = ingress["console"]["spec"]
    assert spec["tls"] == [{"hosts": [host], "secretName": "tls"}]
    (rule,) = spec["rules"]
    (found,) = rule["http"]["paths"]
    assert (rule["host"], found["path"], found["pathType"]) == (host, path, "Prefix")
    assert found["backend"]["service"]["name"] == "live-console"


def test_in_a_cluster_of_ipv6_alone_all_listen_there(render: Render) -> None:
    objects = render(**EVERYTHING, listen="::")
    containers = {name: container for name, _, container in _containers(objects)}
    for name in ("api", "network"):
        environ = {variable["name"]: variable["value"] for variable in containers[name]["env"]}
        assert environ["GUNICORN_CMD_ARGS"].split() == ["--bind=[::]:9091", "--worker-tmp-dir=/dev/shm"]
    assert containers["console"]["command"][-2:] == ["--host", "::"]
    (settings,) = (found["data"] for found in _of(objects, "ConfigMap").values())
    assert settings["WEBRTC_EVENTS_METRICS_ADDRESS"] == "[::]:9094"
    assert "0.0.0.0" not in json.dumps([container for _, _, container in _containers(objects)])


def test_the_listener_is_that_of_the_image(render: Render) -> None:
    """But for the address, which the chart has to say."""
    (bound,) = re.findall(r'GUNICORN_CMD_ARGS="([^"]+)"', (ROOT / "Containerfile").read_text())
    for name, _, container in _containers(render()):
        if name in ("api", "network"):
            assert {"name": "GUNICORN_CMD_ARGS", "value": bound} in container["env"]


def test_the_alerts_know_the_jobs_of_the_pods(render: Render) -> None:
    objects = render(**EVERYTHING)
    (monitor,) = _of(objects, "PodMonitor").values()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    (rule,) = endpoint["relabelings"]
    assert rule["targetLabel"] == "job"
    (source,) = rule["sourceLabels"]
    assert source == "__meta_kubernetes_pod_label_app_kubernetes_io_component"
    rules = (DEPLOY / "prometheus" / "alerts.yaml").read_text()
    (pattern,) = set(re.findall(r'job=~"([^"]+)"', rules))
    for name, deployment in _of(objects, "Deployment").items():
        component = deployment["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
        job = rule["replacement"].replace("$1", component)
        assert job == f"webrtc-events-{name}"
        assert re.fullmatch(pattern, job)


def test_every_service_and_policy_finds_its_pods(render: Render) -> None:
    objects = render(**EVERYTHING)
    pods = {
        name: deployment["spec"]["template"]["metadata"]["labels"]
        for name, deployment in _of(objects, "Deployment").items()
    }

    def chosen(selector: dict[str, str]) -> list[str]:
        return [name for name, labels in pods.items() if selector.items() <= labels.items()]

    for name, service in _of(objects, "Service").items():
        assert chosen(service["spec"]["selector"]) == [name]
    for kind in ("PodDisruptionBudget", "NetworkPolicy"):
        key = "selector" if kind == "PodDisruptionBudget" else "podSelector"
        for name, found in _of(objects, kind).items():
            assert chosen(found["spec"][key]["matchLabels"]) == [name]
    for name, scaler in _of(objects, "HorizontalPodAutoscaler").items():
        assert scaler["spec"]["scaleTargetRef"]["name"] == f"live-{name}"
        assert "replicas" not in _of(objects, "Deployment")[name]["spec"], "they would fight"


def test_a_changed_setting_makes_new_pods(render: Render) -> None:
    def sums(objects: list[dict[str, Any]]) -> set[str]:
        return {
            deployment["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
            for deployment in _of(objects, "Deployment").values()
        }

    before, again = sums(render()), sums(render())
    after = sums(render(settings=SETTINGS | {"AUDIENCE": "other"}))
    assert before == again
    assert before.isdisjoint(after)


def test_the_chart_installs_the_release_that_this_is() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == version.partition(".dev")[0]
