"""Each kind of URL leads to the store it names, with its credentials and over TLS."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cluster.conftest import Connect
from tests.cluster.relays import TlsRelay
from tests.cluster.test_outages import one_of_each
from tests.harness.authority import Authority
from tests.harness.builders import append, created, invitation
from tests.harness.clusters import Cluster, form
from tests.harness.sentinels import Sentinel, sentinel
from tests.harness.valkeys import ValkeyServer
from tests.harness.wakeups import Hearing
from webrtc_events.core.errors import Unavailable
from webrtc_events.store.store import Store

Relay = Callable[..., TlsRelay]


@pytest.fixture
def authority() -> Iterator[Authority]:
    authority = Authority()
    yield authority
    authority.close()


@pytest.fixture
def relay(authority: Authority) -> Iterator[Relay]:
    made: list[TlsRelay] = []

    def make(target: int = 0) -> TlsRelay:
        made.append(TlsRelay(authority.context("127.0.0.1"), target))
        return made[-1]

    yield make
    for relay in made:
        relay.close()


def is_usable(store: Store, registration: str = "r1") -> bool:
    created(store, registration=registration)
    with Hearing(store) as hearing:
        hearing.numbers(0)
        used = append(store, invitation(1, registration=registration)) == [(True, 1)]
        return used and hearing.numbers(5) != set()


def test_a_server(tmp_path: Path, connect: Connect) -> None:
    with ValkeyServer(tmp_path) as server:
        assert is_usable(connect(f"redis://127.0.0.1:{server.port}/2"))
        with server.client() as client:
            assert list(client.info("keyspace")) == ["db2"]


def test_a_server_with_a_user(tmp_path: Path, connect: Connect) -> None:
    with ValkeyServer(tmp_path) as server:
        with server.client() as client:
            client.execute_command("ACL SETUSER", "events", "on", ">p@ss:w/ord", "~*", "&*", "+@all")
            client.execute_command("ACL SETUSER", "default", "off")
        assert is_usable(connect(f"redis://events:p%40ss%3Aw%2Ford@{server.address}"))
        with pytest.raises(Unavailable) as caught:
            connect(f"redis://events:s3cret@{server.address}")
        assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_cluster_with_a_password(cluster: Cluster, connect: Connect) -> None:
    cluster.client().config_set("requirepass", "s3cret")
    url = cluster.url.replace("//", "//:s3cret@")
    assert all(is_usable(connect(url), key) for key in one_of_each(cluster))
    with pytest.raises(Unavailable):
        connect(cluster.url)


def test_one_node_that_answers_is_enough_to_find_a_cluster(cluster: Cluster, connect: Connect) -> None:
    _, second, third = one_of_each(cluster)
    store = connect(f"redis+cluster://127.0.0.1:1,{cluster.masters[1].address}")
    assert all(is_usable(store, key) for key in (second, third))


def test_a_server_that_is_no_cluster_is_reported(tmp_path: Path, connect: Connect) -> None:
    with ValkeyServer(tmp_path) as server, pytest.raises(Unavailable) as caught:
        connect(f"redis+cluster://{server.address}")
    assert "Cluster mode is not enabled" in str(caught.value.__cause__)


def test_sentinels_and_servers_have_their_own_passwords(tmp_path: Path, connect: Connect) -> None:
    with ValkeyServer(tmp_path / "master") as master, sentinel(tmp_path / "sentinel", master) as watching:
        with watching.client() as client:
            client.execute_command("SENTINEL SET", watching.service, "auth-pass", "s3cret")
            client.execute_command("ACL SETUSER", "default", ">hush")
        with master.client() as client:
            client.config_set("requirepass", "s3cret")
        address = f"{watching.address}/{watching.service}"
        assert is_usable(connect(f"redis+sentinel://:s3cret@{address}?sentinel_password=hush"))
        with pytest.raises(Unavailable):
            connect(f"redis+sentinel://:s3cret@{address}")
        with pytest.raises(Unavailable):
            connect(f"redis+sentinel://{address}?sentinel_password=hush")


# TLS


def test_a_server_over_tls(tmp_path: Path, connect: Connect, relay: Relay, authority: Authority) -> None:
    with ValkeyServer(tmp_path) as server:
        tls_relay = relay(server.port)
        assert is_usable(connect(f"rediss://127.0.0.1:{tls_relay.port}?ssl_ca_certs={authority.ca_file}"))
        # Its CA is none of the system's, and its name is not that one.
        for url in (
            f"rediss://127.0.0.1:{tls_relay.port}",
            f"rediss://localhost:{tls_relay.port}?ssl_ca_certs={authority.ca_file}",
        ):
            with pytest.raises(Unavailable) as caught:
                connect(url)
            assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value.__cause__)


@pytest.mark.slow
def test_a_cluster_over_tls(tmp_path: Path, connect: Connect, relay: Relay, authority: Authority) -> None:
    tls_relays = [relay() for _ in range(3)]
    with ExitStack() as stack:
        servers = [
            ValkeyServer(tmp_path / str(number), cluster=True, announce_port=tls_relay.port)
            for number, tls_relay in enumerate(tls_relays)
        ]
        for server, tls_relay in zip(servers, tls_relays, strict=True):
            stack.enter_context(server)
            tls_relay.target = server.port
        cluster = Cluster(servers, [])
        form(cluster, [stack.enter_context(server.patient_client()) for server in servers])
        url = f"rediss+cluster://127.0.0.1:{tls_relays[0].port}?ssl_ca_certs={authority.ca_file}"
        store = connect(url)
        assert all(is_usable(store, key) for key in one_of_each(cluster))
    assert all(tls_relay.secure > 0 for tls_relay in tls_relays)


def test_sentinels_and_their_master_over_tls(
    tmp_path: Path, connect: Connect, relay: Relay, authority: Authority
) -> None:
    with ValkeyServer(tmp_path / "master") as master:
        tls_relay = relay(master.port)
        with Sentinel(tmp_path / "sentinel", tls_relay.port) as watching:
            watching.wait_for_replicas(0)
            before_it = relay(watching.port)
            address = f"127.0.0.1:{before_it.port}/{watching.service}"
            assert is_usable(connect(f"rediss+sentinel://{address}?ssl_ca_certs={authority.ca_file}"))
    assert tls_relay.secure > 0
    assert before_it.secure > 0
