"""Traces of calls on a cluster of which a node is out: those of other nodes go on, its own are completed."""

import pytest

from tests.cluster.conftest import Connect
from tests.harness.clusters import Cluster
from tests.harness.valkeys import ValkeyServer, eventually
from tests.store.call_notes import AT, accepted, recorder_of
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.keys import RECENT_CALLS_KEY, call_trace_key
from webrtc_events.store.store import Store
from webrtc_events.store.trace_recorder import TraceRecorder

pytestmark = pytest.mark.slow


def session_on(cluster: Cluster, master: ValkeyServer) -> str:
    return next(f"m{n}" for n in range(99) if cluster.master_of(call_trace_key(f"m{n}")) is master)


def flushes(recorder: TraceRecorder) -> bool:
    try:
        recorder.flush()
    except Unavailable:
        return False
    return True


def count(store: Store, session: str) -> int:
    return len(store.call_traces.read(session).entries)


@pytest.mark.parametrize("has_index", [True, False])
def test_a_node_that_is_out_holds_up_no_trace_of_another(
    cluster: Cluster, connect: Connect, has_index: bool
) -> None:
    store = connect(cluster.url)
    index_master = cluster.master_of(RECENT_CALLS_KEY)
    out = next(master for master in cluster.masters if (master is index_master) is has_index)
    rest = [master for master in cluster.masters if master is not out]
    sessions = [session_on(cluster, master) for master in rest]
    missing = session_on(cluster, out)
    recorder = recorder_of(store)
    recorder.record(accepted(session) for session in [*sessions, missing])
    recorder.flush()
    out.kill()
    for number in range(3):
        recorder.record(accepted(session, at=AT + number) for session in [*sessions, missing])
        # The index may be on the node that is out; a trace is written all the same.
        assert flushes(recorder) or has_index
    assert [count(store, session) for session in sessions] == [4, 4]
    out.start()
    eventually(lambda: flushes(recorder) and count(store, missing) == 4, "the node has its traces")
    assert [count(store, session) for session in sessions] == [4, 4]
    assert {call.session for call in store.call_traces.recent().calls} == {*sessions, missing}
