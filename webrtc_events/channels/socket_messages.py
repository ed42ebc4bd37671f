"""The messages of a channel's WebSocket, each a JSON object: as text, and read from text. Pure."""

import json
from functools import lru_cache

from webrtc_events.channels.feed import ChannelEvent
from webrtc_events.contract.strict_json import parse_json
from webrtc_events.core.cursor import parse_cursor
from webrtc_events.core.errors import InvalidArgument, ServiceError

__all__ = ["acknowledged", "acknowledgement", "failed", "text_of"]

_WANTED = 'A message is {"cursor": …}, with the id of an event, as text.'


@lru_cache(64)
def _quoted(text: str) -> str:
    return json.dumps(text)


def text_of(event: ChannelEvent) -> str:
    """With the three members that an event of a stream has; in UTF-8, whatever is in a log."""
    text = f'{{"id":"{event.id}","event":{_quoted(event.type)},"data":{event.data}}}'
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text


def acknowledged(cursor: str) -> str:
    """The answer to an acknowledgement: the events up to there are removed."""
    return f'{{"event":"acknowledged","data":{{"cursor":{json.dumps(cursor)}}}}}'


def failed(error: ServiceError) -> str:
    """The answer to one that may be sent again."""
    data = {"status": error.status, "code": error.code, "message": error.message}
    return json.dumps({"event": "error", "data": data})


def acknowledgement(text: str | None) -> tuple[str, dict[int, int]]:
    """The cursor that a client's message names, as it came and as it is read; None: it was no text.

    Raises:
        InvalidArgument: it is no such message.
    """
    if text is None:
        raise InvalidArgument(_WANTED)
    message = parse_json(text.encode())
    cursor = message.get("cursor") if isinstance(message, dict) else None
    if not isinstance(cursor, str):
        raise InvalidArgument(_WANTED)
    try:
        return cursor, parse_cursor(cursor)
    except ValueError as error:
        raise InvalidArgument(f"$.cursor: {error}") from None
