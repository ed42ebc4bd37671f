"""docs/operations/access-tokens.md: scopes, tokens of users, and keys of the issuer, on a real server."""

import re
import uuid

import pytest

from tests.api.conftest import (
    ALL_SCOPES,
    KINDS,
    NETWORK,
    NEXT,
    NEXT_PREFIX,
    NEXT_SCOPES,
    PREFIX,
    assert_error,
    device_request,
    subscription_request,
)
from tests.production.operations.token_server import (
    BOUND,
    CLIENT,
    DOCUMENT,
    EC,
    FOR_SECRETS,
    RSA,
    SHORT,
    SUBSCRIPTIONS,
    Server,
    started,
)
from webrtc_events.contract.documents import load_channels, load_network, load_public, load_subscriptions
from webrtc_events.contract.openapi import Contract
from webrtc_events.local.stack.valkey import Valkey


def operations(contract: Contract) -> set[tuple[str, str]]:
    return {
        (operation.method, f"{contract.base_path}{operation.path}")
        for operation in contract.operations.values()
    }


def scopes() -> list[tuple[str, str, str, str]]:
    """Method, path, kind of event and scope, as the table has it; what it sums up is written out."""
    rows: list[tuple[str, str, str, str]] = []
    for operation, scope in DOCUMENT.table("Scopes"):
        name = re.findall(r"`([^`]+)`", scope)[0]
        found = re.match(r"`(\w+) (/\S+)`", operation)
        prefix = NEXT_PREFIX if f" {NEXT}/" in operation else PREFIX
        if found is None:
            assert operation.startswith(f"everything under `{NETWORK}`")
            rows += [(*operation, "", name) for operation in sorted(operations(load_network()))]
        elif "<event type>" in name:
            rows += [(*found.groups(), kind, name.replace("<event type>", prefix + kind)) for kind in KINDS]
        else:
            rows.append((*found.groups(), "", name))
    return rows


def test_every_operation_has_its_scope_in_the_table() -> None:
    both = operations(load_public()) | operations(load_subscriptions())
    documented = {(method, path) for method, path, *_ in scopes()}
    # Those that take an access token.
    channels = load_channels()
    owners = {
        (operation.method, f"{channels.base_path}{operation.path}")
        for operation in channels.operations.values()
        if operation.scopes
    }
    assert documented == both | operations(load_network()) | owners


@pytest.mark.parametrize(("method", "path", "kind", "needed"), scopes())
def test_an_operation_wants_the_scope_of_its_row(
    server: Server, method: str, path: str, kind: str, needed: str
) -> None:
    body = {}
    if kind:
        body = device_request(kind) if path.startswith(NEXT) else subscription_request(kind)
    others = " ".join(sorted({*ALL_SCOPES.split(), *NEXT_SCOPES.split()} - {needed}))
    where = re.sub(r"\{\w+\}", "x", path)
    refused = server.ask(method, where, token=server.token(scope=others), json=body)
    assert needed in assert_error(refused, 403, "PERMISSION_DENIED")
    assert server.ask(method, where, token=server.token(scope=needed), json=body).status_code not in (
        401,
        403,
    )


# Tokens of users


def test_a_user_reaches_what_is_that_users_and_the_client_all_of_it(server: Server) -> None:
    detail = {"registrationId": "r1", "deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}
    alice, bob, client = (server.token(sub=subject) for subject in ("alice", "bob", CLIENT))
    made = server.create(alice, config={"subscriptionDetail": detail}).json()
    one = f"{SUBSCRIPTIONS}/{made['id']}"
    assert "deviceId" not in made["config"]["subscriptionDetail"]
    assert server.ask("GET", one, token=alice).json() == made
    assert server.ask("GET", one, token=client).json()["config"]["subscriptionDetail"] == detail
    for other in (bob, server.token(client_id="other", sub="alice")):
        assert_error(server.ask("GET", one, token=other), 404, "NOT_FOUND")
        assert_error(server.ask("DELETE", one, token=other), 404, "NOT_FOUND")
    assert server.ask("DELETE", one, token=client).status_code == 204


def test_a_registration_with_an_owner_and_a_subject_is_refused_to_others(server: Server) -> None:
    registration = uuid.uuid4().hex
    body = {"deviceId": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "owner": CLIENT, "subject": "alice"}
    put = server.ask("PUT", f"{NETWORK}/registrations/{registration}", token=server.token(), json=body)
    assert put.status_code == 201
    config = {"subscriptionDetail": {"registrationId": registration}}
    for token in (server.token(sub="bob"), server.token(client_id="other", sub="alice")):
        assert_error(server.create(token, config=config), 403, "SUBSCRIPTION_MISMATCH")
    for token in (server.token(sub="alice"), server.token()):
        assert server.create(token, config=config).status_code == 201


# Keys of the issuer


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_keys_that_are_passed_over(server: Server) -> None:
    assert "RSA keys of at least 2048 bits" in DOCUMENT.section("Keys of the issuer")
    for key in (SHORT, FOR_SECRETS):
        assert_error(server.list(server.token(key)), 401, "UNAUTHENTICATED")
    assert server.list(server.token(BOUND, "PS256")).status_code == 200


def test_a_new_key_is_known_within_the_documented_time(valkey: Valkey) -> None:
    documented = re.search(r"a\s+new key is known within (\d+) s", DOCUMENT.section("Keys of the issuer"))
    assert documented is not None
    with started(valkey, RSA) as server:
        assert server.list(server.token()).status_code == 200
        # The keys were just read, for a token that names one that there is not.
        server.clock.elapsed_s = 100
        assert server.list(server.token(header={"kid": "none"})).status_code == 401
        server.issuer.keys.append(EC)
        server.clock.elapsed_s += float(documented[1]) - 1
        assert server.list(server.token(EC, "ES256")).status_code == 401
        server.clock.elapsed_s += 1
        assert server.list(server.token(EC, "ES256")).status_code == 200


def test_while_the_issuer_is_unavailable_known_keys_go_on_working(valkey: Valkey) -> None:
    with started(valkey, RSA) as server:
        server.issuer.status = 500
        assert_error(server.list(server.token()), 503, "UNAVAILABLE")
        server.clock.elapsed_s = 10
        server.issuer.status = 200
        assert server.list(server.token()).status_code == 200
        server.issuer.status = 500
        server.clock.elapsed_s = 2 * 3600
        assert server.list(server.token()).status_code == 200
