"""Keeps personal data out of what is logged, and tokens whatever the setting.

Personal are addresses (tel:, sip:, telephone numbers, e-mail-like), names of people, and what stands
for one of them: registrations, devices, users. In their place stands a pseudonym such as
`~0f3a9b51c2d4`, the same for the same value wherever and however it is written, so that log lines can
still be put together; `webrtc-events pseudonym` tells that of a value that is looked for. It is a keyed
hash: who has the secret key can find the value out by trying, nobody else can.

A log call that knows what it logs says so with `PersonalData`: nothing else tells a name from other
words. As a net beneath, every log record of the process is searched for what looks like an address or
a token, with its traceback, whoever logs it: also frameworks, and the HTTP server's access log. That is
done as records are made and not in a handler, since gunicorn, uvicorn and Python's last resort have
handlers of their own.
"""

import hashlib
import hmac
import logging
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from webrtc_events.core.log_fields import LogFields
from webrtc_events.core.model import Caller
from webrtc_events.core.settings import Settings

__all__ = ["Masking", "PersonalData", "mask_logs"]


@dataclass(frozen=True, slots=True)
class PersonalData:
    """An argument of a log call that is, or stands for, a person. By itself it shows nothing."""

    value: str | None

    def __str__(self) -> str:
        return "~"

    __repr__ = __str__


# Nothing here looks at a character of a long text more often than a few dozen times.
_ADDRESS = re.compile(
    # Of a URI also the display name before it: "Alice" <sip:alice@ims.example>
    r""""[^"<>]*"(?=\s*<(?:tel|sips?):)
    |\b(?:tel|sips?|mailto)(?::|%3a)[^\s"'<>()\[\]{},|\\?&]*[^\s"'<>()\[\]{},|\\?&.:;!]
    |(?<![\w+])(?:\+|%2b)[1-9](?:[ .()-]{0,2}\d){6,14}(?!\d)
    |[\w.!%+-]{1,64}(?:@|%40)[a-z][\w-]*(?:\.[\w-]+)+
    |(?<=/registrations/)[^\s"'?/~][^\s"'?/]*""",
    re.IGNORECASE | re.VERBOSE,
)
# What redis-py says of a command that failed in a pipeline holds its first arguments.
_COMMAND = re.compile(r"(Command # \d+ )\(.{0,200}?\)(?= of pipeline)", re.DOTALL)
_SECRET = re.compile(
    # The last of what stands before one is of WebSockets (api/websockets.py).
    r"(?P<before>\bbearer\s+|access_?token[\"']?\s*[:=]\s*[\"']?|\bwebrtc-events\.token\.)[^\s\"',}]+"
    r"|\beyj[\w-]+\.[\w-]+(?:\.[\w-]*)*",
    re.IGNORECASE,
)
# Nothing is searched for in a text that has none of these, and most have none: it takes a tenth of the time.
_HINTS = (
    *("@", "+", "%40", "%2b", "tel:", "sip:", "sips:", "mailto:", "tel%3a", "sip%3a", "sips%3a", "mailto%3a"),
    *("/registrations/", "of pipeline", "bearer", "token", "eyj"),
)

_SCHEME = re.compile(r"^(?:tel|sips?|mailto):", re.IGNORECASE)
_PORT = re.compile(r":[0-9]+$")
_SEPARATORS = re.compile(r"[ .()-]")


class Masking:
    """How this deployment writes personal data. `show`: in clear."""

    def __init__(self, secret_key: bytes, *, show: bool) -> None:
        key = hmac.digest(secret_key, b"webrtc-events pseudonyms", hashlib.sha256)
        # A copy of it takes a fifth of the time that the library needs to begin with a key.
        self._hmac = hmac.new(key, digestmod=hashlib.sha256)
        self._show = show

    @classmethod
    def of(cls, settings: Settings) -> "Masking":
        return cls(settings.secret_key[0], show=settings.log_personal_data)

    def pseudonym(self, value: str) -> str:
        """The same for every spelling of an address: with or without scheme, parameters, escapes."""
        plain = unquote(value).strip(' "').casefold()
        address = _PORT.sub("", _SCHEME.sub("", plain).partition(";")[0])
        if address.startswith("+"):
            address = _SEPARATORS.sub("", address)
        keyed = self._hmac.copy()
        keyed.update(address.encode("utf-8", "surrogatepass"))
        return f"~{keyed.hexdigest()[:12]}"

    def shown(self, personal: PersonalData) -> str | None:
        """What is logged for an argument."""
        if self._show or not personal.value:
            return personal.value
        return self.pseudonym(personal.value)

    def client(self, caller: Caller) -> str:
        """What is logged as the client of a request: its id, unless that is a user's or an address."""
        return self.shown(PersonalData(caller.client)) or "" if caller.is_user else self.text(caller.client)

    def text(self, text: str) -> str:
        """A text with what looks personal or secret masked."""
        lower = text.lower()
        if not any(hint in lower for hint in _HINTS):
            return text
        text = _SECRET.sub(lambda found: f"{found['before'] or ''}***", text)
        if self._show:
            return text
        return _ADDRESS.sub(lambda found: self.pseudonym(found[0]), _COMMAND.sub(r"\1(...)", text))

    def _field(self, value: Any) -> Any:
        if isinstance(value, PersonalData):
            return self.shown(value)
        return self.text(value) if isinstance(value, str) else value

    def record(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record, masked. Its arguments stay apart where they can: some formatters read them."""
        record.args = _each(record.args, PersonalData, self.shown)
        record.args = _each(record.args, LogFields, lambda found: found.changed(self._field))
        message = _message(record)
        masked = self.text(message)
        if masked != message:
            record.args = _each(record.args, str, self.text)
            if _message(record) != masked:
                record.msg, record.args = masked, ()
        if record.exc_info and record.exc_info[1] is not None:
            shown = "".join(traceback.format_exception(record.exc_info[1])).rstrip("\n")
            masked = self.text(shown)
            if masked != shown:
                # A formatter takes the text in place of the exception.
                record.exc_info, record.exc_text = None, masked
        if record.stack_info:
            record.stack_info = self.text(record.stack_info)
        return record


def mask_logs(masking: Masking) -> None:
    """From now on, for every log record of the process. Repeating it replaces what was there."""
    make = getattr(logging.getLogRecordFactory(), "unmasked", logging.getLogRecordFactory())

    def masked(*args: Any, **more: Any) -> logging.LogRecord:
        return masking.record(make(*args, **more))

    masked.unmasked = make  # type: ignore[attr-defined]
    logging.setLogRecordFactory(masked)


def _each(args: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """The arguments of a record, those of a kind changed."""
    if isinstance(args, Mapping):
        return {name: change(arg) if isinstance(arg, kind) else arg for name, arg in args.items()}
    return tuple([change(arg) if isinstance(arg, kind) else arg for arg in args]) if args else args


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 (whatever an argument's own text raises)
        # A log call never fails, and logging would print the arguments as they are.
        record.msg, record.args = f"{record.msg!r} was logged with arguments that do not fit it", ()
        return record.getMessage()
