"""What tests rely on of their sinks."""

import socket

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
