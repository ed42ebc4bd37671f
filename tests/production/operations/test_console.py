"""docs/operations.md, "Console": its unit, from the settings to a page."""

from pathlib import Path

import pytest
import requests

from tests.harness.documents import Document
from tests.harness.issuer import Issuer
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import eventually, free_port
from tests.production.operations.conftest import Configure, ConfiguredValkey
from tests.production.operations.tools import adapted, run_block
from tests.production.operations.units import DEPLOY, Unit, started
from webrtc_events.console.login import SCOPE
from webrtc_events.core.settings import Settings

UNIT = DEPLOY / "webrtc-events-console.service"


def at(port: int, directory: Path) -> Unit:
    """The unit, on another port."""
    copy = directory / UNIT.name
    copy.write_text(
        adapted(UNIT.read_text(), {"webrtc-events console": f"webrtc-events console --port {port}"})
    )
    return Unit(copy)


@pytest.mark.slow
@pytest.mark.parametrize("confined", [False, True], ids=["free", "confined as by the unit"])
def test_the_unit_serves_pages_until_it_is_stopped(
    tmp_path: Path,
    configured_valkey: ConfiguredValkey,
    issuer: Issuer,
    sink: RecordingSink,
    configure: Configure,
    *,
    confined: bool,
) -> None:
    settings = configure(tmp_path, configured_valkey.url, issuer, sink)
    port = free_port()
    with started(at(port, tmp_path), tmp_path, settings, confined=confined):
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: requests.get(f"{url}/readyz", timeout=5).ok, "the console is ready", every_s=0.1)
        assert "There is no subscription yet." in requests.get(f"{url}/subscriptions/", timeout=5).text


@pytest.mark.slow
def test_the_documented_login_is_asked_for(
    tmp_path: Path,
    document: Document,
    configured_valkey: ConfiguredValkey,
    issuer: Issuer,
    sink: RecordingSink,
    configure: Configure,
) -> None:
    settings = configure(tmp_path, configured_valkey.url, issuer, sink)
    block = document.block("Console", 1).partition("systemctl")[0]
    run_block(adapted(block, {"/etc/webrtc-events": str(settings.parent)}), tmp_path)
    issuer.documents["/.well-known/openid-configuration"] = lambda: {
        "issuer": issuer.url,
        "jwks_uri": f"{issuer.url}/jwks",
        "authorization_endpoint": f"{issuer.url}/authorize",
        "token_endpoint": f"{issuer.url}/token",
    }
    port = free_port()
    with started(at(port, tmp_path), tmp_path, settings), requests.Session() as browser:
        browser.headers.update({"Host": "console.operator.example", "Accept": "text/html"})
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: browser.get(f"{url}/readyz", timeout=5).ok, "the console is ready", every_s=0.1)
        answer = browser.get(f"{url}/login/", timeout=5, allow_redirects=False)
        assert answer.headers["Location"].startswith(f"{issuer.url}/authorize?")
        assert "client_id=webrtc-events-console" in answer.headers["Location"]


def test_the_document_names_the_scope_the_port_and_the_redirect_address(document: Document) -> None:
    section = document.section("Console")
    assert f"`{SCOPE}`" in section
    assert "port 9093" in section
    assert "https://console.operator.example/login/done" in section
    names = {name.upper() for name in Settings.__dataclass_fields__ if name.startswith("console_")}
    assert all(f"WEBRTC_EVENTS_{name}=" in document.block("Console", 1) for name in names)
