"""`new-key`, `rotate-key` and `erase`, as an operator runs them."""

import pytest

from tests.harness.builders import append, created, invitation
from tests.harness.commands import clean_environ, run
from tests.store.call_notes import accepted, recorded
from tests.store.devices import DEVICE, accept, created_for, registered
from webrtc_events.core.credentials import CredentialBox
from webrtc_events.core.model import Credential
from webrtc_events.core.setting_values import secret_keys
from webrtc_events.store.formats import FORMAT
from webrtc_events.store.keys import partition_of, set_aside_key
from webrtc_events.store.store import Store


def new_key() -> str:
    return run("new-key").stdout.decode().strip()


def test_new_keys_are_good_and_differ() -> None:
    assert len(secret_keys(f"{new_key()},{new_key()}")) == 2


def test_rotate_key_says_what_it_did_and_what_it_could_not(store: Store, environ: dict[str, str]) -> None:
    keys = [new_key() for _ in range(3)]
    boxes = [CredentialBox(secret_keys(key)) for key in keys]
    for box in boxes[1:]:
        made = created(store)
        sealed = box.seal(Credential("very-secret", 4_000_000_000_000), made.id)
        store.client.hset(partition_of("r1", 64).subscription(made.id), "credential", sealed)
    two = clean_environ() | environ | {"WEBRTC_EVENTS_SECRET_KEY": ",".join(keys[:2])}
    done = run("rotate-key", env=two)
    assert done.returncode == 1
    assert done.stdout.decode() == f"1 resealed with key {boxes[0].key_id}, 0 had it already\n"
    said = f"1 sealed with key {boxes[2].key_id}, which is not in WEBRTC_EVENTS_SECRET_KEY\n"
    assert done.stderr.decode() == said
    done = run("rotate-key", env=two | {"WEBRTC_EVENTS_SECRET_KEY": ",".join(keys)})
    assert done.returncode == 0
    assert done.stdout.decode() == f"1 resealed with key {boxes[0].key_id}, 1 had it already\n"
    assert done.stderr == b""


def test_erase_says_what_there_is_asks_and_removes_it(store: Store, environ: dict[str, str]) -> None:
    made = created(store)
    append(store, invitation(1))
    command = ("erase", "--registration", "r1")
    env = clean_environ() | environ
    recorded(store, accepted(registration="r1"))
    there_is = "1 subscriptions, 0 dead letters, 0 delivery attempts, 0 sequence numbers"
    found = run(*command, "--dry-run", env=env).stdout.decode()
    assert there_is in found
    assert ", 1 traces of calls, " in found
    declined = run(*command, env=env, stdin=b"n\n")
    assert declined.returncode == 1
    assert there_is in declined.stderr.decode()
    assert store.subscriptions.get(made.id) is not None
    done = run(*command, "--yes", env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert f"removed: {there_is}" in done.stdout.decode()
    assert store.subscriptions.get(made.id) is None
    assert run(*command, "--yes", env=env).stdout == b"removed: nothing\n"


def test_erase_counts_the_logs_that_were_set_aside(store: Store, environ: dict[str, str]) -> None:
    """Those that name the registration stood in place of a channel's log; nothing else is kept of it."""
    log = partition_of("r1", 64).channel_log("a" * 32)
    for registration, number in (("r1", 1), ("r1", 2), ("r2", 3)):
        store.client.set(set_aside_key(f"{log}{number}"), f'{{"registrationId": "{registration}"}}')
    command = ("erase", "--registration", "r1")
    env = clean_environ() | environ
    found = run(*command, "--dry-run", env=env).stdout.decode()
    assert found.endswith(", 2 set-aside logs of channels\n")
    assert "found: 0 subscriptions, " in found
    done = run(*command, "--yes", env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert ", 2 set-aside logs of channels\n" in done.stdout.decode()
    assert run(*command, "--yes", env=env).stdout == b"removed: nothing\n"


def test_erase_names_what_a_newer_release_made(store: Store, environ: dict[str, str]) -> None:
    made = created(store)
    store.client.hset(partition_of("r1", 64).subscription(made.id), "format", FORMAT + 1)
    done = run("erase", "--registration", "r1", "--yes", env=clean_environ() | environ)
    assert done.returncode == 1
    assert made.id in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_erase_removes_the_subscriptions_to_a_device(store: Store, environ: dict[str, str]) -> None:
    registered(store)
    made = created_for(store)
    assert accept(store, invitation(1)) == [(True, 1)]
    env = clean_environ() | environ
    found = run("erase", "--registration", "r1", "--dry-run", env=env).stdout.decode()
    assert ", 1 events of subscriptions to devices, " in found
    done = run("erase", "--device", DEVICE, "--yes", env=env)
    assert done.stdout.decode().startswith("removed: 1 subscriptions, 0 dead letters, ")
    assert store.subscriptions.get(made.id) is None
    assert run("erase", "--device", DEVICE, "--yes", env=env).stdout == b"removed: nothing\n"


@pytest.mark.parametrize("given", [(), ("--registration", "r1", "--device", DEVICE)])
def test_erase_asks_for_one_of_both(environ: dict[str, str], given: tuple[str, ...]) -> None:
    done = run("erase", *given, env=clean_environ() | environ)
    assert done.returncode == 2
    assert b"Give --registration or --device." in done.stderr
