"""Stubs are bound, typed and laid out as the handlers are; drift is found where it is."""

import ast
import importlib.util
import inspect
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from connexion.utils import inspect_function_arguments

from tests.api.conftest import Api as Server
from tests.api.conftest import assert_error, serving
from tests.harness.issuer import AUDIENCE, Issuer, SigningKeyPair
from webrtc_events.api.access_tokens import TokenVerifier
from webrtc_events.api.application import Api, connexion_app
from webrtc_events.api.binding import Argument, call_faults
from webrtc_events.api.failures import Failures
from webrtc_events.api.middleware import Middleware
from webrtc_events.api.routes import Routes
from webrtc_events.cli.main import main
from webrtc_events.contract.documents import load_public, read_document
from webrtc_events.contract.openapi import Contract
from webrtc_events.core.clock import SystemClock
from webrtc_events.core.log_masking import Masking
from webrtc_events.stubs.edits import add_export, add_import, append
from webrtc_events.stubs.modules import HandlersModule, signature

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sysconfig.get_path("scripts"))

THINGS = r"""
openapi: 3.0.3
info: {title: Things, version: 0.1.0}
servers: [{url: "{apiRoot}/things/v0"}]
security:
  - openId: [things:write]
paths:
  /things:
    get:
      operationId: listThings
      summary: List the things
      security: []
      responses:
        "200":
          description: The things.
          content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Thing"}}}}
  /things/{thingId}/parts/{id}:
    parameters:
      - {name: thingId, in: path, required: true, schema: {type: string}}
      - {name: id, in: path, required: true, schema: {type: integer}}
    put:
      operationId: replaceTheThingsPartAndTellEverybody
      summary: Replace a "part" – whole
      description: |
        A \d+ and '''quoted''' and {quotes} description. {long}

        | table | of two |
        | --- | --- |
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}
      responses:
        "200": {$ref: "#/components/responses/Part"}
        "201": {$ref: "#/components/responses/Part"}
    patch:
      operationId: patchPart
      parameters:
        - {name: pageSize, in: query, schema: {type: integer}}
      requestBody:
        content: {application/json: {schema: {type: object}}}
      responses:
        "204": {description: Done.}
        "501": {description: Not done.}
components:
  schemas:
    Thing:
      type: object
      properties: {name: {type: string}, parts: {type: array, items: {$ref: "#/components/schemas/Thing"}}}
  responses:
    Part:
      description: The part.
      content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}
  securitySchemes:
    openId: {type: openIdConnect, openIdConnectUrl: "https://example.com/.well-known/openid-configuration"}
"""
THINGS = THINGS.replace("{quotes}", '"""').replace(
    "{long}", "This line is longer than one of source may be. " * 3
)

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


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the document `things.yaml`, and the shipped handlers."""
    (tmp_path / "things.yaml").write_text(THINGS)
    shutil.copytree(ROOT / "handlers", tmp_path / "handlers", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stubs(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["stubs", *arguments])


def written(*arguments: str) -> str:
    result = stubs(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    api = connexion_app([Api(contract, module, object())], verifier, failures, masking, lifespan)
    routes = Routes(api, [contract], {contract.base_path: contract.document}, {}, {})
    correlator = load_public().validator("XCorrelator")
    middleware = Middleware(
        routes, lifespan=api, correlator=correlator, failures=failures, limits={}, default_limit=1000
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
    assert [*patch] == ["use_case", "thing_id", "id_", "caller", "payload"]
    assert patch["payload"].default is None
    line = put.__code__.co_firstlineno
    named = "replace_the_things_part_and_tell_everybody (replaceTheThingsPartAndTellEverybody)"
    assert f"handlers/things.py:{line}: {named}\n" in output


def extended(name: str, paths: str, folder: Path) -> str:
    """The shipped document with further paths in the folder."""
    document = yaml.safe_load((ROOT / "spec" / name).read_text())
    for path, item in yaml.safe_load(paths).items():
        document["paths"].setdefault(path, {}).update(item)
    (folder / name).write_text(yaml.safe_dump(document))
    return name


RENEWAL = """\
/subscriptions/{subscriptionId}:
  put:
    operationId: renewSubscription
    summary: Renew a subscription
    security: [{openId: [webrtc-events:update]}]
    requestBody:
      required: true
      content: {application/json: {schema: {$ref: "#/components/schemas/SubscriptionRequest"}}}
    responses:
      "200":
        description: Ok
        content: {application/json: {schema: {$ref: "#/components/schemas/Subscription"}}}
      "202":
        description: Ok
        content: {application/json: {schema: {$ref: "#/components/schemas/SubscriptionAsync"}}}
      "204": {description: Nothing changed.}
"""
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
        functions = [ast.unparse(node) for node in after.body if isinstance(node, ast.FunctionDef)]
        kept = [ast.unparse(node) for node in before.body if isinstance(node, ast.FunctionDef)]
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


def test_shipped_contracts_and_handlers_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also far from the working tree, where the installed handlers are read."""
    monkeypatch.chdir(tmp_path)
    output = written("--check")
    assert "webrtc-events.yaml: " in output
    assert "network-events.yaml: " in output
    assert "errata" not in output
    for name in ("webrtc-events.yaml", "network-events.yaml"):
        assert "agree" in written("--check", str(ROOT / "spec" / name))


TAKES_ALL = "def replace_the_things_part_and_tell_everybody({}): ..."
PLACE = "replace_the_things_part_and_tell_everybody (PUT /things/{thingId}/parts/{id})"


@pytest.mark.parametrize(
    ("parameters", "faults"),
    [
        ("u, thing_id, id_, payload", []),
        ("u, thing_id, id_, payload, caller", []),
        ("u, /, *, caller=None, id_, thing_id, payload=None", []),
        ("u, **given", []),
        ("*all, thing_id, id_, payload", []),
        ("u, thing_id, id_", ["`payload` is missing"]),
        ("u, thing_id, payload", ["`id_` is missing"]),
        ("u, thingId, id_, payload", ["`thing_id` is missing", "`thingId` is unknown"]),
        ("u, thing_id, id, payload", ["`id_` is missing", "`id` is unknown"]),
        ("u, thing_id, id_, body", ["`payload` is missing", "`body` is unknown"]),
        ("u, thing_id, id_, payload, limit=5", ["`limit` is unknown"]),
        ("thing_id, id_, payload", ["`thing_id` stands where the use case comes"]),
        ("*, thing_id, id_, payload", ["there is no first parameter for the use case"]),
        (
            "",
            ["there is no first parameter", "`thing_id` is missing", "`id_` is missing", "`payload` is"],
        ),
        ("u, thing_id, id_, payload=None, /", ["`thing_id` is passed by name"] * 1 + ["`id_`", "`payload`"]),
    ],
)
def test_wrong_parameters_are_drift(folder: Path, parameters: str, faults: list[str]) -> None:
    good = "def list_things(u): ...\ndef patch_part(u, thing_id, id_, payload=None, page_size=5): ...\n"
    (folder / "handlers" / "things.py").write_text(good + TAKES_ALL.format(parameters) + "\n")
    result = stubs("things.yaml", "--check")
    assert result.exit_code == bool(faults)
    found = result.output.splitlines()
    if faults:
        assert len(found) == len(faults)
        assert all(line.startswith(f"handlers/things.py:3: {PLACE}: ") for line in found)
        assert all(any(fault in line for line in found) for fault in faults)


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("async def patch_part(u, thing_id, id_, payload): ...", 2, "`payload` needs a default"),
        ("def patch_part(u, thing_id, id_, page_size, payload=1): ...", 2, "`page_size` needs a default"),
        ("def patch_part(u, **k): ...\ndef helper(u): ...", 3, "helper handles no operation"),
        ("", None, "patchPart (PATCH /things/{thingId}/parts/{id}) has no handler: `patch_part` is missing"),
        ("def list_things(u, caller): ...\npatch_part = list_things", 2, "`caller` is unknown"),
    ],
)  # fmt: skip
def test_drift_is_found_where_it_is(folder: Path, source: str, line: int | None, message: str) -> None:
    good = "from x import list_things, replace_the_things_part_and_tell_everybody\n"
    (folder / "handlers" / "things.py").write_text(good + source)
    before = (folder / "handlers" / "things.py").read_bytes()
    result = stubs("things.yaml", "--check")
    assert result.exit_code == 1
    (found,) = result.output.splitlines()
    path = "handlers/things.py" if line else "things.yaml"
    line = line or 1 + next(n for n, text in enumerate(THINGS.splitlines()) if text == "    patch:")
    assert found.startswith(f"{path}:{line}: ")
    assert message in found
    assert (folder / "handlers" / "things.py").read_bytes() == before


def test_module_without_file_lacks_everything_and_is_not_written(folder: Path) -> None:
    result = stubs("things.yaml", "--check")
    assert (result.exit_code, len(result.output.splitlines())) == (1, 3)
    assert not (folder / "handlers" / "things.py").exists()


def test_function_of_another_contract_of_the_module_is_not_extra(folder: Path) -> None:
    document = extended("webrtc-events.yaml", RENEWAL, folder)
    (folder / document).rename("renewal.yaml")
    module = "handlers/webrtc_events.py"
    written("renewal.yaml", "--module", module)
    assert "agree" in written("renewal.yaml", "--check", "--module", module)
    assert "renew_subscription handles no operation" in stubs("--check").output
    written("things.yaml", "--module", module)
    extra = stubs("things.yaml", "--check", "--module", module).output.splitlines()
    assert len(extra) == 1
    assert "renew_subscription handles no operation of things.yaml" in extra[0]


def test_module_is_read_and_not_run(folder: Path) -> None:
    (folder / "handlers" / "things.py").write_text(
        "import nothing_of_that_name\nopen('ran', 'w')\ndef list_things(u): ...\n"
    )
    stubs("things.yaml", "--check")
    written("things.yaml")
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("overlay: 1.0.0\nextends: a.yaml\nactions: []", "Overlay has no operations; name a.yaml"),
        ("swagger: '2.0'\npaths: {}", "not an OpenAPI 3 document"),
        ("- 1", "not an OpenAPI 3 document"),
        ("openapi: [", "not YAML"),
        ("openapi: 3.0.3\ninfo: {}", "'paths'"),
        ("openapi: 3.0.3\npaths: {/a: {get: {responses: {}}}}", "api.yaml:2: GET /a has no operationId"),
        ("openapi: 3.0.3\npaths: {/a: {get: {operationId: a-b}}}", "'a-b' cannot be the name"),
        (
            "openapi: 3.0.3\npaths:\n  /a: {get: {operationId: readIt}}\n  /b: {get: {operationId: readIt}}",
            "api.yaml:4: readIt is also the function of GET /a",
        ),
        ("openapi: 3.0.3\npaths: {/a: {put: {operationId: a, requestBody: {$ref: '#/b'}}}}", "missing: 'b'"),
        (
            "openapi: 3.0.3\npaths: {'/a/{payload}': {put: {operationId: a, requestBody: {content: {}}}}}",
            "two parameters of a would have the same name",
        ),
        ("openapi: 3.0.3\npaths: [1]", "not shaped as OpenAPI wants it"),
    ],
)  # fmt: skip
def test_document_that_cannot_be_bound_is_reported(folder: Path, document: str, message: str) -> None:
    (folder / "api.yaml").write_text(document)
    for option in ([], ["--check"]):
        result = stubs("api.yaml", *option)
        assert result.exit_code == 1
        assert result.output.startswith("Error: api.yaml")
        assert message in result.output


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(:", "handlers/things.py:1: "),
        ("\ndef f(a, a): ...", "handlers/things.py:2: "),
        ("from x import *", "handlers/things.py:1: `import *` hides"),
        (
            "class Unimplemented: ...",
            "need `Unimplemented` of webrtc_events.core.errors, and the name is taken",
        ),
        (b"\xff", "handlers/things.py: "),
    ],
)
def test_module_that_cannot_be_added_to_is_reported(folder: Path, source: str | bytes, message: str) -> None:
    path = folder / "handlers" / "things.py"
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    before = path.read_bytes()
    result = stubs("things.yaml")
    assert result.exit_code == 1
    assert message in result.output
    assert path.read_bytes() == before


def test_folder_to_write_to_is_named_or_here(folder: Path) -> None:
    shutil.rmtree(folder / "handlers")
    result = stubs("things.yaml")
    assert result.exit_code == 1
    assert "--module" in result.output
    written("things.yaml", "--module", "own.py")
    assert stubs("things.yaml", "--module", "no/such/folder.py").exit_code == 1


def test_what_is_asked_for_makes_sense(folder: Path) -> None:
    assert stubs().exit_code == 2
    assert stubs("--check", "--module", "a.py").exit_code == 2
    assert stubs("no-such.yaml").exit_code == 2


SIGNATURES = [
    "", "u", "u, a", "u, a, b", "u, b", "a", "a, b", "u, /, a, *, b=1", "u, a, /", "u, a=1, /",
    "u=1, a=2, b=3", "*u, a", "*u", "*, a, b", "**k", "u, **k", "u, a, b=1, *c, **k", "u, a, x",
    "u, b=1, *, a", "u, a, b, /",
]  # fmt: skip


def call_fails(function: Any, arguments: Sequence[Argument]) -> bool:
    """As Connexion calls it: with what is in the path always, with the rest if it is taken."""
    bound = partial(function, object())
    try:
        names, takes_all = inspect_function_arguments(bound)
        for given in (arguments, [argument for argument in arguments if argument.always]):
            bound(**{one.name: 0 for one in given if one.needed or takes_all or one.name in names})
    except (TypeError, ValueError):
        return True
    return False


@pytest.mark.parametrize("parameters", SIGNATURES)
@pytest.mark.parametrize("always", [True, False])
def test_faults_are_those_of_the_real_call(parameters: str, always: bool, tmp_path: Path) -> None:
    path = tmp_path / "f.py"
    path.write_text(f"def f({parameters}): ...")
    real = loaded(path).f
    read = signature(HandlersModule(path).functions["f"])
    assert shape(read) == shape(inspect.signature(real))
    arguments = [Argument("a", always=True, needed=True), Argument("b", always=always, needed=False)]
    assert any(call_faults(read, arguments)) == call_fails(real, arguments)


def shape(given: inspect.Signature) -> list[Any]:
    return [
        (parameter.name, parameter.kind, parameter.default is parameter.empty)
        for parameter in given.parameters.values()
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "from m import B\n"),
        ("x = 1\n", "from m import B\n\nx = 1\n"),
        ("# licence\n\nx = 1\n", "# licence\n\nfrom m import B\n\nx = 1\n"),
        ("# why\nx = 1\n", "from m import B\n\n# why\nx = 1\n"),
        ('"""Doc."""', '"""Doc."""\n\nfrom m import B\n'),
        ('"""Doc."""\n\n\ndef f(): ...\n', '"""Doc."""\n\nfrom m import B\n\n\ndef f(): ...\n'),
        ("import os\n", "import os\n\nfrom m import B\n"),
        ("import webrtc_events\n", "from m import B\n\nimport webrtc_events\n"),
        ("from n import C\n", "from m import B\nfrom n import C\n"),
        ("import z\n# n\nfrom n import D\n", "import z\nfrom m import B\n# n\nfrom n import D\n"),
        ("# file\nfrom n import C\n", "# file\nfrom m import B\nfrom n import C\n"),
        ("import os\n\n# why\nfrom n import C\n", "import os\n\nfrom m import B\n# why\nfrom n import C\n"),
        ("from m import A, C\n", "from m import A, B, C\n"),
        ("from m import A  # why\n", "from m import A, B  # why\n"),
        ("from m import A as C\n", "from m import A as C\nfrom m import B\n"),
        ("from m import (\n    # c\n    C,\n)\n", "from m import (\n    B,\n    # c\n    C,\n)\n"),
        ("from m import (\n    A,  # a\n)\n", "from m import (\n    A,  # a\n    B,\n)\n"),
        ("from m import (\n    A\n)\n", "from m import (\n    A,\n    B\n)\n"),
        ("from m import A\nfrom m import B\n", "from m import A\nfrom m import B\n"),
        (
            f"from m import A, C{'c' * 30}, D{'d' * 35}\n",
            f"from m import (\n    A,\n    B,\n    C{'c' * 30},\n    D{'d' * 35},\n)\n",
        ),
    ],
)  # fmt: skip
def test_import_is_added_in_its_place(before: str, after: str) -> None:
    assert add_import(before, "m", "B") == after
    assert add_import(after, "m", "B") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("__all__ = []\n", '__all__ = ["f2"]\n'),
        ("__all__ = ()\n", '__all__ = ("f2",)\n'),
        ('__all__ = ["A", "f1", "f10"]\n', '__all__ = ["A", "f1", "f2", "f10"]\n'),
        ('é = 1; __all__ = ["é", "z"]\n', 'é = 1; __all__ = ["f2", "é", "z"]\n'),
        ('__all__ = [\n    "z",  # z\n]\n', '__all__ = [\n    "f2",\n    "z",  # z\n]\n'),
        ('__all__ = ["a" + "b"]\n', '__all__ = ["a" + "b"]\n'),
        ("__all__ = names()\n", "__all__ = names()\n"),
        ("x = 1\n", "x = 1\n"),
    ],
)
def test_export_is_added_in_its_place(before: str, after: str) -> None:
    assert add_export(before, "f2") == after


def test_functions_are_appended_after_two_lines() -> None:
    assert append("x = 1", ["def f(): ...\n", "def g(): ...\n"]) == (
        "x = 1\n\n\ndef f(): ...\n\n\ndef g(): ...\n"
    )
    assert append("x = 1\n\n\n\n\n", ["def f(): ...\n"]) == "x = 1\n\n\n\n\ndef f(): ...\n"
