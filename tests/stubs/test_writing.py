"""Stubs are written: typed functions that answer 501, beside what was there before."""

import ast
import inspect
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.api.conftest import Api as Server
from tests.api.conftest import assert_error, serving
from tests.harness.issuer import AUDIENCE, Issuer, SigningKeyPair
from tests.stubs.documents import RENEWAL, ROOT, THINGS, extended, loaded, stubs, written
from webrtc_events.api.access_tokens import TokenVerifier
from webrtc_events.api.application import Api, connexion_app
from webrtc_events.api.cors import Origins
from webrtc_events.api.failures import Failures
from webrtc_events.api.middleware import Middleware
from webrtc_events.api.operation_threads import OperationThreads
from webrtc_events.api.routes import Routes
from webrtc_events.api.websockets import WebSockets
from webrtc_events.contract.documents import load_public, read_document
from webrtc_events.contract.openapi import Contract
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.log_masking import Masking
from webrtc_events.telemetry.request_counts import RequestCounts

SCRIPTS = Path(sysconfig.get_path("scripts"))

HANDLERS = '''\
"""What is done with things."""
# This comment stays,   and its spaces.

from typing import Any  # everywhere

from webrtc_events.core.errors import NotFound

__all__ = ["list_things"]


def list_things(things:  dict[str, Any]) -> list[Any]:
    if not things: raise NotFound
    return [*things]
'''


def checked(*tool: str) -> None:
    done = subprocess.run([SCRIPTS / tool[0], *tool[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    running = Issuer(SigningKeyPair.rsa("rsa"))
    yield running
    running.close()


@asynccontextmanager
async def lifespan(_: object) -> Any:
    yield


@pytest.fixture
def things(folder: Path, issuer: Issuer) -> Iterator[Server]:
    """The stubs of `things.yaml`, served as the service serves its handlers."""
    written("things.yaml")
    contract = Contract(read_document(THINGS))
    verifier = TokenVerifier(
        openid_configuration_url=issuer.discovery_url, audience=AUDIENCE, clock=SystemClock()
    )
    module = loaded(folder / "handlers" / "things.py")
    failures, masking = Failures(SystemClock()), Masking(b"", show=False)
    threads = OperationThreads(4)
    api = connexion_app([Api(contract, module, object())], verifier, failures, masking, lifespan, threads)
    routes = Routes(api, [contract], {contract.base_path: contract.document}, {}, {}, {})
    correlator = load_public().validator("XCorrelator")
    middleware = Middleware(
        routes,
        lifespan=api,
        websockets=WebSockets({}, Origins([]), failures),
        correlator=correlator,
        failures=failures,
        limits={},
        default_limit=1000,
        counts=RequestCounts(frozenset()),
        clock=SystemClock(),
    )
    with serving(middleware, issuer) as running:
        yield running


def test_stubs_are_bound_and_answer_not_implemented(things: Server, issuer: Issuer) -> None:
    token = issuer.token(time.time(), scope="things:write")
    part = "/things/v0/things/t1/parts/7"
    answers = [
        things("GET", "/things/v0/things", token=None),
        things("PUT", part, token=token, json={}),
        things("PATCH", part, token=token, json={}),
        things("PATCH", part, token=token),
    ]
    for answer in answers:
        assert_error(answer, 501, "NOT_IMPLEMENTED")
    assert_error(things("PUT", part, token=None, json={}), 401, "UNAUTHENTICATED")


def test_stub_has_what_the_operation_says(folder: Path) -> None:
    output = written("things.yaml")
    module = loaded(folder / "handlers" / "things.py")
    put = module.replace_the_things_part_and_tell_everybody
    assert str(inspect.signature(put)).replace("typing.", "") == (
        "(use_case: Any, thing_id: str, id_: int, payload: dict[str, Any], "
        "caller: webrtc_events.core.model.Caller) -> tuple[dict[str, Any], int]"
    )
    summary, *paragraphs, source = (inspect.getdoc(put) or "").split("\n\n")
    assert summary == 'Replace a "part" - whole.'
    assert paragraphs[0].startswith("A \\d+ and '''quoted''' and ''' description")
    assert source == "Source: things.yaml, PUT /things/{thingId}/parts/{id}."
    listing = str(inspect.signature(module.list_things)).replace("typing.", "")
    assert listing == "(use_case: Any) -> list[dict[str, Any]]"
    patch = inspect.signature(module.patch_part).parameters
    assert [*patch] == ["use_case", "thing_id", "id_", "caller", "page_size", "payload"]
    assert patch["payload"].default is None
    assert str(patch["page_size"]) == "page_size: int | None = None"
    line = put.__code__.co_firstlineno
    named = "replace_the_things_part_and_tell_everybody (replaceTheThingsPartAndTellEverybody)"
    assert f"handlers/things.py:{line}: {named}\n" in output


READING = """\
/registrations/{registrationId}:
  get:
    operationId: readRegistration
    security: [{openId: [webrtc-events:network]}]
    responses:
      "200":
        description: Ok
        content: {application/json: {schema: {$ref: "#/components/schemas/RegistrationResource"}}}
/everything:
  put:
    operationId: replaceEverything
    security: [{openId: [webrtc-events:network]}]
    requestBody:
      content: {application/json: {schema: {$ref: "#/components/schemas/NetworkEvent"}}}
    responses:
      "200":
        description: Ok
        content: {application/json: {schema: {$ref: "#/components/schemas/EventResult"}}}
"""


@pytest.mark.slow
def test_generated_types_are_used_and_all_that_is_written_is_clean(folder: Path) -> None:
    written(extended("webrtc-events.yaml", RENEWAL, folder))
    written(extended("network-events.yaml", READING, folder))
    written("things.yaml")
    public = (folder / "handlers" / "webrtc_events.py").read_text()
    assert (
        "def renew_subscription(\n"
        "    subscriptions: Subscriptions,\n"
        "    subscription_id: str,\n"
        "    payload: HTTPSubscriptionRequest,\n"
        "    caller: Caller,\n"
        ") -> tuple[HTTPSubscriptionResponse | SubscriptionAsync | None, int]:\n"
    ) in public
    network = (folder / "handlers" / "network_events.py").read_text()
    assert "payload: NetworkEvent | None = None,\n) -> EventResult:\n" in network
    for module in ("webrtc_events", "network_events"):
        before = ast.parse((ROOT / "handlers" / f"{module}.py").read_text())
        after = ast.parse((folder / "handlers" / f"{module}.py").read_text())
        functions = [
            ast.unparse(node)
            for node in after.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        kept = [
            ast.unparse(node)
            for node in before.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        assert functions[: len(kept)] == kept
    config = str(ROOT / "pyproject.toml")
    checked("ruff", "check", "--no-cache", "--config", config, "handlers")
    checked("ruff", "format", "--check", "--no-cache", "--config", config, "handlers")
    checked("ruff", "format", "--check", "--no-cache", "--isolated", "handlers/things.py")
    checked("mypy", "--strict", "--config-file", config, "handlers")


def test_what_was_there_stays(folder: Path) -> None:
    path = folder / "handlers" / "things.py"
    path.write_text(HANDLERS)
    written("things.yaml")
    text = path.read_text()
    for line in HANDLERS.splitlines():
        if not line.startswith(("from webrtc_events", "__all__")):
            assert line in text.splitlines()
    assert text.index("    return [*things]\n\n\ndef replace_") > text.index("__all__ = [")
    assert loaded(path).__all__ == [
        "list_things",
        "patch_part",
        "replace_the_things_part_and_tell_everybody",
    ]
    assert (
        "from webrtc_events.core.errors import NotFound, Unimplemented\nfrom webrtc_events.core.model" in text
    )
    assert "things: dict[str, Any],\n    thing_id: str" in text


def test_use_case_is_that_of_the_other_handlers(folder: Path) -> None:
    path = folder / "handlers" / "things.py"
    for first, written_as in [
        ('things: "Thing"', 'things: "Thing",\n'),
        ("things: Registration, /", "things: Registration,\n"),
        ("payload", "use_case_payload: Any,\n"),
        ("*all", "use_case: Any,\n"),
    ]:
        path.write_text(f"def list_things({first}): ...\n")
        written("things.yaml")
        assert f"def patch_part(\n    {written_as}    thing_id: str,\n" in path.read_text()


def test_schemas_become_types_of_python(folder: Path) -> None:
    schemas = {
        "Name": {"type": "string"},
        "Loop": {"type": "array", "items": {"$ref": "#/components/schemas/Loop"}},
        "Itself": {"$ref": "#/components/schemas/Itself"},
    }
    cases: list[tuple[dict[str, Any], str]] = [
        ({"$ref": "#/components/schemas/Name"}, "str"),
        ({"$ref": "#/components/schemas/Loop"}, "list[Any]"),
        ({"type": "number", "nullable": True}, "float | None"),
        ({"oneOf": [{"type": "boolean"}, {"type": "integer"}]}, "bool | int"),
        ({"anyOf": [{"type": "boolean"}, {}]}, "Any"),
        ({"allOf": [{"$ref": "#/components/schemas/Name"}]}, "str"),
        ({"allOf": [{"type": "object"}, {"required": ["a"]}]}, "Any"),
        ({"type": "array", "items": {"type": "array"}}, "list[list[Any]]"),
        ({"oneOf": [{"type": "array", "items": {"type": "object"}}] * 9}, "list[dict[str, Any]]"),
        ({"oneOf": [nested(kind) for kind in ("string", "integer", "number", "boolean")]}, "Any"),
    ]
    for number, (schema, annotation) in enumerate(cases):
        write_api(folder, schema, schemas)
        written("api.yaml", "--module", f"api{number}.py")
        assert f"payload: {annotation}) -> tuple[None, int]:" in (folder / f"api{number}.py").read_text()
    for schema in ({"$ref": "#/components/schemas/Gone"}, {"$ref": "#/components/schemas/Itself"}):
        write_api(folder, schema, schemas)
        result = stubs("api.yaml", "--module", "gone.py")
        assert (result.exit_code, (folder / "gone.py").exists()) == (1, False)
        assert "names nothing in the document" in result.output


def nested(kind: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "array", "items": {"type": kind}}}


def write_api(folder: Path, schema: dict[str, Any], schemas: dict[str, Any]) -> None:
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    operation = {"operationId": "put", "requestBody": body, "responses": {204: {"description": "Done."}}}
    document = {"openapi": "3.0.3", "paths": {"/": {"put": operation}}, "components": {"schemas": schemas}}
    (folder / "api.yaml").write_text(yaml.safe_dump(document))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_writing_twice_changes_nothing(folder: Path, newline: str) -> None:
    path = folder / "elsewhere.py"
    path.write_bytes(HANDLERS.replace("\n", newline).encode())
    written("things.yaml", "--module", "elsewhere.py")
    first = path.read_bytes()
    assert first.count(newline.encode()) == first.count(b"\n") > HANDLERS.count("\n")
    assert "every operation" in written("things.yaml", "--module", "elsewhere.py")
    assert path.read_bytes() == first
    assert "agree" in written("things.yaml", "--check", "--module", "elsewhere.py")
