"""What is installed: one package that shares its name with nobody, and all the files it reads."""

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def wheel(built: Path) -> list[str]:
    """The names of the files in it."""
    with zipfile.ZipFile(built) as archive:
        return archive.namelist()


def test_unless_it_is_asked_for_nothing_is_compiled(built: Path, wheel: list[str]) -> None:
    assert built.name.endswith("-py3-none-any.whl")
    assert [name for name in wheel if name.endswith((".so", ".pyd", ".c"))] == []


def test_only_its_own_package_lands_in_site_packages(wheel: list[str]) -> None:
    top = {name.partition("/")[0] for name in wheel}
    assert "webrtc_events" in top
    assert {name for name in top if not name.endswith(".dist-info")} == {"webrtc_events"}


@pytest.mark.parametrize(
    ("folder", "target"),
    [
        ("handlers", "webrtc_events/handlers"),
        ("spec", "webrtc_events/spec"),
        ("tests/data/calls", "webrtc_events/local/calls"),
        ("webrtc_events/store/lua", "webrtc_events/store/lua"),
        ("webrtc_events/local/templates", "webrtc_events/local/templates"),
        ("webrtc_events/local/static", "webrtc_events/local/static"),
        *((f"webrtc_events/local/simulation_pages/{folder}",) * 2 for folder in ("static", "templates")),
    ],
)
def test_what_the_package_reads_is_in_the_wheel_once(wheel: list[str], folder: str, target: str) -> None:
    top = ROOT / folder
    files = sorted(
        str(path.relative_to(top)) for path in top.rglob("*") if path.is_file() and path.suffix != ".pyc"
    )
    assert files
    assert sorted(name for name in wheel if name.startswith(f"{target}/")) == [
        f"{target}/{name}" for name in files
    ]


def test_handlers_are_found_by_the_name_of_the_package() -> None:
    assert find_spec("webrtc_events.handlers") is not None
