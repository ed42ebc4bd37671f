"""docs/operations/console.md: its unit and its proxy, from the settings to a page."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import trustme

from tests.harness.documents import Document
from tests.harness.issuer import Issuer
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import eventually, free_port
from tests.production.operations.conftest import Configure, ConfiguredValkey
from tests.production.operations.proxy import AROUND, nginx
from tests.production.operations.tools import adapted, run_block
from tests.production.operations.units import DEPLOY, Unit, started
from webrtc_events.console.login import SCOPE
from webrtc_events.core.settings import Settings

DOCUMENT = Document("operations/console.md")
PROXY = DEPLOY / "nginx-console.conf"
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


@pytest.fixture
def with_login(
    tmp_path: Path,
    configured_valkey: ConfiguredValkey,
    issuer: Issuer,
    sink: RecordingSink,
    configure: Configure,
) -> Iterator[int]:
    """The port of a console with the settings of the document's login."""
    settings = configure(tmp_path, configured_valkey.url, issuer, sink)
    block = DOCUMENT.block("Console", 1).partition("systemctl")[0]
    run_block(adapted(block, {"/etc/webrtc-events": str(settings.parent)}), tmp_path)
    issuer.documents["/.well-known/openid-configuration"] = lambda: {
        "issuer": issuer.url,
        "jwks_uri": f"{issuer.url}/jwks",
        "authorization_endpoint": f"{issuer.url}/authorize",
        "token_endpoint": f"{issuer.url}/token",
    }
    port = free_port()
    with started(at(port, tmp_path), tmp_path, settings):
        ready = f"http://127.0.0.1:{port}/readyz"
        eventually(lambda: requests.get(ready, timeout=5).ok, "the console is ready", every_s=0.1)
        yield port


@pytest.mark.slow
def test_the_documented_proxy_leads_to_the_documented_login(
    tmp_path: Path, issuer: Issuer, with_login: int
) -> None:
    folder, port, name = tmp_path / "nginx", free_port(), "console.operator.example"
    (folder / "temporary").mkdir(parents=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate = authority.issue_cert(name, "localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "console.pem"))
    changes = {
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        "    listen [::]:443 ssl http2;\n": "",
        "/etc/nginx/tls/console.key": str(folder / "console.pem"),
        "/etc/nginx/tls/console.pem": str(folder / "console.pem"),
        "allow 10.20.0.0/16;": "allow 127.0.0.1;",
        "127.0.0.1:9093": f"127.0.0.1:{with_login}",
    }
    (folder / "webrtc-events.conf").write_text(adapted(PROXY.read_text(), changes))
    with nginx(folder, AROUND, port), requests.Session() as browser:
        browser.trust_env, browser.verify = False, str(folder / "ca.pem")
        url = f"https://localhost:{port}"
        browser.headers.update({"Host": name, "Accept": "text/html"})
        first = browser.get(f"{url}/subscriptions/", timeout=5, allow_redirects=False)
        assert first.headers["Location"] == "/login/?path=/subscriptions/"
        assert first.headers["Strict-Transport-Security"]
        login = browser.get(f"{url}{first.headers['Location']}", timeout=5, allow_redirects=False)
        assert login.headers["Location"].startswith(f"{issuer.url}/authorize?")
        query = parse_qs(urlsplit(login.headers["Location"]).query)
        assert query["client_id"] == ["webrtc-events-console"]
        assert query["redirect_uri"] == [f"https://{name}/login/done"]
        assert login.headers["Set-Cookie"].startswith("__Host-")
        assert browser.get(f"{url}/_static/console.css", timeout=5).status_code == 200


def test_the_document_names_the_scope_the_port_and_the_redirect_address() -> None:
    section = DOCUMENT.section("Console")
    assert f"`{SCOPE}`" in section
    assert "port 9093" in section
    assert "https://console.operator.example/login/done" in section
    names = {name.upper() for name in Settings.__dataclass_fields__ if name.startswith("console_")}
    assert all(f"WEBRTC_EVENTS_{name}=" in DOCUMENT.block("Console", 1) for name in names)
