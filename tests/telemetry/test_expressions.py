"""Every expression in deploy/ is one of what a running service exposes, and every alert is written down."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.commands import COMMAND, Running, clean_environ, eventually
from tests.harness.documents import ROOT, Document
from tests.harness.scrapes import Scrape, metrics_url, parsed, scrape
from tests.harness.valkeys import ValkeyServer
from tests.production.operations.tools import tool
from tests.telemetry.expressions import faults, metrics_of
from webrtc_events.telemetry.families import FAMILIES

PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
UNITS = {"s", "none", "ops", "reqps", "bytes", "percentunit"}
SEVERITIES = {"page", "ticket"}


def rules() -> dict[str, dict[str, object]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            yield f"{path.stem}: {panel['title']}", panel


def expressions() -> dict[str, str]:
    found = {name: str(rule["expr"]) for name, rule in rules().items()}
    for name, panel in panels():
        for target in panel["targets"]:
            found[f"{name} {target['refId']}"] = target["expr"]
    return found


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scrape]:
    """What a `serve` exposes that has played a call, on a store with a watermark; and an adapter."""
    folder = tmp_path_factory.mktemp("exposed")
    server = ValkeyServer(folder / "store", options={"maxmemory": "100mb"})
    server.start()
    server.wait_ready()
    environ = {"WEBRTC_EVENTS_REDIS_URL": server.url, "WEBRTC_EVENTS_METRICS_ADDRESS": "127.0.0.1:0"}
    data = ("--data-dir", str(folder / "data"))
    serve = Running(folder / "serve.log", "serve", "--port", "0", "--sink-port", "0", *data, env=environ)
    try:
        serve.await_output("is ready")
        subprocess.run([*COMMAND, "demo", *data], env=clean_environ(), check=True, capture_output=True)
        url = metrics_url(lambda: serve.output)
        assert url is not None
        eventually(lambda: "store_memory_watermark_bytes" in scrape(url).names)
        of_serve, of_adapter = scrape(url), adapter(folder)
        yield Scrape(of_adapter.values | of_serve.values, of_adapter.types | of_serve.types)
    finally:
        serve.stop()
        server.kill()


def adapter(folder: Path) -> Scrape:
    """That of Kamailio: it has what that of Janus has, and how long its gateway is silent."""
    service = ("--service", "http://127.0.0.1:9", "--token-url", "http://127.0.0.1:9/token", "--owner", "a")
    listeners = ("--evapi", "127.0.0.1:9", "--metrics-address", "127.0.0.1:0")
    queue = ("--queue", str(folder / "queue"))
    running = Running(folder / "adapter.log", "gateway", "kamailio", *queue, *service, *listeners)
    try:
        running.await_output("Takes what the Kamailio")
        url = metrics_url(lambda: running.output)
        assert url is not None
        return scrape(url)
    finally:
        running.stop()


def test_every_family_of_the_table_is_exposed(exposed: Scrape) -> None:
    found = {re.sub("_(bucket|sum|count)$", "", name) for name in exposed.names}
    assert found == FAMILIES.keys()


def test_every_expression_asks_for_what_is_exposed(exposed: Scrape) -> None:
    found = {name: list(faults(expression, exposed)) for name, expression in expressions().items()}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_what_is_asked_for_in_vain_is_found() -> None:
    exposed = parsed(
        'webrtc_events_retries_total{reason="dns"} 1\nwebrtc_events_http_requests_total{status="200"} 1\n'
    )
    wrong = {
        "webrtc_events_retrys_total": "webrtc_events_retrys_total is not exposed",
        'webrtc_events_retries_total{type="dns"}': "webrtc_events_retries_total has no label type",
        'webrtc_events_retries_total{reason="nds"}': "webrtc_events_retries_total has no reason=nds",
        'webrtc_events_retries_total{reason=~"a|b"}': "webrtc_events_retries_total has no reason=~a|b",
        "sum by (host) (rate(webrtc_events_retries_total[5m]))": "retries_total cannot be grouped by host",
        'absent(webrtc_events_http_requests_total{status="2xx"})': (
            "webrtc_events_http_requests_total has no status=2xx"
        ),
    }
    assert {expression: list(faults(expression, exposed)) for expression in wrong} == {
        expression: [fault] for expression, fault in wrong.items()
    }
    right = (
        'sum by (reason) (rate(webrtc_events_retries_total{reason!="tls"}[5m])) / 2 > 1 or up{job="x"} == 0'
    )
    assert list(faults(right, exposed)) == []


def test_every_metric_is_on_a_dashboard() -> None:
    shown = {
        re.sub("_(bucket|sum|count)$", "", metric)
        for name, expression in expressions().items()
        if name not in rules()
        for metric in metrics_of(expression)
    }
    assert shown == FAMILIES.keys()


def test_every_alert_has_a_section_that_says_what_it_means_where_to_look_and_what_to_do() -> None:
    document = Document("operations/alerts.md")
    sections = re.findall(r"^## (\w+)$", document.text, re.MULTILINE)
    assert sections == list(rules())
    for name, rule in rules().items():
        section = document.section(name)
        starts = re.findall(r"^\*\*(.+?)\*\*: \S", section, re.MULTILINE)
        assert starts == ["Means", "Look at", "Do"], name
        assert f"`{rule['labels']['severity']}`." in section.splitlines()[2], name


def test_every_alert_says_who_is_to_look_and_what_is_wrong() -> None:
    for name, rule in rules().items():
        assert name.startswith("WebrtcEvents")
        assert rule["labels"]["severity"] in SEVERITIES
        assert rule["annotations"]["summary"].endswith("."), name


def test_panels_have_a_unit_a_description_and_a_place() -> None:
    places: dict[str, list[tuple[int, int, int, int]]] = {}
    for name, panel in panels():
        assert panel["description"].endswith("."), name
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, name
        grid = panel["gridPos"]
        places.setdefault(name.partition(":")[0], []).append((grid["x"], grid["y"], grid["w"], grid["h"]))
    for found in places.values():
        assert len(set(found)) == len(found)
        assert all(x + w <= 24 for x, _, w, _ in found)


def test_dashboards_have_names_and_ask_whose_data_to_show() -> None:
    boards = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert [board["uid"] for board in boards] == [f"webrtc-events-{path.stem}" for path in DASHBOARDS]
    for board in boards:
        assert [variable["type"] for variable in board["templating"]["list"]] == ["datasource"]
        assert "DS_PROMETHEUS" not in json.dumps(board)


def promtool(*arguments: str) -> None:
    command = [tool("prometheus", "promtool"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules_and_the_configuration() -> None:
    promtool("check", "rules", str(PROMETHEUS / "alerts.yaml"))
    promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))


def test_alerts_fire_when_they_should_and_not_before() -> None:
    cases = Path(__file__).with_name("alerts.test.yaml")
    promtool("test", "rules", str(cases))
    tested = {
        case["alertname"]
        for test in yaml.safe_load(cases.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert tested == rules().keys()
