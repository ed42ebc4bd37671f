# Generated from the contract by `make types`; do not edit.
# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import TypeAlias, TypedDict


XCorrelator: TypeAlias = str


class ErrorInfo(TypedDict):
    """
    The one shape of every error.
    """

    status: int
    code: str
    message: str


Cursor: TypeAlias = str


class Channel(TypedDict):
    """
    A notification channel.
    """

    id: str
    sink: str
    expiresAt: str


class NewChannel(Channel):
    """
    A channel that was just made, with the secret of its readers.
    """

    token: str


class ChannelCursor(TypedDict):
    """
    Up to where events are dealt with.
    """

    cursor: Cursor
