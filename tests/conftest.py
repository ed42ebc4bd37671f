"""Private stores for each test process, and settings that use them."""

import gc
import logging
import pickle
import signal
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import redis
from redis._parsers.commands import CommandsParser

from tests.harness.clusters import Cluster, ClusterClient, three_node_cluster
from tests.harness.made_once import made_once
from tests.harness.valkeys import quick_directory
from tests.production.releases import build_wheel
from webrtc_events.contract import documents
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.settings import Settings
from webrtc_events.local.stack.valkey import Valkey
from webrtc_events.store.keys import PROCESSES_KEY, SWEEPER_TURN, process_key
from webrtc_events.store.redis import script_texts, scripts
from webrtc_events.store.redis.script_texts import Script
from webrtc_events.store.script_options import DEFAULT_OPTIONS, StoreOptions
from webrtc_events.store.store import Store

# A job in the background of a shell ignores SIGINT, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("machine", deadline=None)
hypothesis.settings.load_profile("machine")
# The same examples for each mutant.
hypothesis.settings.register_profile("mutation", deadline=None, derandomize=True, max_examples=30)

# What a contract's text holds, pickled: each test that starts a service reads the same three contracts,
# and parsing their YAML takes longer than most tests.
_READ: dict[str, bytes] = {}
_read_document = documents.read_document


def _read_once(text: str) -> Any:
    if text not in _READ:
        _READ[text] = pickle.dumps(_read_document(text))
    return pickle.loads(_READ[text])  # noqa: S301 (pickled above)


documents.read_document = _read_once

# Each client of a cluster asks for the description of all commands, 400 kB, and parses it. All servers of
# the tests are of one version.
_COMMANDS: dict[str, Any] = {}
_read_commands = CommandsParser.initialize


def _read_commands_once(parser: CommandsParser, node: "redis.Redis") -> None:
    if not _COMMANDS:
        _read_commands(parser, node)
        _COMMANDS.update(parser.commands)
    parser.commands = dict(_COMMANDS)


CommandsParser.initialize = _read_commands_once

# Each client of a server asks the system for redis-py's version, and each store that is opened puts 41
# scripts together out of 250 files. Both take longer than most of what a test does with them.
redis.utils.get_lib_version = cache(redis.utils.get_lib_version)
_load_scripts = script_texts.load_scripts


@lru_cache(maxsize=16)
def _loaded(options: tuple[tuple[str, int | str], ...]) -> dict[str, Script]:
    return _load_scripts(dict(options))


def _load_scripts_once(options: Mapping[str, int | str]) -> dict[str, Script]:
    # Some tests put other scripts in the place of these, in their own store.
    return dict(_loaded(tuple(options.items())))


# It is imported there by name, which is not among what the module offers.
scripts.load_scripts = _load_scripts_once  # type: ignore[attr-defined]

# What these folders test must also hold on a cluster. `make test` repeats there what may fail there alone:
# each script and each scan of the store, and whole deliveries. What the other files do with the store, those
# do too (test_machine calls every script in a random order); `make slow` repeats all of them.
_QUICK_ON_CLUSTER: dict[str, set[str]] = {
    "operator_events": {"test_sending", "test_watching"},
    "channels": set(),
    "delivery": {"test_calls", "test_erasure", "test_key_rotation", "test_redelivery", "test_worker"},
    "services": {
        "test_endings",
        "test_events",
        "test_initial_events",
        "test_limits",
        "test_ownership",
        "test_subscriptions",
    },
}
_SLOW_ON_CLUSTER = {
    "store": {
        "test_claim_rounds",
        "test_clock",
        "test_damaged_fan_out",
        "test_payload_faults",
        "test_payload_sizes",
        "test_payloads",
    },
}


# What these test is between a client and the API: below it, any store will do.
_ON_A_SERVER_ALONE = {
    ("channels", "test_hostile_sockets"),
    # That a cluster's channels are read over WebSockets is in `test_sockets`.
    ("channels", "test_socket_handshakes"),
    ("operator_events", "test_way_out"),
    ("operator_events", "test_worker_processes"),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Their tests run on a server, and again, as `[cluster]`, on a cluster of three nodes."""
    path = metafunc.definition.path
    room, name = path.parent.name, path.stem
    if "valkey" not in metafunc.fixturenames or room not in _QUICK_ON_CLUSTER | _SLOW_ON_CLUSTER:
        return
    if (room, name) in _ON_A_SERVER_ALONE:
        return
    slow = name in _SLOW_ON_CLUSTER[room] if room in _SLOW_ON_CLUSTER else name not in _QUICK_ON_CLUSTER[room]
    cluster = pytest.param("cluster", marks=pytest.mark.slow if slow else ())
    metafunc.parametrize("valkey", ["server", cluster], indirect=True, scope="session")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is collected stays until the end: Python does not look whether it is garbage, now or later.

    While some 10,000 tests come up, it would look at all of them again and again, in each test process.
    """
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _unmasked_logs() -> Iterator[None]:
    """A test sees what is logged as it is logged, unless it masks: what other tests set up is undone."""
    logging.setLogRecordFactory(logging.LogRecord)
    yield
    logging.setLogRecordFactory(logging.LogRecord)


@pytest.fixture(scope="session")
def valkey(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Valkey | Cluster]:
    if getattr(request, "param", "server") == "cluster":
        with three_node_cluster(tmp_path_factory.mktemp("cluster"), aof="no") as cluster:
            yield cluster
        return
    # It syncs each write to its file before it answers, as in production.
    with quick_directory(tmp_path_factory.mktemp("store")) as directory:
        server = Valkey(directory, SystemClock())
        server.start()
        server.wait_ready()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def raw_client(valkey: Valkey | Cluster) -> Iterator["redis.Redis | ClusterClient"]:
    """One for all tests: to find out who is in a cluster takes longer than to empty it."""
    if isinstance(valkey, Cluster):
        client = valkey.client()
    else:
        client = redis.Redis.from_url(valkey.url, decode_responses=True)
    yield client
    client.close()


@pytest.fixture
def raw_store(raw_client: "redis.Redis | ClusterClient") -> Iterator["redis.Redis | ClusterClient"]:
    """The empty store itself, to look at what was written; left empty for those who only share it."""
    raw_client.flushall()
    yield raw_client
    raw_client.flushall()


def servers_of(client: "redis.Redis | ClusterClient") -> list["redis.Redis"]:
    """A client for each server of the store."""
    return client.servers() if isinstance(client, ClusterClient) else [client]


def contents(client: "redis.Redis | ClusterClient") -> dict[str, Any]:
    """The value of each key but those that time alone changes.

    DUMP would tell a hash in another order after it grew.
    """
    readers = {
        "hash": client.hgetall,
        "list": lambda key: client.lrange(key, 0, -1),
        "set": client.smembers,
        "stream": client.xrange,
        "string": client.get,
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    return {key: readers[client.type(key)](key) for key in kept_keys(client)}


def kept_keys(client: "redis.Redis | ClusterClient") -> list[str]:
    """All keys but those of clocks, whose turn it is to sweep, who may use the store, and reports."""
    passing = {"shares-payloads", SWEEPER_TURN, PROCESSES_KEY}
    reports = (process_key(""), "activity:")
    return sorted(
        {
            key
            for key in client.scan_iter()
            if not key.endswith(":clock") and not key.startswith(reports) and key not in passing
        }
    )


def everything(client: "redis.Redis") -> str:
    """All keys and values, as text."""
    return repr(contents(client))


@pytest.fixture
def environ(valkey: Valkey | Cluster, raw_store: "redis.Redis") -> dict[str, str]:
    """The least environment that makes valid settings, on the empty private store."""
    return {
        "WEBRTC_EVENTS_REDIS_URL": valkey.url,
        "WEBRTC_EVENTS_OPENID_CONFIGURATION_URL": "http://127.0.0.1:1/.well-known/openid-configuration",
        "WEBRTC_EVENTS_SECRET_KEY": "A" * 43,
        "WEBRTC_EVENTS_SINK_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
    }


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    return Settings.from_environ(environ)


@pytest.fixture
def store_at(settings: Settings) -> Iterator[Callable[..., Store]]:
    """Opens the store, its clock shifted by some seconds."""
    opened: list[Store] = []

    def connect(seconds: float = 0, *, lease_ms: int = DEFAULT_OPTIONS.lease_ms) -> Store:
        opened.append(
            Store.connect(settings, StoreOptions(lease_ms=lease_ms, offset_ms=round(seconds * 1000)))
        )
        return opened[-1]

    yield connect
    for store in opened:
        store.close()


@pytest.fixture
def store(store_at: Callable[..., Store]) -> Store:
    return store_at()


@pytest.fixture(scope="session")
def former_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the release before this one."""
    (wheel,) = made_once(tmp_path_factory, "former", build_wheel).glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def calls() -> Path:
    return Path(__file__).parent / "data" / "calls"
