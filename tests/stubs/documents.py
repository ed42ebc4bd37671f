"""A document of things, its handlers, and the stubs command on them."""

import importlib.util
from pathlib import Path
from types import ModuleType

import yaml
from click.testing import CliRunner, Result

from webrtc_events.cli.main import main

ROOT = Path(__file__).parents[2]

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
