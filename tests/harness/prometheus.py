"""A Prometheus of Debian's package, with this project's rules, which watches one target."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.harness.commands import eventually
from tests.harness.documents import ROOT
from tests.harness.valkeys import free_port
from tests.production.operations.tools import tool

__all__ = ["Prometheus", "prometheus"]

_RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
_FOR = re.compile(r"^( +for:) \w+$", re.MULTILINE)
_CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s, scrape_timeout: 1s}}
rule_files: [alerts.yaml]
scrape_configs:
  - job_name: webrtc-events
    static_configs: [{{targets: ["{target}"]}}]
"""


class Prometheus:
    """That runs. `url`: of its API."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self.log = log

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:
            return json.load(answer)["data"]

    def rules(self) -> dict[str, dict[str, Any]]:
        """The alert rules by their names, as it evaluated them last."""
        groups = self.ask("/api/v1/rules?type=alert")["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    def firing(self) -> set[str]:
        return {name for name, rule in self.rules().items() if rule["state"] == "firing"}

    def is_ready(self) -> bool:
        """Whether it has scraped its target, and evaluated each rule."""
        try:
            targets = self.ask("/api/v1/targets?state=active")["activeTargets"]
            rules = self.rules().values()
        except OSError:
            return False
        return [target["health"] for target in targets] == ["up"] and all(
            rule["health"] == "ok" for rule in rules
        )


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """With the rules in deploy/, but that each alert fires after 2 s. It evaluates every second."""
    program = tool("prometheus", "prometheus")
    folder.mkdir()
    (folder / "alerts.yaml").write_text(_FOR.sub(r"\1 2s", _RULES.read_text()))
    config = folder / "prometheus.yml"
    config.write_text(_CONFIG.format(target=target))
    address, log = f"127.0.0.1:{free_port()}", folder / "prometheus.log"
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
    try:
        found = Prometheus(f"http://{address}", log)

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            return found.is_ready()

        eventually(ready, 60)
        yield found
    finally:
        process.terminate()
        process.wait(30)
