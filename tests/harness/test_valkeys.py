"""The servers that tests start: each has its port to itself."""

from pathlib import Path

import pytest

from tests.harness.valkeys import ValkeyServer, free_port


def test_no_port_is_given_twice() -> None:
    ports = [free_port() for _ in range(2000)]
    assert len(set(ports)) == len(ports)


def test_a_server_whose_port_another_has_is_not_taken_for_ready(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path / "one", aof="no") as one:
        two = ValkeyServer(tmp_path / "two", aof="no")
        two.port = one.port
        two.options["port"] = str(one.port)
        with pytest.raises(AssertionError, match="Address already in use"), two:
            pass
