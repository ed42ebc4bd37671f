"""`new-key` and `rotate-key`, as an operator runs them."""

from tests.builders import created
from tests.local.conftest import clean_environ, run
from webrtc_events.credentials import CredentialBox
from webrtc_events.model import Credential
from webrtc_events.setting_values import secret_keys
from webrtc_events.store import Store


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
        store.client.hset(f"{{{int(made.id[-2:], 16)}}}:subscription:{made.id}", "credential", sealed)
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
