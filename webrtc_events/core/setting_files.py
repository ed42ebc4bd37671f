"""Text of a small file that an operator names: settings, or one secret."""

import os
import stat
from pathlib import Path
from typing import Final

__all__ = ["MAX_SECRET_BYTES", "MAX_SETTINGS_BYTES", "read_secret", "read_text"]

MAX_SETTINGS_BYTES: Final = 1 << 20
MAX_SECRET_BYTES: Final = 64 << 10


def read_secret(path: Path) -> str:
    """One value: the text without the line end that editors and `echo` put behind it.

    Raises:
        ValueError: says what is wrong with the file; it never repeats what it holds.
    """
    text = read_text(path, MAX_SECRET_BYTES).removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError("the file is empty: write the value into it")
    return text


def read_text(path: Path, max_bytes: int) -> str:
    """UTF-8, with or without a byte order mark.

    Raises:
        ValueError: says what is wrong with the file; it never repeats what it holds.
    """
    content = _content(path, max_bytes)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"the file is not UTF-8 from byte {error.start} on: save it as UTF-8") from None


def _content(path: Path, max_bytes: int) -> bytes:
    try:
        # A pipe without a writer would hold up the start for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ValueError("there is no such file: make it, or name another") from None
    except (OSError, ValueError) as error:
        raise ValueError(_cannot_read(error)) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise ValueError("it is a directory: name a file in it")
        if not stat.S_ISREG(mode):
            raise ValueError("it is no regular file: name one")
        content = b""
        # Of files in /proc the size is not known before.
        while len(content) <= max_bytes and (piece := os.read(descriptor, max_bytes + 1 - len(content))):
            content += piece
    except OSError as error:
        raise ValueError(_cannot_read(error)) from None
    finally:
        os.close(descriptor)
    if len(content) > max_bytes:
        raise ValueError(f"the file has more than {max_bytes} bytes: it is hardly the one that was meant")
    return content


def _cannot_read(error: OSError | ValueError) -> str:
    why = error.strerror if isinstance(error, OSError) else "it is no path"
    return f"it cannot be read ({why}): check its path and who may read it"
