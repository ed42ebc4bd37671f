"""Fields of a log record: in a text as `name=value`, in JSON as members."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from webrtc_events.core.one_line import key_values

__all__ = ["LogFields", "fields_of", "message_of"]

_CONVERSION = re.compile(r"(?:\b([a-z_]+)=)?%(?:%|[-#0 +]*\d*(?:\.\d+)?[a-zA-Z])")


class LogFields:
    """An argument of a log call that is several fields: `log.info("change %s", LogFields({...}))`."""

    __slots__ = ("fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields

    def changed(self, change: Callable[[Any], Any]) -> "LogFields":
        return LogFields({name: change(value) for name, value in self.fields.items()})

    def __str__(self) -> str:
        return key_values(self.fields)


def fields_of(template: Any, args: Any) -> Iterator[tuple[str, Any]]:
    """What a record says as `name=%s`, and by `LogFields`."""
    if not isinstance(args, tuple) or not isinstance(template, str):
        return
    for name, value in zip(_names(template), args, strict=False):
        if isinstance(value, LogFields):
            yield from value.fields.items()
        elif name:
            yield name, value


def message_of(template: Any, args: Any) -> tuple[Any, Any]:
    """Template and arguments of the record's text where its `LogFields` stand elsewhere."""
    if not isinstance(args, tuple) or not any(isinstance(arg, LogFields) for arg in args):
        return template, args
    return template, tuple("" if isinstance(arg, LogFields) else arg for arg in args)


@lru_cache(maxsize=1024)
def _names(template: str) -> tuple[str, ...]:
    """Of each conversion in its order, "" where it has none."""
    return tuple(match[1] or "" for match in _CONVERSION.finditer(template) if not match[0].endswith("%%"))
