"""A reader who types what a document says sees what it says."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.documents.blocks import Block, blocks, matches
from tests.documents.pages import PAGES
from tests.harness.commands import Running, clean_environ, eventually
from tests.harness.documents import ROOT
from tests.harness.shells import Shell
from tests.harness.valkeys import free_port
from webrtc_events.local.endpoints import Endpoints

pytestmark = pytest.mark.slow

FOLDER = "build/tutorial"
_END_S = 10.0
_SOON_S = 60.0


class Reader:
    """Does what the blocks of a document say. `changes`: its names, and those of the test."""

    def __init__(self, folder: Path, data: Path, changes: dict[str, str]) -> None:
        self._folder = folder
        self._environ = {"WEBRTC_EVENTS_DATA_DIR": str(data)}
        self._changes = changes
        self._stack = ExitStack()
        self._shell = Shell(**self._environ)
        self._stack.callback(self._shell.close)

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def do(self, block: Block) -> None:
        text = self._adapted(block.text)
        if block.is_left_out:
            return
        if block.language == "python":
            (self._folder / block.title).write_text(text, encoding="utf-8")
        elif block.language == "text":
            self._await(block.text, (self._folder / block.title).read_text)
        elif block.title:
            self._stack.enter_context(self._terminal(self._folder / block.title, text))
            self._await(block.printed, (self._folder / block.title).read_text)
        elif block.is_repeated:
            self._await(block.printed, lambda: self._shell(text))
        else:
            printed = self._shell(text)
            assert not block.printed or matches(printed, self._adapted(block.printed)), f"{text}\n{printed}"

    def _await(self, expected: str, read: Callable[[], str]) -> None:
        wanted, seen = self._adapted(expected), ""

        def is_so() -> bool:
            nonlocal seen
            seen = read()
            return matches(seen, wanted)

        try:
            eventually(is_so, _SOON_S)
        except AssertionError:
            pytest.fail(f"{wanted}\n{seen}")

    def _adapted(self, text: str) -> str:
        for old, new in self._changes.items():
            text = text.replace(old, new)
        return text

    @contextmanager
    def _terminal(self, log: Path, text: str) -> Iterator[None]:
        """A terminal that stays open, and prints into a file."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-euc", text],
                cwd=ROOT,
                env=clean_environ() | self._environ | {"PATH": path},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(_END_S)


@pytest.fixture
def reader(start_serve: Callable[..., Running], data: Path, tmp_path: Path) -> Iterator[Reader]:
    start_serve(WEBRTC_EVENTS_NEXT="true")
    endpoints = Endpoints.read(data)
    folder = tmp_path / "tutorial"
    folder.mkdir()
    changes = {
        "http://127.0.0.1:9091": endpoints.api,
        "https://localhost:9443": endpoints.sink,
        "9600": str(free_port()),
        "9700": str(free_port()),
        FOLDER: str(folder),
        "~/.local/share/webrtc-events": str(data),
        "$PWD/.venv/bin": str(Path(sys.executable).parent),
    }
    with Reader(folder, data, changes) as running:
        yield running


@pytest.mark.parametrize("page", PAGES)
def test_blocks_of_a_page_show_what_it_says(page: str, reader: Reader) -> None:
    for block in blocks(page):
        reader.do(block)
