"""What all test processes share is made once, whoever comes first and whatever goes wrong."""

import multiprocessing
from pathlib import Path

import pytest

from tests.harness.made_once import made_once


class Factory:
    """Of one process; all have the same parent folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def getbasetemp(self) -> Path:
        return self._folder


def make(folder: Path) -> None:
    (folder / "made").write_text("once")
    with (folder.parent / "times").open("a") as times:
        times.write("x")


def ask(shared: Path) -> None:
    assert (made_once(Factory(shared / "one"), "thing", make) / "made").read_text() == "once"  # type: ignore[arg-type]


def test_of_several_processes_one_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=ask, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert (tmp_path / "times").read_text() == "x"


def test_what_failed_half_way_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        made_once(Factory(tmp_path / "one"), "thing", fail)  # type: ignore[arg-type]
    ask(tmp_path)
    assert not (tmp_path / "thing" / "half").exists()
