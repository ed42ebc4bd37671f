"""Writes docs/reference/errors.md: every error, from the contracts and from what the service raises.

python -m tests.house.error_table
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from tests.harness.documents import ROOT
from webrtc_events.core.errors import ServiceError

__all__ = ["DOCUMENT", "WHAT_TO_DO", "Error", "errors", "written"]

DOCUMENT = ROOT / "docs" / "reference" / "errors.md"
CONTRACTS = ("webrtc-events", "webrtc-events-subscriptions", "network-events", "channels")

WHAT_TO_DO = {
    (
        400,
        "INVALID_ARGUMENT",
    ): "Correct the request. `message` names the place, as in `$.config.subscriptionDetail`.",
    (400, "INVALID_CREDENTIAL"): "Use a kind that the contract lists, or leave `sinkCredential` out.",
    (400, "INVALID_PROTOCOL"): "Use `HTTP`.",
    (400, "INVALID_SINK"): "Use an HTTPS URL of a public address. The operator allows others by setting.",
    (400, "INVALID_TOKEN"): "Use `bearer`.",
    (400, "OUT_OF_RANGE"): "Use a number within the range that the contract gives.",
    (
        401,
        "UNAUTHENTICATED",
    ): "Get a new access token. If it is refused again, ask the operator: only the log says why.",
    (403, "PERMISSION_DENIED"): "Ask for a token with the scope that `message` names.",
    (403, "SUBSCRIPTION_MISMATCH"): "Use a token of the user or client whom the registration belongs to.",
    (404, "NOT_FOUND"): "Check the id. What has ended is gone after a while.",
    (405, "METHOD_NOT_ALLOWED"): "Use a method that the header `Allow` names.",
    (406, "NOT_ACCEPTABLE"): "Accept `application/json`.",
    (408, "REQUEST_TIMEOUT"): "Send the request again, without pauses.",
    (409, "ABORTED"): "Send the same request again.",
    (409, "ALREADY_EXISTS"): "Use the subscription that is there: list yours.",
    (409, "INCOMPATIBLE_STATE"): "Make a new subscription.",
    (413, "CONTENT_TOO_LARGE"): "Send less at a time.",
    (415, "UNSUPPORTED_MEDIA_TYPE"): "Send a media type that the operation lists.",
    (422, "MISSING_IDENTIFIER"): "Name the device, or use a token of the user.",
    (422, "MULTIEVENT_COMBINATION_TEMPORARILY_NOT_SUPPORTED"): "Make a subscription for each type.",
    (422, "MULTIEVENT_SUBSCRIPTION_NOT_SUPPORTED"): "Make a subscription for each type.",
    (
        422,
        "PRIVATE_KEY_JWT_NOT_CONFIGURED",
    ): "Use `ACCESSTOKEN`, or ask the operator to set up keys.",
    (422, "SERVICE_NOT_APPLICABLE"): "Nothing: the service is not there for this user.",
    (422, "UNNECESSARY_IDENTIFIER"): "Leave the device out: the token names the user.",
    (422, "UNSUPPORTED_IDENTIFIER"): "Identify the device in another way.",
    (429, "QUOTA_EXCEEDED"): "Delete what you no longer need, or ask the operator for more.",
    (429, "TOO_MANY_REQUESTS"): "Wait as long as the header `Retry-After` says.",
    (500, "INTERNAL"): "Report it, with the answer's `x-correlator`. The log has the cause.",
    (501, "NOT_IMPLEMENTED"): "Nothing: the operation is in the contract alone.",
    (503, "UNAVAILABLE"): "Send the same request again, after `Retry-After` or a few seconds.",
}
"""By status and code, in the order of the page."""

_HEAD = """# Errors

Each error of an API is an `ErrorInfo`. Programs go by `status` and `code`; `message` is for people, and may
change.

```json
{
  "status": 403,
  "code": "PERMISSION_DENIED",
  "message": "The access token lacks the scope webrtc-events:read."
}
```

After 408, 429, 503 and `ABORTED`, send the same request again. Any other is the same the next time. The
answer's header `x-correlator` finds the request in the log of the service. What a *sink* may answer is in
[Delivery policy](../delivery-policy.md).

The contracts that list an error: [WebRTC Events](webrtc-events.md) (P), [WebRTC Events
Subscriptions](webrtc-events-subscriptions.md) (S), [Network Events](network-events.md) (G), [Notification
Channels](channels.md) (C). An error without one can be the answer to any request.
`python -m tests.house.error_table` writes this page anew.
"""
_LONG = 25
_LETTERS = dict(zip(CONTRACTS, "PSGC", strict=True))
_MEANING = re.compile(r"`([A-Z_.]+)`: (.*?)(?=\s*(?:- )?`[A-Z_.]+`: |\s*$)", re.DOTALL)


class Error(NamedTuple):
    """What a contract says of a code."""

    contract: str
    status: int
    code: str
    meaning: str


def _of_contract(name: str) -> Iterator[Error]:
    document = yaml.safe_load((ROOT / "spec" / f"{name}.yaml").read_text(encoding="utf-8"))
    for title, response in document["components"]["responses"].items():
        # What a sink answers, not the service.
        if title == "Generic410":
            continue
        schema: dict[str, Any] = response["content"]["application/json"]["schema"]
        properties = [part["properties"] for part in schema["allOf"] if "properties" in part]
        status, code = properties[0]["status"]["enum"][0], properties[0]["code"]
        meanings = dict(_MEANING.findall(code["description"]))
        if len(code["enum"]) == 1:
            # Of one code, the description of the whole answer says when.
            meanings = {code["enum"][0]: response["description"]}
        for word in code["enum"]:
            yield Error(name, status, word, _sentence(meanings[word]))


def _sentence(text: str) -> str:
    """The first sentence of a text, on one line."""
    text = " ".join(text.split()).partition(". ")[0].rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def _raised(root: type[ServiceError] = ServiceError) -> Iterator[tuple[int, str, str]]:
    for kind in root.__subclasses__():
        yield kind.status, kind.code, _sentence(kind.message)
        yield from _raised(kind)


def errors() -> dict[tuple[int, str], list[Error]]:
    """By status and code, what each contract says of it; nothing where none names it."""
    found: dict[tuple[int, str], list[Error]] = defaultdict(list)
    for contract in CONTRACTS:
        for error in _of_contract(contract):
            found[error.status, error.code].append(error)
    for status, code, _ in _raised():
        found.setdefault((status, code), [])
    return found


def _when(key: tuple[int, str], said: list[Error]) -> str:
    meanings = dict.fromkeys(error.meaning for error in said)
    if not meanings:
        meanings = dict.fromkeys(message for status, code, message in _raised() if (status, code) == key)
    longest = [
        text
        for text in meanings
        if not any(other != text and other.startswith(text[:-1]) for other in meanings)
    ]
    return " ".join(longest[:2])


def _breakable(code: str) -> str:
    """A long code may go on in the next line; it is copied whole."""
    return f"`{code}`" if len(code) <= _LONG else f"<code>{code.replace('_', '_<wbr>')}</code>"


def written() -> str:
    rows = []
    for (status, code), said in sorted(errors().items()):
        letters = " ".join(dict.fromkeys(_LETTERS[error.contract] for error in said))
        what_to_do = WHAT_TO_DO[status, code]
        rows.append(
            f"| {status} | {_breakable(code)} | {_when((status, code), said)} | {what_to_do} | {letters} |"
        )
    head = ["| status | code | when | what to do | in |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([_HEAD, *head, *rows, ""])


if __name__ == "__main__":
    DOCUMENT.write_text(written(), encoding="utf-8")
