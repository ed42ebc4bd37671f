"""What the store says of itself: its load, and what is wrong with it."""

from pathlib import Path

import pytest

from tests.cluster.conftest import settings_at
from tests.harness.valkeys import ValkeyServer
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.node_status import read_status
from webrtc_events.store.store import Store

MAXMEMORY = 50_000_000


def test_memory_watermark_and_files_are_known(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path, maxmemory=MAXMEMORY) as server:
        store = Store.connect(settings_at(server.url))
        found = read_status(store.client, 80)
        (node,) = found.nodes
        assert (node.facts.product, node.role, node.replicas) == ("Valkey", "master", 0)
        assert node.watermark_bytes == MAXMEMORY * 80 // 100
        assert node.used_bytes is not None
        assert 0 < node.used_bytes < node.watermark_bytes
        assert not node.above_watermark
        assert (node.facts.aof, node.facts.fsync, node.rewriting) == (True, "always", False)
        assert found.silent == []
        assert found.findings == []
        # It may have less than it has.
        assert read_status(store.client, 1).nodes[0].above_watermark
        store.close()


def test_what_is_wrong_is_said_and_a_store_without_a_limit_has_no_watermark(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path, aof="no") as server:
        store = Store.connect(settings_at(server.url))
        found = read_status(store.client, 90)
        assert found.nodes[0].watermark_bytes is None
        assert not found.nodes[0].above_watermark
        assert [finding.address for finding in found.findings] == [server.address]
        server.kill()
        with pytest.raises(Unavailable):
            read_status(store.client, 90)
        store.close()
