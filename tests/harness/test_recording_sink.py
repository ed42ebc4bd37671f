"""What tests rely on of their sinks."""

import socket
import ssl
import threading

import pytest

from tests.harness import sinks
from tests.harness.sinks import RecordingSink


class UsedThreeTimes(set[int]):
    """Says of the first three ports that some sink had them."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def __contains__(self, port: object) -> bool:
        assert isinstance(port, int)
        self.asked.append(port)
        return len(self.asked) <= 3


def test_a_port_that_a_sink_had_is_not_that_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was for the one would come to the other."""
    used = UsedThreeTimes()
    monkeypatch.setattr(sinks, "_used_ports", used)
    with RecordingSink() as sink:
        assert len(set(used.asked)) == 4
        assert sink.port == used.asked[3]
        for port in used.asked[:3]:
            socket.create_server(("127.0.0.1", port)).close()


def test_a_sink_that_hangs_up_takes_nothing_encrypted_for_a_request() -> None:
    """The peer's last words may still be unread then."""
    left, read = threading.Event(), threading.Event()
    heard: list[bytes] = []

    def hang_up_and_read(connection: ssl.SSLSocket) -> None:
        left.wait(5)
        sink.hang_up()
        heard.append(connection.recv(100))
        read.set()

    with RecordingSink(raw=hang_up_and_read) as sink:
        context = ssl.create_default_context(cafile=str(sink.ca_file))
        with (
            socket.create_connection(("127.0.0.1", sink.port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(b"half a line")
            left.set()
            assert read.wait(5)
    assert heard == [b"half a line"]
