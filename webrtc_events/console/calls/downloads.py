"""Answers that a browser saves as a file."""

import re

from flask import Response

__all__ = ["download", "file_name"]

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_CHARACTERS = 80


def file_name(session: str, ending: str) -> str:
    """`call-<session>.svg`, with what no file system minds."""
    return f"call-{_NOT_IN_NAMES.sub('_', session)[:_MAX_CHARACTERS]}.{ending}"


def download(content: str, name: str, content_type: str) -> Response:
    response = Response(content, content_type=content_type)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response
