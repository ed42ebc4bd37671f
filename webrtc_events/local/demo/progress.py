"""A progress bar for work on a file, if there is a terminal."""

import sys
from pathlib import Path
from typing import Any, BinaryIO

import click

__all__ = ["Progress"]


class Progress:
    """Shows a bar on a terminal for a file of known size; else nothing."""

    def __init__(self, file: BinaryIO) -> None:
        self._bar: Any = None
        size = _size(file)
        if size and sys.stderr.isatty():
            self._bar = click.progressbar(length=size, label="publishing", file=sys.stderr)

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def advance(self, size: int) -> None:
        if self._bar is not None:
            self._bar.update(size)

    def between(self, lines: list[str]) -> None:
        """Prints lines at once if there is no bar that they would disturb."""
        if self._bar is None:
            while lines:
                click.echo(lines.pop(0), err=True)

    def close(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.__exit__(None, None, None)


def _size(file: BinaryIO) -> int | None:
    path = Path(str(getattr(file, "name", "")))
    return path.stat().st_size if path.is_file() else None
