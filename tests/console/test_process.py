"""`webrtc-events console` as a process: its start, its end, and where it refuses to listen."""

import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.harness.authority import Authority
from tests.harness.builders import created
from tests.harness.commands import Running, clean_environ, eventually, run
from tests.harness.scrapes import scrape
from tests.harness.valkeys import free_port
from webrtc_events.store.store import Store

LOGIN = {
    "WEBRTC_EVENTS_CONSOLE_URL": "https://console.example",
    "WEBRTC_EVENTS_CONSOLE_CLIENT_ID": "operator-console",
}
Start = Callable[..., Running]


def ready(console: Running) -> str:
    """Where it listens."""
    console.await_output("Listening at")
    found = re.search(r"Listening at: (http://\S+)", console.output)
    assert found is not None

    def answers() -> bool:
        try:
            return requests.get(f"{found[1]}/readyz", timeout=5).ok
        except (requests.ConnectionError, requests.Timeout):
            return False

    eventually(answers)
    return found[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal(
    start: Start, environ: dict[str, str], store: Store, number: signal.Signals
) -> None:
    made = created(store)
    console = start("console", "--port", "0", env=environ)
    url = ready(console)
    assert requests.get(f"{url}/healthz", timeout=5).json() == {"status": "ok"}
    assert requests.get(f"{url}/readyz", timeout=5).json()["checks"] == {"store": {"status": "ok"}}
    page = requests.get(f"{url}/subscriptions/{made.id}", timeout=5)
    assert (page.status_code, made.id in page.text) == (200, True)
    assert console.stop(number) == 0
    assert not re.search("Traceback|Logging error|WARNING|ERROR", console.output)


def test_its_metrics_are_at_an_address_that_nothing_else_uses(
    start: Start, environ: dict[str, str], store: Store
) -> None:
    address = f"127.0.0.1:{free_port()}"
    console = start("console", "--port", "0", env=environ | {"WEBRTC_EVENTS_METRICS_ADDRESS": address})
    url = ready(console)
    assert requests.get(f"{url}/subscriptions/", timeout=5).ok
    assert requests.get(f"{url}/nothing", timeout=5).status_code == 404
    assert requests.get(f"{url}/metrics", timeout=5).status_code == 404
    found = scrape(f"http://{address}/metrics")
    assert found("processes", process="console") == 1
    assert found("http_requests_total", operation="other", api="", status="404") == 2
    assert found("http_requests_total", operation="other", api="", status="200") >= 2
    assert found("store_call_seconds_count") > 0
    assert console.stop() == 0
    assert "Traceback" not in console.output


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_without_a_login_it_listens_on_loopback_only(environ: dict[str, str], host: str) -> None:
    done = run("console", "--host", host, "--port", "0", env=clean_environ() | environ)
    assert done.returncode == 1
    assert f"listens on loopback only, not on {host}".encode() in done.stderr
    assert b"WEBRTC_EVENTS_CONSOLE_URL" in done.stderr


def test_with_a_login_it_listens_elsewhere_and_its_health_needs_none(
    start: Start, environ: dict[str, str]
) -> None:
    console = start("console", "--host", "0.0.0.0", "--port", "0", env=environ | LOGIN)
    url = ready(console).replace("0.0.0.0", "127.0.0.1")
    headers = {"Host": "console.example", "Accept": "text/html"}
    answer = requests.get(f"{url}/subscriptions/", headers=headers, timeout=5, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"][:7]) == (302, "/login/")
    assert console.stop() == 0


def test_it_is_below_the_path_of_its_url(start: Start, environ: dict[str, str]) -> None:
    """Whether the proxy takes that path off or not; probes come to the process itself."""
    below = LOGIN | {"WEBRTC_EVENTS_CONSOLE_URL": "https://operator.example/webrtc/console/"}
    console = start("console", "--port", "0", env=environ | below)
    url = ready(console)
    headers = {"Host": "operator.example", "Accept": "text/html"}
    for path in ("/webrtc/console/subscriptions/", "/subscriptions/"):
        answer = requests.get(f"{url}{path}", headers=headers, timeout=5, allow_redirects=False)
        place = "/webrtc/console/login/?path=/subscriptions/"
        assert (answer.status_code, answer.headers["Location"]) == (302, place)
    for path in ("/webrtc/console", "/webrtc/console/"):
        answer = requests.get(f"{url}{path}", headers=headers, timeout=5, allow_redirects=False)
        assert answer.headers["Location"] == "/webrtc/console/login/?path=/"
    assert requests.get(f"{url}/webrtc/consoles", headers=headers, timeout=5).status_code != 200
    assert console.stop() == 0


def test_it_speaks_tls_itself(
    start: Start, environ: dict[str, str], tmp_path: Path, authority: Authority
) -> None:
    both = authority.certificate(tmp_path / "console.pem", "127.0.0.1")
    key, certificate = tmp_path / "key.pem", tmp_path / "chain.pem"
    found = re.findall(r"-----BEGIN [^-]+-----.*?-----END [^-]+-----\n", both.read_text(), re.DOTALL)
    key.write_text("".join(pem for pem in found if "KEY" in pem))
    certificate.write_text("".join(pem for pem in found if "KEY" not in pem))
    for arguments in (["--certfile", both], ["--certfile", certificate, "--keyfile", key]):
        console = start("console", "--port", "0", *map(str, arguments), env=environ)
        console.await_output("Listening at: https://127.0.0.1:")
        port = re.findall(r"Listening at: https://127.0.0.1:(\d+)", console.output)[-1]
        page = f"https://127.0.0.1:{port}/subscriptions/"
        eventually(lambda: _answers(page, authority))  # noqa: B023 (called at once)
        assert requests.get(page, verify=str(authority.ca_file), timeout=5).status_code == 200
        with pytest.raises(requests.ConnectionError):
            requests.get(page.replace("https", "http"), timeout=5)
        assert console.stop() == 0
        assert "Traceback" not in console.output


def _answers(page: str, authority: Authority) -> bool:
    try:
        return requests.get(page, verify=str(authority.ca_file), timeout=5).ok
    except requests.ConnectionError:
        return False


@pytest.fixture
def authority() -> Iterator[Authority]:
    found = Authority()
    yield found
    found.close()


def test_a_certificate_that_cannot_be_read_is_said_at_once(environ: dict[str, str], tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    garbled = tmp_path / "garbled.pem"
    garbled.write_text("no certificate")
    for arguments, said in (
        (["--certfile", nothing], f"in {nothing}: [Errno 2]"),
        (["--certfile", garbled], f"in {garbled}: "),
        (["--keyfile", garbled], "name that by --certfile"),
    ):
        done = run("console", "--port", "0", *map(str, arguments), env=clean_environ() | environ)
        assert done.returncode == 1
        assert said in done.stderr.decode()
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken_is_said_at_once(environ: dict[str, str], host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("console", "--host", host, "--port", str(port), env=clean_environ() | environ)
    assert done.returncode == 1
    assert f"port {port}: Address already in use; choose others".encode() in done.stderr
    assert b"gunicorn" not in done.stderr


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"WEBRTC_EVENTS_CONSOLE_URL": "http://console.example"}, "CONSOLE_URL must be an https URL"),
        ({"WEBRTC_EVENTS_CONSOLE_URL": "https://console.example/ops?x=1"}, "must be scheme, host and path"),
        ({"WEBRTC_EVENTS_CONSOLE_URL": "https://console.example/calls"}, "must have a path such as /console"),
        ({"WEBRTC_EVENTS_CONSOLE_CLIENT_ID": "x"}, "must be set together"),
        ({"WEBRTC_EVENTS_CONSOLE_URL": "https://console.example"}, "must be set together"),
    ],
)
def test_half_a_login_does_not_start(environ: dict[str, str], wrong: dict[str, str], named: str) -> None:
    done = run("console", "--port", "0", env=clean_environ() | environ | wrong)
    assert done.returncode == 2
    assert named in done.stderr.decode()


def test_a_store_that_is_away_is_said_and_not_ready(environ: dict[str, str]) -> None:
    away = environ | {"WEBRTC_EVENTS_REDIS_URL": "redis://127.0.0.1:9/0"}
    done = run("console", "--port", "0", env=clean_environ() | away)
    assert done.returncode == 1
    assert b"WEBRTC_EVENTS_REDIS_URL" in done.stderr
    assert b"Traceback" not in done.stderr
